"""The canonical table of recordings: ids, parts, pieces, and everything that is wrong with them before anything is opened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.opening import faults, inspect, read
from tests.data.sounds import tone, write
from tswork.data.part_words import parts_by_word
from tswork.data.spec import DataSpec
from tswork.data.splits import make_splits

BLOCK: dict[str, Any] = {"reader": "manifest", "path": "all.csv", "cut": "none"}
OFFICIAL = {"by": "official"}


def listed(folder: Path, head: str, *rows: str) -> None:
    """A manifest, and a short tone for every file it names."""
    (folder / "all.csv").write_text("\n".join([head, *rows]) + "\n")
    for number, row in enumerate(rows):
        path = folder / row.split(",")[0]
        if not path.exists():
            write(path, tone(200.0 + 10 * number, seconds=1.0))


@pytest.mark.parametrize("read_values", [True, False])
def test_a_piece_is_told_by_its_start_and_duration_in_seconds(tmp_path: Path, read_values: bool) -> None:
    listed(tmp_path, "path,start,duration", "a.wav,0.25,0.5", "a.wav,0.5,", "b.wav,,0.1")
    block = {"reader": "manifest", "path": "all.csv"}
    if not read_values:
        inspect(tmp_path, **block)
        return
    found = read(tmp_path, **block)
    assert found.lengths.tolist() == [8000, 8000, 1600]
    assert found.table["id"].tolist() == ["a.wav:4000-12000", "a.wav:8000-16000", "b.wav:0-1600"]
    assert found.table["recording"].tolist() == ["a.wav", "a.wav", "b.wav"]


def test_pieces_are_the_same_seconds_at_another_rate(tmp_path: Path) -> None:
    listed(tmp_path, "path,start,duration", "a.wav,0.25,0.5")
    assert read(tmp_path, reader="manifest", path="all.csv", rate=8000.0).lengths.tolist() == [4000]


def test_steps_are_those_of_the_file_at_another_rate(tmp_path: Path) -> None:
    listed(tmp_path, "path,start,stop", "a.wav,4000,12000")
    found = read(tmp_path, reader="manifest", path="all.csv", cut="steps", rate=8000.0)
    assert found.table["id"].tolist() == ["a.wav:2000-6000"]


def test_whole_recordings_are_read_where_start_and_duration_mean_something_else(tmp_path: Path) -> None:
    listed(tmp_path, "path,start,duration", "a.wav,2024-01-01,long")
    assert read(tmp_path, **BLOCK).lengths.tolist() == [16000]
    assert faults(tmp_path, reader="manifest", path="all.csv")[0] == (
        "all.csv:2:1  start: '2024-01-01' is not a number. Where it tells no piece of the recording, give `cut: none`."
    )


def test_a_duration_alone_cuts_nothing(tmp_path: Path) -> None:
    listed(tmp_path, "path,duration", "a.wav,0.5")
    assert read(tmp_path, reader="manifest", path="all.csv").lengths.tolist() == [16000]


def test_an_empty_id_is_the_path(tmp_path: Path) -> None:
    listed(tmp_path, "path,id", "a.wav,first", "b.wav,")
    assert read(tmp_path, **BLOCK).table["id"].tolist() == ["first", "b.wav"]


def test_paths_may_start_at_another_root(tmp_path: Path) -> None:
    write(tmp_path / "far" / "x" / "a.wav", tone())
    (tmp_path / "all.csv").write_text("path\n{root}/x/a.wav\n")
    assert len(read(tmp_path, **BLOCK, root="far")) == 1
    (tmp_path / "all.csv").write_text("path\n{root}/far/x/a.wav\n")
    assert len(read(tmp_path, **BLOCK)) == 1, "without a root the manifest's own folder"
    assert "there is no such folder" in faults(tmp_path, **BLOCK, root="nowhere")[0]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_id_that_stands_twice_is_told_with_both_rows(tmp_path: Path, form: str) -> None:
    listed(tmp_path, "path,id", "a.wav,x", "b.wav,y", "c.wav,x")
    if form == "jsonl":
        rows = [{"path": "a.wav", "id": "x"}, {"path": "b.wav", "id": "y"}, {"path": "c.wav", "id": "x"}]
        (tmp_path / "all.jsonl").write_text("\n" + "\n".join(map(json.dumps, rows)))
    told = faults(tmp_path, inspect, reader="manifest", path=f"all.{form}")
    first, again = (2, 4)
    assert told == [
        f"all.{form}:{again}:1  id: 'x' is the id of line {first} already. Give every row an id of its own; a column of"
        " persons has another name (`columns: {patient: id}`)."
    ]


def test_the_same_piece_may_not_stand_twice(tmp_path: Path) -> None:
    listed(tmp_path, "path,start,duration", "a.wav,0,0.5", "a.wav,0.5,0.5", "a.wav,0,0.5")
    assert faults(tmp_path, reader="manifest", path="all.csv") == [
        "all.csv:4:1  a.wav: is the piece of line 2 again. Remove one of the two."
    ]


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["train", "dev", "test"], ["train", "validation", "test"]),
        (["Training", "VALID", "testing"], ["train", "validation", "test"]),
        (["train", "val", "eval"], ["train", "validation", "test"]),
        (["train", "eval"], ["train", "test"]),
        (["train", "eval", "test"], ["train", "validation", "test"]),
    ],
)
def test_parts_have_many_names(words: list[str], parts: list[str]) -> None:
    assert [parts_by_word(words)[word] for word in words] == parts


def test_eval_beside_both_others_stays_unclear() -> None:
    assert set(parts_by_word(["train", "dev", "test", "eval", "other"])) == {"train", "dev", "test"}


def test_a_column_of_parts_is_the_official_split(tmp_path: Path) -> None:
    rows = [f"{n}.wav,{'xy'[n % 2]},{('train', 'dev', 'eval')[n // 2]}" for n in range(6)]
    listed(tmp_path, "path,label,split", *rows)
    block = {**BLOCK, "label": "label", "split": OFFICIAL}
    spec = DataSpec.parse(block)
    assert spec.split is not None
    (split,) = make_splits(read(tmp_path, **block), spec.split, seed=0)
    assert [part.table["id"].tolist() for part in split.parts.values()] == [
        ["0.wav", "1.wav"], ["2.wav", "3.wav"], ["4.wav", "5.wav"],
    ]  # fmt: skip


def test_all_faults_of_a_table_are_told_at_once_with_their_rows(tmp_path: Path) -> None:
    rows = ["a.wav,1,x,train", "b.wav,2,x,tset", "c.wav,2,y,test", "d.wav,4,y,", "gone.wav,5,x,train"]
    listed(tmp_path, "path,id,label,split", *rows)
    (tmp_path / "gone.wav").unlink()
    told = faults(tmp_path, inspect, **BLOCK, label="label", split=OFFICIAL)
    assert [one.partition("  ")[0] for one in told] == [f"all.csv:{line}:1" for line in (6, 4, 3, 5)]
    assert "there is no such file" in told[0]
    assert "'2' is the id of line 3 already" in told[1]
    assert told[2].endswith("split: 'tset' is no part. Write train, validation, test, or another usual word for it.")
    assert "split: the row is in no part" in told[3]


def test_a_class_without_a_training_row_is_told(tmp_path: Path) -> None:
    listed(tmp_path, "path,label,split", "a.wav,x,train", "b.wav,y,train", "c.wav,z,test", "d.wav,z,dev")
    assert faults(tmp_path, inspect, **BLOCK, label="label", split=OFFICIAL) == [
        "all.csv:4:1  label: the class 'z' has no row in the training part"
    ]


def test_one_group_a_class_is_told_before_anything_is_read(tmp_path: Path) -> None:
    listed(tmp_path, "path,region,speaker", "a.wav,x,p", "b.wav,x,p", "c.wav,y,q")
    block = {**BLOCK, "label": "region", "groups": ["speaker"]}
    assert faults(tmp_path, inspect, **block, split={"by": "groups"}) == [
        "all.csv:1:1  speaker: every class of 'region' has one 'speaker' only (x has p, y has q), so no split by groups can"
        " judge it. Add recordings of other values of 'speaker'."
    ]
    inspect(tmp_path, **block, split={"by": "sequences"})


def test_what_a_preparation_may_mend_is_left_to_it(tmp_path: Path) -> None:
    listed(tmp_path, "path,label,split", "a.wav,x,train", "b.wav,y,train", "c.wav,z,test", "d.wav,x,test")
    select = [{"uses": "select", "drop": [{"label": "z"}]}]
    inspect(tmp_path, **BLOCK, label="label", split=OFFICIAL, prepare=select)
    standardize = [{"uses": "standardize"}]
    assert len(faults(tmp_path, inspect, **BLOCK, label="label", split=OFFICIAL, prepare=standardize)) == 1


def test_the_official_split_refuses_classes_that_training_does_not_see(tmp_path: Path) -> None:
    listed(tmp_path, "path,label,split", "a.wav,x,train", "b.wav,y,train", "c.wav,z,test")
    spec = DataSpec.parse({**BLOCK, "label": "label", "split": OFFICIAL})
    assert spec.split is not None
    collection = read(tmp_path, **BLOCK, label="label")
    with pytest.raises(Exception, match="classes without training data in the official split: z"):
        make_splits(collection, spec.split, seed=0)


def test_values_are_those_of_the_files(tmp_path: Path) -> None:
    listed(tmp_path, "path", "a.wav")
    found = read(tmp_path, **BLOCK)
    assert (found.channels, found.rate) == (("sound",), 16000.0)
    assert np.abs(found.values.numpy()).max() == 16384
