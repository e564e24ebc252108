"""Layouts written as manifests, and cards guessed for sound: both read what the layout's own reader reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.cli.commands import tswork
from tests.data.layouts import clips, cuts, fluent, json_lines, kaldi, lhotse, slurp, text
from tests.data.opening import places, read
from tests.data.sounds import tone, write
from tswork.data.add import write_card
from tswork.data.cards import resolve
from tswork.data.importing import layouts, write_manifest
from tswork.data.opening import open_splits
from tswork.data.spec import read_spec
from tswork.errors import DataInvalid
from tswork.source import Source, read_yaml


def folders(path: Path) -> Path:
    clips(path, "train/lig/a.wav", "train/ven/b.wav", "test/lig/c.wav", "test/ven/d.wav")
    return path


def brain(path: Path) -> Path:
    clips(path, "a.wav", seconds=1.0)
    text(path / "train.csv", "ID,duration,wav,start,stop,accent", "x1,1.0,a.wav,0,4000,it", "x2,1.0,a.wav,4000,8000,gr")
    return path


def superb(path: Path) -> Path:
    clips(path, "a.wav", seconds=1.0)
    text(path / "train.csv", "id,wav_path,label,start_sec,end_sec", "x1,a.wav,it,0,0.5", "x2,a.wav,gr,0.5,")
    return path


def voices(path: Path) -> Path:
    clips(path / "clips", "a.mp3", "b.mp3", seconds=0.5)
    head = "client_id\tpath\tsentence\taccents"
    text(path / "validated.tsv", head, "p\ta.mp3\tLa casa\tVeneto", "q\tb.mp3\tIl cane\tEmiliano")
    return path


def orders(path: Path) -> Path:
    clips(path, "recordings/1.wav", "recordings/2.wav")
    for part, number in (("train", 1), ("test", 2)):
        json_lines(
            path / f"hard_speaker_{part}.json",
            [{"id": number, "utt": "svegliami", "speaker": number, "intent": "alarm"}],
        )
    return path


SETS: dict[str, tuple[Callable[[Path], Path], dict[str, Any]]] = {
    "audiofolder": (folders, {}),
    "kaldi": (lambda path: kaldi(path, segments=True), {}),
    "lhotse": (lhotse, {}),
    "s3prl": (superb, {}),
    "speechbrain": (brain, {}),
    "common_voice": (voices, {"tables": ["validated"]}),
    "italic": (orders, {}),
    "fluent_speech_commands": (fluent, {}),
    "slurp": (slurp, {"tables": ["train", "train_synthetic", "devel", "test"]}),
}


def test_every_layout_can_be_imported() -> None:
    assert set(layouts()) == set(SETS)


@pytest.mark.parametrize("layout", sorted(SETS))
def test_a_manifest_holds_what_the_layout_holds(tmp_path: Path, layout: str) -> None:
    make, options = SETS[layout]
    make(tmp_path / "set")
    own = read(tmp_path, reader=layout, path="set", **options)
    out = tmp_path / "cards" / "all.csv"
    done = write_manifest(layout, tmp_path / "set", out, options=options, places=places(tmp_path))
    assert done.rows == len(own)
    cut = dict([done.cut.split(": ")]) if done.cut else {}
    other = read(tmp_path, reader="manifest", path="cards/all.csv", **cut)
    assert other.values.equal(own.values)
    assert other.offsets.equal(own.offsets)
    shared = [name for name in own.table.columns if name not in ("id", "recording")]
    pd.testing.assert_frame_equal(other.table[shared], own.table[shared], check_dtype=False)


def test_paths_below_the_manifest_are_relative_and_others_are_whole(tmp_path: Path) -> None:
    folders(tmp_path / "set")
    write_manifest("audiofolder", tmp_path / "set", tmp_path / "all.csv", options={}, places=places(tmp_path))
    assert "path,split,label" in (tmp_path / "all.csv").read_text()
    assert "\nset/test/lig/c.wav,test,lig" in (tmp_path / "all.csv").read_text()
    write_manifest("audiofolder", tmp_path / "set", tmp_path / "far" / "all.csv", options={}, places=places(tmp_path))
    assert f"\n{tmp_path}/set/test/lig/c.wav,test,lig" in (tmp_path / "far" / "all.csv").read_text()


def test_what_cannot_be_imported_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "there.csv").write_text("mine")
    with pytest.raises(DataInvalid) as refused:
        write_manifest("kaldy", tmp_path, tmp_path / "there.csv", options={}, places=places(tmp_path))
    assert [one.message for one in refused.value.problems] == [
        "no layout is called 'kaldy'",
        "there is such a file already",
    ]
    kaldi(tmp_path / "set")
    text(tmp_path / "set" / "wav.scp", "rec1 audio/gone.wav", "rec2 audio/r2.wav")
    with pytest.raises(DataInvalid, match="there is no such file beside"):
        write_manifest("kaldi", tmp_path / "set", tmp_path / "all.csv", options={}, places=places(tmp_path))
    assert not (tmp_path / "all.csv").exists()
    assert (tmp_path / "there.csv").read_text() == "mine"


def test_the_command_imports_with_options(tmp_path: Path) -> None:
    clips(tmp_path / "set", "lig/anna/a.wav", "ven/bruno/b.wav")
    done = tswork(
        tmp_path, "data", "import", "audiofolder", "set", "--out", "all.csv", "-o", "folders=[region, speaker]"
    )
    assert (done.code, done.out) == (0, "reader: manifest\npath: all.csv\n")
    assert "wrote all.csv: 2 rows with path, speaker, region" in done.err
    wrong = tswork(tmp_path, "data", "import", "audiofolder", "set", "--out", "b.csv", "-o", "folders")
    assert wrong.code == 2
    assert "'folders' should be NAME=VALUE" in wrong.err


@pytest.mark.parametrize("layout", ["audiofolder", "kaldi", "lhotse"])
def test_a_card_for_a_folder_names_its_layout(tmp_path: Path, layout: str) -> None:
    make, _ = SETS[layout]
    make(tmp_path / "set")
    card = read_yaml(write_card("mine", tmp_path / "set", places=places(tmp_path))).data
    assert card["reader"] == layout
    assert card["label"] == {"audiofolder": "label", "kaldi": "dialect", "lhotse": "region"}[layout]


@pytest.mark.parametrize("path", ["set", "set/cuts.jsonl.gz"])
def test_a_card_for_cuts_of_lhotse_names_their_layout(tmp_path: Path, path: str) -> None:
    cuts(tmp_path / "set")
    card = read_yaml(write_card("mine", tmp_path / path, places=places(tmp_path))).data
    assert (card["reader"], card["label"], card["groups"]) == ("lhotse", "region", ["speaker"])


def test_a_card_for_a_table_of_s3prl_names_its_layout(tmp_path: Path) -> None:
    superb(tmp_path)
    for path in (tmp_path, tmp_path / "train.csv"):
        card = read_yaml(write_card("one" if path.suffix else "all", path, places=places(tmp_path))).data
        assert (card["reader"], card["label"]) == ("s3prl", "label")


def test_a_card_for_sound_has_a_rate_groups_and_a_split_for_each_label(tmp_path: Path) -> None:
    names = [f"{region}{who}_{clip}.wav" for region in ("lig", "ven") for who in range(3) for clip in range(2)]
    clips(tmp_path, *names)
    rows = [f"{name},{name[:3]},{name[:4]},{name[:4]}town" for name in names]
    text(tmp_path / "all.csv", "file,region,speaker,city", *rows)
    card = read_yaml(write_card("mine", tmp_path / "all.csv", places=places(tmp_path))).data
    assert card == {
        "title": "mine, from all.csv", "reader": "manifest", "path": "../all.csv", "columns": {"path": "file"},
        "label": "region", "groups": ["city", "speaker"],
        "split": {"by": "groups", "rule": "per_label", "fractions": [0.8, 0.1, 0.1]},
    }  # fmt: skip
    spec, problems = read_spec(resolve(Source({"card": "mine"}), places(tmp_path)))
    assert spec is not None, problems
    (split,) = open_splits(spec, places(tmp_path), seed=0)
    assert {len(part) for part in split.parts.values()} == {4}


def test_sound_of_several_rates_gets_one(tmp_path: Path) -> None:
    clips(tmp_path, "a.wav")
    write(tmp_path / "b.wav", tone(seconds=0.1))
    text(tmp_path / "all.csv", "path,label,split", "a.wav,x,train", "b.wav,x,test")
    card = read_yaml(write_card("mine", tmp_path / "all.csv", label="label", places=places(tmp_path))).data
    assert (card["rate"], card["split"]) == (16000, {"by": "official"})
