"""Several sets as one collection: constant columns, one rate, ids and speakers that never meet, and all faults with their part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.data.layouts import clips, text
from tests.data.opening import faults, inspect, places, read
from tests.data.sounds import tone, write
from tswork.data.cards import resolve
from tswork.data.checking import check_data
from tswork.data.digests import source_digest
from tswork.data.opening import open_collection, open_new
from tswork.data.spec import DataSpec, read_spec
from tswork.data.splits import make_splits
from tswork.source import Source
from tswork.store import Store


def sets(folder: Path) -> dict[str, Any]:
    """An Italian set at 8 kHz and a German one at 16 kHz, both with a speaker called 03, and the block that joins them."""
    for name, rate, cells in (("it", 8000, "emotion,level"), ("de", 16000, "emotion,take")):
        rows = []
        for number, who in enumerate(("03", "03", "04", "05")):
            write(folder / name / f"{number}.wav", tone(200.0 + 50 * number + rate / 100, rate=rate, seconds=0.2), rate)
            rows.append(f"{number}.wav,{who},joy,{number if name == 'it' else 'a'}")
        text(folder / name / "all.csv", f"path,speaker,{cells}", *rows)
        block = f"reader: manifest\npath: {name}/all.csv\ngroups: [speaker]\nlabel: emotion\nlicence: none\n"
        (folder / f"{name}.yaml").write_text(block + "split: {by: groups}\n")
    parts = {
        "emovo": {"card": "it", "add": {"language": "italian"}},
        "emodb": {"card": "de", "add": {"language": "german"}},
    }
    return {"reader": "join", "parts": parts, "rate": 16000.0}


def test_parts_stand_one_after_another_with_their_columns(tmp_path: Path) -> None:
    found = read(tmp_path, **sets(tmp_path), label="language")
    table = found.table
    assert table["id"].tolist() == [f"emovo/{n}.wav" for n in range(4)] + [f"emodb/{n}.wav" for n in range(4)]
    assert table["language"].tolist() == ["italian"] * 4 + ["german"] * 4
    assert table["part"].tolist() == ["emovo"] * 4 + ["emodb"] * 4
    assert table["level"].tolist()[:4] == [0, 1, 2, 3]
    assert table["level"].isna().tolist() == [False] * 4 + [True] * 4
    assert table["take"].tolist()[4:] == ["a"] * 4
    assert (found.channels, found.groups, found.classes) == (("sound",), ("speaker",), ("german", "italian"))


def test_speakers_of_two_sets_never_meet(tmp_path: Path) -> None:
    found = read(tmp_path, **sets(tmp_path))
    assert found.categories("speaker") == ("emodb/03", "emodb/04", "emodb/05", "emovo/03", "emovo/04", "emovo/05")
    numbered = read(tmp_path, **sets(tmp_path), prefix=["take"])
    assert set(numbered.table["take"].dropna()) == {"emodb/a"}


def test_speakers_are_called_the_same_beside_one_that_nobody_knows(tmp_path: Path) -> None:
    block = sets(tmp_path)
    text(tmp_path / "it" / "all.csv", "path,speaker,emotion", "0.wav,1,joy", "1.wav,12,joy", "2.wav,,joy")
    found = read(tmp_path, **block).table["speaker"].tolist()
    assert found[:2] == ["emovo/1", "emovo/12"]
    assert found[2] != found[2], "no name is missing"


def test_a_column_to_prefix_that_no_part_has_is_told(tmp_path: Path) -> None:
    assert faults(tmp_path, **sets(tmp_path), prefix=["take", "speeker"]) == [
        "prefix: no part has a column 'speeker'. Did you mean 'speaker'?"
    ]


def test_all_parts_have_one_rate(tmp_path: Path) -> None:
    found = read(tmp_path, **sets(tmp_path))
    assert found.rate == 16000.0
    assert found.lengths.tolist() == [3200] * 8
    assert found.values.dtype == torch.int16
    spectrum = np.abs(np.fft.rfft(found.sequence(0)[:, 0].numpy()))
    assert spectrum.argmax() * 16000 / 3200 == 280.0, "a tone of 280 Hz is one after the rate changed"


def test_a_part_with_a_rate_of_its_own_is_resampled_afterwards(tmp_path: Path) -> None:
    block = sets(tmp_path)
    block["parts"]["emovo"]["rate"] = 8000.0
    assert read(tmp_path, **block).lengths.tolist() == [3200] * 8
    del block["rate"]
    assert faults(tmp_path, **block) == [
        "parts.emodb: has 16000.0 samples a second; emovo has 8000.0. Give the common rate with `rate:` beside `parts:`."
    ]


def test_other_values_are_joined_as_numbers(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[0.5], [0.25]]))
    text(tmp_path / "plain.csv", "path", "a.npy")
    block = sets(tmp_path)
    block["parts"]["plain"] = {
        "reader": "manifest",
        "path": "plain.csv",
        "columns": {"sound": "channel_0"},
        "rate": 16000.0,
    }
    found = read(tmp_path, **block)
    assert found.values.dtype == torch.float32
    assert found.sequence(8).tolist() == [[0.5], [0.25]]
    assert float(found.sequence(0).abs().max()) == pytest.approx(0.5, abs=0.02)


def test_the_split_keeps_speakers_of_each_part_apart(tmp_path: Path) -> None:
    block = {**sets(tmp_path), "label": "language", "split": {"by": "groups", "rule": "per_label"}}
    spec = DataSpec.parse(block)
    assert spec.split is not None
    (split,) = make_splits(read(tmp_path, **block), spec.split, seed=0)
    for part in split.parts.values():
        assert set(part.table["language"]) == {"italian", "german"}


def test_the_digest_knows_what_cards_say(tmp_path: Path) -> None:
    spec = DataSpec.parse(sets(tmp_path))
    before = source_digest(spec, places(tmp_path))
    card = tmp_path / "it.yaml"
    card.write_text(card.read_text().replace("licence: none", "licence: CC0"))
    assert source_digest(spec, places(tmp_path)) == before, "a licence decides nothing"
    card.write_text(card.read_text().replace("groups: [speaker]", "groups: [emotion]"))
    assert source_digest(spec, places(tmp_path)) != before
    other = sets(tmp_path)
    other["parts"]["emovo"]["add"] = {"language": "Italian"}
    assert source_digest(DataSpec.parse(other), places(tmp_path)) != before


def test_faults_of_all_parts_are_told_with_their_names(tmp_path: Path) -> None:
    block = sets(tmp_path)
    (tmp_path / "it" / "1.wav").unlink()
    (tmp_path / "de" / "2.wav").write_bytes(b"no sound")
    told = faults(tmp_path, inspect, **block)
    assert told[0].startswith("it/all.csv:3:1  parts.emovo, 1.wav: there is no such file")
    assert "de/all.csv:4:1  parts.emodb, 2.wav: " in told[1]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"card": "nowhere"}, "parts.x, data.card: there is no card 'nowhere'"),
        ({"reader": "manifest", "pth": "a"}, "parts.x, pth: unknown key"),
        ({"reader": "manifest", "path": "it/all.csv", "add": ["a"]}, "parts.x, add: should be `{column: value}`"),
        ({"reader": "join", "parts": {"y": {"card": "it"}}}, "parts.x: is a join itself. Name its parts here."),
        (
            {"card": "it", "prepare": [{"uses": "standardize"}]},
            "parts.x, prepare[0]: 'standardize' is fitted to a training part, and a part of a join has none",
        ),
        ({"card": "it", "add": {"part": "p"}}, "parts.x.add: the column 'part' is made here"),
        ({"card": "it", "add": {"speaker": "p"}}, "parts.x.add: 'speaker' is a group of this part"),
    ],
)
def test_blocks_that_cannot_be_parts_are_refused(tmp_path: Path, part: dict[str, Any], message: str) -> None:
    block = sets(tmp_path)
    block["parts"]["x"] = part
    assert any(message in one for one in faults(tmp_path, **block))


def test_paths_of_an_inline_part_are_beside_the_card_that_joins(tmp_path: Path) -> None:
    clips(tmp_path / "cards" / "here", "lig/a.wav", "ven/b.wav")
    (tmp_path / "cards" / "both.yaml").write_text("reader: join\nparts:\n  here: {reader: audiofolder, path: here}\n")
    spec, problems = read_spec(resolve(Source({"card": "./cards/both.yaml"}), places(tmp_path)))
    assert spec is not None, problems
    assert len(spec.reader.build().read(spec, places(tmp_path))) == 2


def test_check_says_that_the_rate_tells_the_language(tmp_path: Path) -> None:
    block = {**sets(tmp_path), "label": "language", "split": {"by": "groups", "rule": "per_label"}}
    told = [one.text for one in check_data(DataSpec.parse(block), places(tmp_path)) if one.severe]
    assert len(told) == 1
    assert told[0].startswith("every label has files of one sample rate only, and these differ: german (16000 Hz 100%)")
    block["parts"]["emovo"]["prepare"] = [{"uses": "select", "drop": [{"level": 1}]}]
    assert [one.text for one in check_data(DataSpec.parse(block), places(tmp_path)) if one.severe] == told


def test_new_data_for_a_join_are_a_manifest(tmp_path: Path) -> None:
    block = {**sets(tmp_path), "label": "language", "split": {"by": "groups", "rule": "per_label"}}
    text(tmp_path / "new.csv", "path,language", "it/0.wav,italian", "it/1.wav,sardinian")
    part = open_new(DataSpec.parse(block), tmp_path / "new.csv", places(tmp_path), seed=0)
    assert part.lengths.tolist() == [3200, 3200], "brought to the rate of the training data"


def test_samples_of_joined_sets_stay_where_they_were_decoded(tmp_path: Path) -> None:
    block = sets(tmp_path)
    store = Store(places(tmp_path).store)
    plainly = read(tmp_path, **block)
    for _ in range(2):
        found = open_collection(DataSpec.parse(block), places(tmp_path), store=store)
        assert torch.equal(found.values, plainly.values)
    assert not list(store.path.rglob("values.npy"))
    assert len(list(store.path.rglob("samples.npy"))) == 2


def test_bad_recordings_of_every_part_are_left_out_together(tmp_path: Path) -> None:
    block = sets(tmp_path)
    (tmp_path / "it" / "1.wav").write_bytes(b"")
    (tmp_path / "de" / "2.wav").unlink()
    assert len(faults(tmp_path, **block)) == 2
    found = read(tmp_path, **block, skip_bad=True)
    assert len(found) == 6
    assert {path for _, path, _ in found.left_out} == {"1.wav", "2.wav"}
    assert [note.split(":")[0] for note in found.notes] == ["emovo", "emodb"]
    assert not any(one.severe for one in check_data(DataSpec.parse({**block, "skip_bad": True}), places(tmp_path)))
