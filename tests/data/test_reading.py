"""What all readers are checked for: labels, classes, groups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.data.opening import faults, read


def table(folder: Path, **columns: list[Any]) -> dict[str, Any]:
    rows = len(next(iter(columns.values())))
    np.save(folder / "x.npy", np.random.default_rng(0).normal(size=(rows, 1, 4)))
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    return {"reader": "arrays", "path": "x.npy", "table": "t.csv"}


def test_label_and_groups_name_columns_of_the_table(tmp_path: Path) -> None:
    found = read(tmp_path, **table(tmp_path, kind=["a", "b"], who=[1, 2]), label="kind", groups="who")
    assert (found.label, found.groups, found.classes) == ("kind", ("who",), ("a", "b"))


def test_columns_that_are_not_there_are_all_told(tmp_path: Path) -> None:
    assert faults(tmp_path, **table(tmp_path, kind=["a", "b"], who=[1, 2]), label="knd", groups=["whoo", "x"]) == [
        "data.label: there is no column 'knd'. Did you mean 'kind'?",
        "data.groups: there is no column 'whoo'. Did you mean 'who'?",
        "data.groups: there is no column 'x'. Known: id, kind, who.",
    ]


def test_sequences_without_a_label_and_too_few_classes_are_told(tmp_path: Path) -> None:
    block = table(tmp_path, id=["r1", "r2", "r3"], kind=["a", "", "a"])
    assert faults(tmp_path, **block, label="kind") == [
        "data.label (kind): 1 sequences have no label: r2. Fill in the empty cells, or leave these rows out.",
        "data.label (kind): fewer than two classes (found: a)",
    ]


def test_a_file_that_is_not_there_is_told_with_every_place_that_was_looked_at(tmp_path: Path) -> None:
    (told,) = faults(tmp_path, reader="arrays", path="nowhere.npz")
    assert told.startswith("nowhere.npz  there is no such file (looked at nowhere.npz, ")
    assert "cache/tswork/data/nowhere.npz" in told
    assert "$TSWORK_DATA" in told
    (tmp_path / "folder").mkdir()
    assert faults(tmp_path, reader="arrays", path="folder") == ["folder  is a folder, not a file"]


def test_a_variable_in_a_path_that_is_not_set_is_told(tmp_path: Path) -> None:
    assert faults(tmp_path, reader="arrays", path="${env:TSWORK_NOWHERE}/x.npz") == [
        "${env:TSWORK_NOWHERE}/x.npz  the environment variable TSWORK_NOWHERE is not set"
    ]


def test_a_label_that_nobody_asked_for_is_left_out_where_it_says_nothing(tmp_path: Path) -> None:
    arrays = {"X_train": np.zeros((2, 1, 3)), "y_train": ["a", "a"], "X_test": np.zeros((1, 1, 3)), "y_test": ["a"]}
    np.savez(tmp_path / "x.npz", **{name: np.asarray(array) for name, array in arrays.items()})  # type: ignore[arg-type]
    assert read(tmp_path, reader="arrays", path="x.npz").label is None
    assert "fewer than two classes" in faults(tmp_path, reader="arrays", path="x.npz", label="label")[0]
