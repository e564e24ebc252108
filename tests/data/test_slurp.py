"""SLURP in its own layout: a row a recording with what its sentence means, microphones, parts, what is left out, and faults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import tswork
from tests.data.layouts import SLURP, json_lines, slurp, slurp_sentence, text
from tests.data.opening import faults, inspect, places, read
from tests.data.sounds import tone, write
from tswork.data.checking import check_data
from tswork.data.collection import Collection
from tswork.data.digests import source_digest
from tswork.data.opening import open_splits, resolve_spec
from tswork.data.places import Places
from tswork.data.spec import DataSpec
from tswork.errors import LeakFound

BLOCK = {"reader": "slurp", "path": "set"}
EVERYTHING = ["train", "train_synthetic", "devel", "test"]


def rows(folder: Path, *columns: str, **block: Any) -> list[tuple[Any, ...]]:
    table = read(folder, **BLOCK, **block).table
    return sorted(table[list(columns)].itertuples(index=False, name=None), key=str)


def row(found: Collection, name: str, *columns: str) -> list[Any]:
    (one,) = found.table.loc[found.table["id"] == name, list(columns)].to_numpy().tolist()
    return list(one)


def ids(folder: Path, **block: Any) -> list[str]:
    return [one for one, in rows(folder, "id", **block)]  # fmt: skip


def test_every_recording_is_a_row_with_what_its_sentence_means(tmp_path: Path) -> None:
    slurp(tmp_path / "set")
    found = read(tmp_path, **BLOCK, label="intent", groups=["slurp_id"])
    assert len(found) == 11
    columns = ["slurp_id", "text", "scenario", "action", "intent", "slots", "microphone", "wer", "split"]
    assert set(found.table.columns) == {"id", *columns}
    assert row(found, "audio-1", *columns) == [
        11, "wake me at Five Pm on monday", "alarm", "set", "alarm_set", '[["time", "five pm"], ["date", "monday"]]',
        "other", 0.25, "train",
    ]  # fmt: skip
    assert row(found, "audio-2-headset", "microphone", "slots") == ["headset", "[]"]
    assert row(found, "audio-5", "intent", "split") == ["play_music", "validation"], "not the field `intent`"
    assert row(found, "audio-7", "slots") == ['[["person", "jo"]]']
    assert found.table["slurp_id"].nunique() == 8


def test_people_come_from_the_metadata_where_they_are_there(tmp_path: Path) -> None:
    slurp(tmp_path / "set")
    assert "speaker" not in read(tmp_path, **BLOCK).table.columns
    before = source_digest(DataSpec.parse(BLOCK), places(tmp_path))
    people = {"audio-1-headset.flac": {"usrid": "FE-1"}, "audio-1.flac": {"usrid": "FE-1"}, "audio-2-headset.flac": {}}
    path = tmp_path / "set" / "dataset" / "slurp" / "metadata.json"
    path.write_text(json.dumps({"11": {"recordings": people}}))
    known = read(tmp_path, **BLOCK).table.dropna(subset="speaker")
    assert dict(zip(known["id"], known["speaker"], strict=True)) == {"audio-1-headset": "FE-1", "audio-1": "FE-1"}
    assert source_digest(DataSpec.parse(BLOCK), places(tmp_path)) != before
    path.write_text('{"11": 3}')
    assert faults(tmp_path, inspect, **BLOCK) == [
        "set/dataset/slurp/metadata.json  should be JSON, `{slurp_id: {recordings: {file: {usrid: ...}}}}`. Get the file"
        " again, or remove it: recordings then have no speaker."
    ]


def test_synthetic_voices_train_when_they_are_asked_for(tmp_path: Path) -> None:
    slurp(tmp_path / "set")
    assert "audio-10-synth" not in ids(tmp_path)
    found = rows(tmp_path, "microphone", "split", "id", tables=EVERYTHING)
    assert found[-1] == ("synthetic", "train", "audio-10-synth")
    assert "audio-10-synth" in ids(tmp_path, tables=EVERYTHING, microphone="headset"), "they have no microphone"


@pytest.mark.parametrize(
    "where",
    [
        {"texts": "{}.jsonl", "real": "slurp_real", "synthetic": "slurp_synth"},
        {"texts": "{}.jsonl", "real": "audio", "synthetic": "audio"},
        {"texts": "{}.jsonl", "real": ".", "synthetic": "."},
        {"texts": "dataset/slurp/{}.jsonl.gz"},
    ],
)
def test_recordings_and_texts_may_lie_otherwise(tmp_path: Path, where: dict[str, str]) -> None:
    slurp(tmp_path / "usual")
    slurp(tmp_path / "other", SLURP, **where)
    tables = [read(tmp_path, reader="slurp", path=name, tables=EVERYTHING) for name in ("usual", "other")]
    assert tables[0].table.equals(tables[1].table)
    assert tables[0].values.equal(tables[1].values)


def test_one_microphone_is_read_and_the_others_are_counted(tmp_path: Path) -> None:
    slurp(tmp_path / "set")
    close, distant = (read(tmp_path, **BLOCK, microphone=one) for one in ("headset", "other"))
    assert sorted(close.table["id"]) == ["audio-1-headset", "audio-2-headset", "audio-5-headset", "audio-8-headset"]
    assert close.notes == ("7 of 11 recordings are left out: `microphone: headset`",)
    assert len(distant) == 7
    assert not set(distant.table["id"]) & set(close.table["id"])


def test_long_recordings_and_sentences_are_left_out_by_headers_and_texts_when_asked_for(tmp_path: Path) -> None:
    slurp(tmp_path / "set")
    write(tmp_path / "set/audio/slurp_real/audio-4.flac", tone(99.0, rate=8000, seconds=0.5), 8000)
    assert read(tmp_path, **BLOCK).notes == ()
    found = read(tmp_path, **BLOCK, longest_seconds=0.2, longest_characters=20)
    assert set(ids(tmp_path)) - set(found.table["id"]) == {"audio-1", "audio-1-headset", "audio-4"}
    assert found.notes == ("3 of 11 recordings are left out: `longest_characters: 20`",), "audio-4 is both"
    assert read(tmp_path, **BLOCK, longest_seconds=0.2).notes == (
        "1 of 11 recordings is left out: `longest_seconds: 0.2`",
    )
    assert len(read(tmp_path, **BLOCK, longest_seconds=0.5)) == 11, "the limit itself is not too long"
    assert "no recording is left" in faults(tmp_path, inspect, **BLOCK, longest_seconds=0.01)[0]


def test_a_recording_that_is_named_again_is_read_once_and_not_trained_on(tmp_path: Path) -> None:
    again = slurp_sentence(14, "play jazz", "play", "music", "audio-7.flac", "audio-11.flac", "audio-11.flac")
    slurp(tmp_path / "set", {**SLURP, "train": [again, *SLURP["train"]]})
    found = read(tmp_path, **BLOCK)
    assert found.notes == ("2 of 14 recordings are left out: they are named already, and each is read once",)
    assert row(found, "audio-7", "split", "slurp_id") == ["test", 31]


def test_columns_may_be_called_otherwise(tmp_path: Path) -> None:
    slurp(tmp_path / "set")
    found = read(tmp_path, **BLOCK, columns={"domain": "scenario"}, label="domain")
    assert found.classes == ("alarm", "iot", "play")


def test_tables_that_are_not_there_are_told_together(tmp_path: Path) -> None:
    slurp(tmp_path / "set", {"devel": SLURP["devel"]})
    remedy = "there is no such table. Name others with `tables: [...]`; there are devel."
    assert faults(tmp_path, inspect, **BLOCK) == [
        f"set/dataset/slurp/{name}.jsonl  {remedy}" for name in ("test", "train")
    ]
    assert len(read(tmp_path, **BLOCK, tables=["devel"])) == 3


def test_faults_of_lines_in_all_tables_are_told_at_once(tmp_path: Path) -> None:
    slurp(tmp_path / "set")
    good = SLURP["train"][0]
    bad = [
        {**good, "scenario": " "},
        {key: cell for key, cell in good.items() if key not in ("recordings", "slurp_id")},
        {**good, "entities": [{"type": "time", "span": [3, 9]}, {"type": "date"}]},
        {**good, "tokens": [{"id": 0}], "entities": [], "recordings": [{"wer": 1.0}]},
    ]
    json_lines(tmp_path / "set/dataset/slurp/train.jsonl", [good, *bad])
    text(tmp_path / "set/dataset/slurp/test.jsonl", "{}", "[3]")
    remedy = "Mend the line, or leave it out of the file."
    told = faults(tmp_path, inspect, **BLOCK)
    assert told[0] == "set/dataset/slurp/test.jsonl:2:1  should be a JSON object"
    assert told[1:] == [
        f"set/dataset/slurp/train.jsonl:{line}:1  {fault}. {remedy}"
        for line, fault in (
            (2, "has no 'scenario'"),
            (3, "has no 'slurp_id'"),
            (3, "'recordings' is no list of JSON objects"),
            (4, "the span [3, 9] of 'time' names tokens that are not there (there are 7)"),
            (4, "the entity {'type': 'date'} lacks its 'type' or 'span'"),
            (5, "a token lacks its 'id' or 'surface'"),
            (5, "a recording lacks its 'file'"),
        )
    ]


def test_recordings_that_are_not_there_are_told_at_the_line_of_their_sentence(tmp_path: Path) -> None:
    slurp(tmp_path / "set")
    (tmp_path / "set/audio/slurp_real/audio-4.flac").unlink()
    for options in ({}, {"longest_seconds": 7.0}):
        assert faults(tmp_path, inspect, **BLOCK, **options) == [
            "set/dataset/slurp/train.jsonl:3:1  audio/slurp_real/audio-4.flac: there is no such file beside the manifest or"
            " below a data root"
        ]


def test_the_card_takes_the_official_split_and_is_without_faults(tmp_path: Path) -> None:
    slurp(tmp_path / "data" / "slurp")
    at = Places(tmp_path, tmp_path, tmp_path / "data")
    spec = resolve_spec({"card": "slurp"}, at)
    (split,) = open_splits(spec, at, seed=0)
    assert [len(part) for part in split.parts.values()] == [5, 3, 3]
    assert split.groups == ("slurp_id",)
    assert [one.text for one in check_data(spec, at) if one.severe] == []
    told = tswork(tmp_path, "data", "check", "slurp", "--data-root", str(tmp_path / "data"))
    assert told.code == 0, told.err


def test_a_sentence_in_two_parts_is_refused(tmp_path: Path) -> None:
    shared = slurp_sentence(11, "lights", "iot", "hue_lightoff", "audio-12.flac")
    slurp(tmp_path / "data" / "slurp", {**SLURP, "test": [*SLURP["test"], shared]})
    at = Places(tmp_path, tmp_path, tmp_path / "data")
    with pytest.raises(LeakFound, match="1 value of 'slurp_id' is in train and test: 11"):
        open_splits(resolve_spec({"card": "slurp"}, at), at, seed=0)
