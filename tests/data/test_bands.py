"""Numbers of the table as named bands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.data.opening import places
from tswork.config import NestedInvalid, configure
from tswork.data.collection import Collection
from tswork.data.opening import open_collection
from tswork.data.spec import DataSpec
from tswork.errors import DataInvalid


def bands(collection: Collection, **options: Any) -> Collection:
    found: Collection = (
        configure("preparation", {"uses": "bands", "column": "age", **options}).build().apply(collection)
    )
    return found


def people(ages: list[Any]) -> Collection:
    table = pd.DataFrame({"id": [f"r{row}" for row in range(len(ages))], "age": ages})
    return Collection.from_sequences([np.zeros((1, 1), np.float32)] * len(ages), table=table)


def test_a_value_belongs_to_the_band_whose_lower_edge_it_reaches() -> None:
    found = bands(people([13, 24.9, 25, 39, 40, 75]), edges=[25, 40], names=["young", "middle", "old"])
    assert found.table["age"].tolist() == ["young", "young", "middle", "middle", "old", "old"]
    assert bands(people([13, 30, 40]), edges=[25, 40]).table["age"].tolist() == ["below 25", "25 to 40", "from 40"]
    assert bands(people([-1, 0.5]), edges=[0.5]).table["age"].tolist() == ["below 0.5", "from 0.5"]


def test_numbers_may_be_text_and_missing_ones_stay_missing() -> None:
    found = bands(people(["30", None, "9"]), edges=[18]).table["age"]
    assert found.isna().tolist() == [False, True, False]
    assert found.dropna().tolist() == ["from 18", "below 18"]


def test_a_band_may_be_the_label(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros((3, 1, 4)), age=np.array([13, 30, 60]))
    block = {
        "reader": "arrays", "path": "x.npz", "values": "x", "label": "age",
        "prepare": [{"uses": "bands", "column": "age", "edges": [25]}],
    }  # fmt: skip
    found = open_collection(DataSpec.parse(block), places(tmp_path))
    assert found.classes == ("below 25", "from 25")
    assert found.codes("age").tolist() == [0, 1, 1]


def test_what_is_no_number_and_a_column_that_is_not_there_are_refused() -> None:
    with pytest.raises(DataInvalid) as refused:
        bands(people([13, "n/a", "old"]), edges=[25])
    assert [str(one) for one in refused.value.problems] == [
        "r1, age: 'n/a' is not a number",
        "r2, age: 'old' is not a number",
    ]
    with pytest.raises(DataInvalid) as refused:
        bands(people([13]), column="aeg", edges=[25])
    assert str(refused.value) == "data.prepare: there is no column 'aeg'. Did you mean 'age'?"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"edges": [25, 25]}, "`edges` should rise"),
        ({"edges": [25, 40], "names": ["a", "b"]}, "2 edges make 3 bands; 2 names are given"),
        ({"edges": [25], "names": ["a", "a"]}, "`names` should differ from each other"),
        ({"edges": []}, "at least 1 item"),
    ],
)
def test_bands_that_contradict_themselves_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(NestedInvalid) as refused:
        bands(people([13]), **options)
    assert told in str(refused.value.errors)
