"""Fluent Speech Commands in its own layout: what was said with its commas, intents of three slots, the official split, and faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.layouts import FLUENT, fluent
from tests.data.opening import faults, inspect, read
from tswork.data.checking import check_data
from tswork.data.opening import open_splits, resolve_spec
from tswork.data.places import Places
from tswork.errors import LeakFound

SET = "fluent_speech_commands_dataset"
BLOCK = {"reader": "fluent_speech_commands", "path": "set"}


def test_rows_are_commands_with_their_slots_and_intent(tmp_path: Path) -> None:
    fluent(tmp_path / "set")
    found = read(tmp_path, **BLOCK, label="intent", groups=["speaker"])
    columns = ["id", "speaker", "text", "action", "object", "location", "intent", "split"]
    rows = sorted(found.table[columns].itertuples(index=False, name=None))
    assert rows[0] == (
        "wavs/speakers/anna/train-0.wav", "anna", "Turn on the lights", "activate", "lights", "none",
        "activate_lights_none", "train",
    )  # fmt: skip
    assert {row[-1] for row in rows} == {"train", "validation", "test"}
    assert found.classes == (
        "activate_lights_none", "bring_newspaper_none", "change language_none_none", "increase_heat_kitchen",
    )  # fmt: skip
    assert set(found.table.columns) == set(columns), "the index without a name is no column"


def test_commas_inside_a_transcription_are_part_of_it(tmp_path: Path) -> None:
    fluent(tmp_path / "set")
    said = set(read(tmp_path, **BLOCK).table["text"])
    assert said == {row[1] for rows in FLUENT.values() for row in rows}
    assert "Turn the heat up, in the kitchen" in said


def test_columns_are_read_by_name_wherever_they_stand(tmp_path: Path) -> None:
    own = read(fluent(tmp_path / "set").parent, **BLOCK)
    for path in (tmp_path / "set" / "data").glob("*.csv"):
        text = path.read_text().replace("speakerId", "who")
        path.write_text("".join(f"{line},x\n" if line[0] != "," else f"{line},more\n" for line in text.splitlines()))
    found = read(tmp_path, **BLOCK, columns={"speaker": "who"})
    shared = list(own.table.columns)
    assert found.table[shared].equals(own.table[shared])
    assert set(found.table["more"]) == {"x"}


def test_files_that_are_not_there_are_told_together(tmp_path: Path) -> None:
    fluent(tmp_path / "set")
    for part in ("train", "test"):
        (tmp_path / "set" / "data" / f"{part}_data.csv").unlink()
    remedy = "Give the folder `fluent_speech_commands_dataset` of the archive as `path`, with its three files in data/."
    assert faults(tmp_path, inspect, **BLOCK) == [
        f"set/data/{part}_data.csv  there is no such file. {remedy}" for part in ("train", "test")
    ]


def test_faults_of_rows_in_all_files_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    fluent(tmp_path / "set")
    train, test = (tmp_path / "set" / "data" / f"{part}_data.csv" for part in ("train", "test"))
    train.write_text(train.read_text().replace("lights,none", ",none").replace("Kitchen heat up", ""))
    test.write_text(test.read_text().replace("speakerId", "who"))
    remedy = "Mend the row, or leave it out of the file."
    assert faults(tmp_path, inspect, **BLOCK) == [
        f"set/data/train_data.csv:4:1  transcription: the cell is empty. {remedy}",
        f"set/data/train_data.csv:2:1  object: the cell is empty. {remedy}",
        "set/data/test_data.csv:1:1  has no column 'speakerId'. Name it with `columns: {speaker: THEIRS}`.",
    ]


def test_a_transcription_whose_comma_is_not_quoted_is_refused_and_not_cut(tmp_path: Path) -> None:
    fluent(tmp_path / "set")
    for part, line in (("train", 3), ("valid", 3)):
        path = tmp_path / "set" / "data" / f"{part}_data.csv"
        path.write_text(path.read_text().replace('"', ""))
        told = [one for one in faults(tmp_path, inspect, **BLOCK) if one.startswith(f"set/data/{part}")]
        assert told[0].startswith(f"set/data/{part}_data.csv:{line}:1  has 8 cells where the header has 7")


def test_a_recording_that_is_not_there_is_told_at_its_row(tmp_path: Path) -> None:
    fluent(tmp_path / "set")
    (tmp_path / "set" / "wavs/speakers/anna/train-1.wav").unlink()
    assert faults(tmp_path, inspect, **BLOCK) == [
        "set/data/train_data.csv:3:1  wavs/speakers/anna/train-1.wav: there is no such file beside the manifest or below"
        " a data root"
    ]


def test_the_card_takes_the_official_split_and_is_without_faults(tmp_path: Path) -> None:
    fluent(tmp_path / "data" / SET)
    at = Places(tmp_path, tmp_path, tmp_path / "data")
    spec = resolve_spec({"card": "fluent_speech_commands"}, at)
    (split,) = open_splits(spec, at, seed=0)
    assert [len(part) for part in split.parts.values()] == [4, 2, 2]
    assert split.groups == ("speaker",)
    assert [one.text for one in check_data(spec, at) if one.severe] == []


def test_a_speaker_in_two_parts_is_refused(tmp_path: Path) -> None:
    fluent(tmp_path / "data" / SET, {**FLUENT, "test": [("anna", *FLUENT["test"][0][1:])]})
    at = Places(tmp_path, tmp_path, tmp_path / "data")
    with pytest.raises(LeakFound, match="1 value of 'speaker' is in train and test: anna"):
        open_splits(resolve_spec({"card": "fluent_speech_commands"}, at), at, seed=0)


def test_paths_may_start_elsewhere(tmp_path: Path) -> None:
    fluent(tmp_path / "set")
    (tmp_path / "set" / "wavs").rename(tmp_path / "wavs")
    assert len(read(tmp_path, **BLOCK, root=".")) == 8
