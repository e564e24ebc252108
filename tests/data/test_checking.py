"""Looking for what may be wrong with a set before anything trains, with and without reading values; and describing it."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.data.opening import places
from tswork.data.checking import check_collection, check_data
from tswork.data.checking_labels import check_splits
from tswork.data.collection import Collection
from tswork.data.describing import describe
from tswork.data.spec import DataSpec
from tswork.data.split_spec import SplitSpec

BLOCK: dict[str, Any] = {"reader": "series_csv", "path": "x.csv", "split": {"by": "time", "fractions": [0.6, 0.2, 0.2]}}


def findings(folder: Path, read_values: bool = True, **block: Any) -> list[tuple[str, str, bool]]:
    found = check_data(DataSpec.parse({**BLOCK, **block}), places(folder), read_values=read_values)
    return [(one.what, one.text.replace(f"{folder}/", ""), one.severe) for one in found]


def series(folder: Path, **columns: Any) -> None:
    pd.DataFrame(columns or {"a": np.arange(20.0), "b": np.arange(20.0) ** 2}).to_csv(folder / "x.csv", index=False)


@pytest.mark.parametrize("read_values", [True, False])
def test_a_sound_set_has_no_findings(tmp_path: Path, read_values: bool) -> None:
    series(tmp_path)
    assert findings(tmp_path, read_values) == []


@pytest.mark.parametrize("read_values", [True, False])
def test_missing_empty_and_changed_files_are_faults_either_way(tmp_path: Path, read_values: bool) -> None:
    (what, text, severe) = findings(tmp_path, read_values)[0]
    assert (what, severe) == ("files", True)
    assert text.startswith("x.csv  there is no such file")
    (tmp_path / "x.csv").write_text("")
    assert findings(tmp_path, read_values) == [("files", "x.csv is empty", True)]
    series(tmp_path)
    digest = hashlib.sha256((tmp_path / "x.csv").read_bytes()).hexdigest()
    wrong = [{"name": "x.csv", "sha256": "0" * 64}]
    assert findings(tmp_path, read_values, files=wrong) == [
        ("digest", f"x.csv has sha256 {digest}, the card says {'0' * 64}", True)
    ]
    assert findings(tmp_path, read_values, files=[{"name": "x.csv", "sha256": digest}]) == []


def test_a_file_that_was_gzipped_since_is_compared_by_its_content(tmp_path: Path) -> None:
    content = b"a\n" + b"".join(b"%d\n" % number for number in range(20))
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(content))
    files = [{"name": "x.csv", "sha256": hashlib.sha256(content).hexdigest()}]
    assert findings(tmp_path, files=files) == []
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(content + b"1\n"))
    assert findings(tmp_path, files=files)[0][0] == "digest"
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(content)[:-9])
    assert "is truncated or not gzip" in findings(tmp_path, files=files)[0][1]


def test_columns_are_checked_without_values_and_cells_only_with_them(tmp_path: Path) -> None:
    series(tmp_path, a=["1", "x", *("2" for _ in range(18))])
    assert findings(tmp_path, False) == []
    assert findings(tmp_path, True) == [("content", "x.csv:3:1  a: 'x' is not a number", True)]
    assert "there is no channel 'b'" in findings(tmp_path, False, target="b")[0][1]


def test_the_split_of_the_card_is_tried(tmp_path: Path) -> None:
    series(tmp_path)
    assert findings(tmp_path, split={"by": "time", "counts": [10, 10, 10]}) == [
        (
            "split",
            "data.split.counts: 1 sequence is shorter than the 30 steps of counts (the shortest has 20). Use fractions.",
            True,
        )
    ]
    assert findings(tmp_path, prepare=[{"uses": "segment", "steps": 30}])[0][1].startswith(
        "data.prepare: 1 of 1 sequence is shorter"
    )


def collection(values: list[Any], **fields: Any) -> Collection:
    columns = {name: one for name, one in fields.items() if isinstance(one, list)}
    others = {name: one for name, one in fields.items() if not isinstance(one, list)}
    cases = [np.asarray(one, np.float32).reshape(-1, 1) for one in values]
    table = pd.DataFrame({"id": [f"s{row}" for row in range(len(cases))], **columns})
    return Collection.from_sequences(cases, table=table, **others)


def noted(data: Collection) -> list[tuple[str, str, bool]]:
    return [(one.what, one.text, one.severe) for one in check_collection(data)]


def distinct(count: int, length: int = 20) -> list[Any]:
    return list(np.random.default_rng(0).normal(size=(count, length)))


@pytest.mark.parametrize(
    ("data", "finding"),
    [
        (collection([[1, np.nan, 2, 4]]), ("missing", "25.00% of the values of 'channel_0' are missing", False)),
        (collection([[np.nan] * 3]), ("missing", "100.00% of the values of 'channel_0' are missing", True)),
        (collection([[2, 2, 2, 2]]), ("constant", "the channel 'channel_0' is constant (2)", False)),
        (collection([[], [1, 2]]), ("length", "1 sequence is empty", True)),
        (collection([*distinct(3, 100), [1, 2]]), ("length", "1 sequence is shorter than a tenth of the median", False)),
        (collection([*distinct(2), *distinct(1)]), ("duplicate", "1 sequence repeats the content of another: s0 and s2", False)),
        (collection(distinct(4), k=["a", "a", "b", "b"], g=["p", "q", None, "q"], groups=("g",)), ("groups", "1 sequence has no 'g', and no split takes them without a reason: s2", False)),
        (collection(distinct(3), k=["a", "a", "b"], label="k"), ("classes", "classes with a single sequence: b", False)),
        (collection(distinct(22), k=["a"] * 20 + ["b"] * 2, label="k"), ("classes", "the largest class has 20 sequences, the smallest 2; look at balanced accuracy", False)),
        (collection(distinct(8), k=list("aaaabbbb"), g=list("ppqqrrss"), label="k", groups=("g",)), ("confounding", "every 'g' has one label only: split by 'g', or the model may learn it instead", False)),
        (collection(distinct(4), k=list("aabb"), g=list("ppqq"), label="k", groups=("g",)), ("confounding", "there is one 'g' a class, so no split by 'g' can judge the label", True)),
        (collection([[1, 2, 3, 4, 5]]).replaced(times=torch.tensor([0, 1, 2, 4, 5]) * 10**9), ("time", "1 of 4 time steps differs from the usual 1 s, in s0; windows and horizons count rows", False)),
    ],
)  # fmt: skip
def test_what_may_mislead_is_found(data: Collection, finding: tuple[str, str, bool]) -> None:
    assert finding in noted(data)


def test_rows_without_a_group_are_told_by_what_the_split_does_with_them() -> None:
    data = collection(distinct(4), g=["p", "q", None, None], groups=("g",))
    texts = {
        rule: [
            one.text
            for one in check_collection(data, SplitSpec.model_validate({"by": "groups", "ungrouped": rule}))
            if one.what == "groups"
        ]
        for rule in ("refuse", "alone")
    }
    assert texts == {
        "refuse": ["2 sequences have no 'g', and no split takes them without a reason: s2, s3"],
        "alone": ["2 sequences have no 'g', and each is taken for a group of its own: s2, s3"],
    }


@pytest.mark.parametrize(
    ("split", "told"),
    [
        (None, True),
        ({"by": "groups"}, False),
        ({"by": "official"}, False),
        ({"by": "time", "fractions": [0.6, 0.2, 0.2]}, True),
        ({"by": "groups", "group": "other", "allow_leak": "to see what it is worth"}, True),
    ],
)
def test_a_group_that_knows_the_label_is_told_where_parts_may_share_it(
    split: dict[str, Any] | None, told: bool
) -> None:
    data = collection(distinct(8), k=list("aaaabbbb"), g=list("ppqqrrss"), label="k", groups=("g",))
    found = check_collection(data, None if split is None else SplitSpec.model_validate(split))
    assert any(one.what == "confounding" for one in found) is told


def test_an_empty_column_of_groups_is_a_fault_for_what_it_is() -> None:
    table = pd.DataFrame({"id": ["a", "b", "c", "d"], "kind": ["x", "y"] * 2, "speaker": [None] * 4})
    data = Collection.from_sequences(
        [np.full((5, 1), number, np.float32) for number in range(4)], table=table, label="kind", groups=("speaker",)
    )
    assert [one.text for one in check_collection(data) if one.what == "confounding"] == []
    spec = DataSpec.parse(
        {"reader": "manifest", "path": "m.csv", "split": {"by": "groups", "fractions": [0.5, 0, 0.5]}}
    )
    (found,) = [one for one in check_splits(data, spec) if one.severe]
    assert "no sequence has a 'speaker', so that nobody can tell which belong together" in found.text


def test_what_no_split_can_mend_is_told_whatever_the_split() -> None:
    data = collection(distinct(8), k=list("aaaabbbb"), g=list("ppqqrrrr"), label="k", groups=("g",))
    found = [one.text for one in check_collection(data, SplitSpec(by="groups")) if one.what == "confounding"]
    assert found == ["1 class has one 'g' only: b"]


def patients(count: int = 10, each: int = 4, **columns: list[Any]) -> Collection:
    """Trials of patients, every second one ill; columns replace those of the table."""
    who = [f"p{row // each:02}" for row in range(count * each)]
    kinds = [["ill", "well"][row // each % 2] for row in range(count * each)]
    return collection(distinct(count * each), **{"who": who, "k": kinds, **columns}, label="k", groups=("who",))


@pytest.mark.parametrize(
    ("data", "finding"),
    [
        (collection([[1, 1, 1], [1, 2, 3], [2, 3, 3]]), ("flat", "1 sequence has a flat channel (channel_0): s0; `prepare: [{uses: quality, flat: drop}]` leaves them out", False)),
        (patients(k=["ill", "well"] * 20), None),
        (patients(k=["well", "ill", "ill", "ill", *(["well"] * 4 + ["ill"] * 4) * 4, *["well"] * 4]), ("labels", "1 of 10 values of 'who' has several labels: p00 (ill, well); where the label is the who's own, give `label_per: who`", False)),
        (patients(who=["7", "07", *(f"p{row}" for row in range(38))]), ("groups", "ids of 'who' differ in leading zeros or large letters alone: 07 and 7", False)),
        (collection([[], [1, 2], [2, 1]], who=list("abb"), groups=("who",)), ("groups", "1 value of 'who' has empty sequences alone: a", True)),
        (patients(trial=[row % 4 for row in range(40)]).replaced(groups=("who", "trial")), ("groups", "The values of 'trial' come again in several of 'who': if it counts inside each of these, leave it out of the groups, since 'who' keeps them together.", False)),
    ],
)  # fmt: skip
def test_what_is_odd_about_patients_is_found(data: Collection, finding: tuple[str, str, bool] | None) -> None:
    if finding is None:
        assert not [one for one in noted(data) if one[0] == "labels"], "a label that changes in many groups is meant to"
    else:
        assert finding in noted(data)


def split_findings(data: Collection, **split: Any) -> list[tuple[str, bool, bool]]:
    spec = DataSpec.parse({**BLOCK, "label": "k", "split": split})
    return [(one.text, one.severe, one.fact) for one in check_splits(data, spec)]


def test_classes_and_patients_of_each_part_are_told() -> None:
    assert split_findings(patients(), by="groups", lists={"validation": ["p00", "p01"], "test": ["p02", "p03"]}) == [
        ("lists: train 12 ill, 12 well (of 6 who); validation 4 ill, 4 well (of 2 who); test 4 ill, 4 well (of 2 who)", False, True)
    ]  # fmt: skip
    assert [text for text, _, _ in split_findings(patients(), by="groups", repeats=9)][-1] == "and 4 more"


def test_a_part_of_one_class_is_found_before_it_spoils_a_result() -> None:
    found = split_findings(patients(), by="groups", lists={"validation": ["p00"], "test": ["p01", "p03"]})
    assert [one for one in found if not one[2]] == [
        ("the validation part of lists holds one class only (ill), so no AUROC is defined there", False, False),
        ("the test part of lists holds one class only (well), so no AUROC is defined there", False, False),
    ]


def test_fewer_patients_than_folds_are_a_fault() -> None:
    assert split_findings(patients(4), by="groups", folds=5) == [
        ("data.split: 4 groups are fewer than 5 folds. Use fewer folds.", True, False)
    ]


def test_what_a_preparation_leaves_out_is_told_as_a_fact(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(4, 1, 8)).astype(np.float32)
    values[3] = 0
    np.savez(tmp_path / "x.npz", x=values, who=np.array(list("aabb")), id=np.array(list("pqrs")))
    spec = DataSpec.parse(
        {"reader": "arrays", "path": "x.npz", "values": "x", "groups": ["who"], "prepare": [{"uses": "quality", "flat": "drop"}]}
    )  # fmt: skip
    found = [(one.what, one.text, one.fact) for one in check_data(spec, places(tmp_path))]
    assert ("prepare", "quality leaves out 1 of 4 sequences with a flat channel: s", True) in found


def test_time_between_series_is_no_gap() -> None:
    data = collection([[1, 2, 3], [4, 5, 6]]).replaced(times=torch.tensor([0, 1, 2, 100, 101, 102]) * 10**9)
    assert noted(data) == []


def test_a_set_is_described_in_numbers() -> None:
    data = collection(
        [[1, np.nan], [1, 2, 3], [1, 2, 3, 4]], k=list("aba"), g=list("xxy"), split=["train", "train", "test"],
        label="k", groups=("g",), rate=2.0, targets=("channel_0",),
    )  # fmt: skip
    assert describe(data) == {
        "sequences": 3, "time steps": 9, "channels": ["channel_0"], "targets": ["channel_0"], "rate": 2.0,
        "lengths": {"shortest": 2, "median": 3, "longest": 4},
        "duration": {"total": "0:00:04", "shortest": "1 s", "median": "1.5 s", "longest": "2 s"},
        "missing values": 1, "classes": {"a": 2, "b": 1},
        "group g": "2 values", "official split": {"train": 2, "test": 1}, "digest": data.digest,
    }  # fmt: skip


def test_sound_is_described_by_how_long_it_lasts() -> None:
    lengths = (8000, 16000, 24000)
    data = Collection.from_sequences([np.zeros((length, 1), np.int16) for length in lengths], rate=16000.0)
    assert describe(data)["duration"] == {"total": "0:00:03", "shortest": "0.5 s", "median": "1 s", "longest": "1.5 s"}
    assert "missing values" not in describe(data)


def test_of_many_classes_the_rarest_are_summed_up() -> None:
    data = collection(distinct(50, 3), k=[f"c{min(row, 29):02}" for row in range(50)], label="k")
    classes = describe(data)["classes"]
    assert len(classes) == 21
    assert classes["c29"] == 21
    assert classes["10 more"] == 10
