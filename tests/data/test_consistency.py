"""A patient has one diagnosis where the card says so, and an id one spelling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.data.opening import faults, read
from tests.data.test_splits import made
from tswork.data.consistency import conflicts, padded_twins, spelling_problems

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


def test_ids_that_differ_in_padding_alone_are_found() -> None:
    data = made([4] * 6, who=["7", "07", "70", "0", "00", "a7"], groups=("who",))
    assert padded_twins(data, "who") == [("0", "00"), ("07", "7")]
