"""A patient has one diagnosis where the card says so, and an id one spelling."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.data.opening import faults, read
from tests.data.test_splits import made
from tswork.data.cells import typed
from tswork.data.consistency import conflicts, near_twins, spelling_problems

ROWS = [("p1", "ill"), ("p1", "ill"), ("p2", "well"), ("p2", "ill"), ("p3", "well"), ("p3", "well")]


def recordings(folder: Path, rows: list[tuple[Any, Any]] = ROWS, **options: Any) -> dict[str, Any]:
    """A manifest of one-channel recordings with patient and label."""
    for number in range(len(rows)):
        np.save(folder / f"{number}.npy", np.full((4, 1), number, np.float32))
    patients, labels = zip(*rows, strict=True)
    paths = [f"{number}.npy" for number in range(len(rows))]
    pd.DataFrame({"path": paths, "patient": patients, "label": labels}).to_csv(folder / "m.csv", index=False)
    return {"reader": "manifest", "path": "m.csv", "label": "label", "groups": ["patient"], **options}


def test_a_label_that_is_the_patients_own_may_not_change_inside_the_patient(tmp_path: Path) -> None:
    assert faults(tmp_path, **recordings(tmp_path, label_per="patient")) == [
        "patient p2: has the labels ill, well. Mend the table, or leave out `label_per` where a label may change inside a group."
    ]


def test_a_label_may_change_inside_a_patient_where_nothing_is_said(tmp_path: Path) -> None:
    assert len(read(tmp_path, **recordings(tmp_path))) == 6


def test_patients_that_agree_pass(tmp_path: Path) -> None:
    rows = [("p1", "ill"), ("p1", "ill"), ("p2", "well")]
    assert len(read(tmp_path, **recordings(tmp_path, rows, label_per="patient"))) == 3


def test_aliases_are_one_patient_with_one_diagnosis(tmp_path: Path) -> None:
    rows = [("a", "ill"), ("b", "well"), ("c", "well")]
    block = recordings(tmp_path, rows, label_per="patient", aliases={"patient": [["a", "b"]]})
    assert faults(tmp_path, **block)[0].startswith("patient a: has the labels ill, well.")


def test_many_conflicts_are_counted(tmp_path: Path) -> None:
    rows = [(f"p{number:02}", kind) for number in range(25) for kind in ("ill", "well")]
    told = faults(tmp_path, **recordings(tmp_path, rows, label_per="patient"))
    assert len(told) == 21
    assert told[-1] == "and 5 more values of 'patient' with several labels"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"label_per": "pateint"}, "data.label_per: there is no column 'pateint'. Did you mean 'patient'?"),
        ({"label_per": "patient", "label": None}, "data.label_per: there is no label. Name its column with `label:`."),
    ],
)
def test_a_rule_that_has_no_column_is_refused(tmp_path: Path, more: dict[str, Any], told: str) -> None:
    assert faults(tmp_path, **recordings(tmp_path, **more))[0].endswith(told)


def test_a_conflict_needs_two_known_labels_of_one_known_patient() -> None:
    data = made(
        [4] * 5, who=["a", "a", None, None, "b"], kind=["x", None, "x", "y", "y"], label="kind", groups=("who",)
    )
    assert conflicts(data, "who") == []


def test_the_same_id_as_number_and_as_text_is_refused() -> None:
    data = made([4] * 4, who=[1, "1", "2", 3], groups=("who",))
    (problem,) = spelling_problems(data, ["who", "who"])
    assert str(problem) == (
        "data.groups: 1 value of 'who' is a number in some rows and text in others: 1. Write them in one way."
    )
    assert list(spelling_problems(made([4] * 3, who=[1, "a", 3], groups=("who",)), ["who"])) == []


def test_ids_and_labels_that_look_alike_are_refused() -> None:
    names = ["P1", "P1 ", "Jos\u00e9", "Jose\u0301", "p1"]
    data = made([4] * 5, who=names, kind=["ill", " ill", "well", "well", "ill"], label="kind", groups=("who",))
    told = [str(problem) for problem in spelling_problems(data, ["kind", "who"])]
    assert told == [
        "data.label: 1 value of 'kind' is written in ways that look alike: ' ill' and 'ill'. Write them in one way.",
        "data.groups: 2 values of 'who' are written in ways that look alike: 'Jose\\u0301' and 'Jos\\xe9', 'P1' and 'P1 '."
        " Write them in one way.",
    ]


def test_a_label_with_a_space_behind_it_is_refused_at_the_door(tmp_path: Path) -> None:
    block = recordings(tmp_path)
    text = (tmp_path / block["path"]).read_text()
    first = next(line for line in text.splitlines()[1:])
    (tmp_path / block["path"]).write_text(text.replace(first, f"{first} ", 1))
    assert "written in ways that look alike" in " ".join(faults(tmp_path, **block))


def test_ids_that_differ_in_padding_or_large_letters_alone_are_found() -> None:
    data = made([4] * 6, who=["7", "07", "70", "0", "00", "a7"], groups=("who",))
    assert near_twins(data, "who") == [("0", "00"), ("07", "7")]
    data = made([4] * 7, who=["P1", "p01", "P10", "P100", "sub-01_b", "sub-1_B", "sub-10_b"], groups=("who",))
    assert near_twins(data, "who") == [("P1", "p01"), ("sub-01_b", "sub-1_B")]


LARGE = ["9007199254740993", "9007199254740992", None, "9007199254740993"]
"""Ids that are one in floating point, in which pandas reads whole numbers beside an empty cell."""


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_large_ids_stay_different_beside_an_empty_cell(tmp_path: Path, form: str) -> None:
    recordings(tmp_path, [(1, "x")] * 4)
    rows = [{"path": f"{n}.npy", "patient": one if one is None else int(one)} for n, one in enumerate(LARGE)]
    lines = [json.dumps(row) for row in rows]
    if form == "csv":
        lines = ["path,patient", *(f"{row['path']},{one or ''}" for row, one in zip(rows, LARGE, strict=True))]
    (tmp_path / f"m.{form}").write_text("\n".join(lines) + "\n")
    found = read(tmp_path, reader="manifest", path=f"m.{form}", groups=["patient"])
    assert set(found.categories("patient")) == {"9007199254740992", "9007199254740993"}
    codes = found.codes("patient").tolist()
    assert codes[0] == codes[3] != codes[1]
    assert codes[2] == -1


def test_ids_of_twenty_digits_are_not_rounded() -> None:
    column = pd.Series(["18446744073709551616", "18446744073709551617"])
    assert typed(column).nunique() == 2
    assert typed(pd.Series(["9007199254740993", "7"])).tolist() == [9007199254740993, 7], "int64 holds it"
    assert typed(pd.Series(["1e300", "2"])).tolist() == [1e300, 2.0], "no whole number in figures, so no id"
    assert typed(pd.Series(["3", None])).dropna().tolist() == [3.0]
