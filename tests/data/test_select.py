"""Sequences chosen by columns of their table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tswork.config import NestedInvalid, configure
from tswork.data.collection import Affine, Collection
from tswork.errors import DataInvalid


def select(collection: Collection, **options: Any) -> Collection:
    found: Collection = configure("preparation", {"uses": "select", **options}).build().apply(collection)
    return found


def recordings(**fields: Any) -> Collection:
    """Six recordings of one to six steps that hold their own number, of three persons with two records each."""
    cases = [np.full((row + 1, 1), row, np.float32) for row in range(6)]
    table = pd.DataFrame(
        {
            "id": list("abcdef"), "person": [1, 1, 2, 2, 3, 3], "record": [1, 2, 1, 2, 1, 2],
            "eyes": ["open", "closed", "open", "closed", None, "closed"], "visit": ["01", "02", "01", "02", "01", "02"],
        }
    )  # fmt: skip
    return Collection.from_sequences(cases, table=table, **fields)


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"keep": {"eyes": ["closed"]}}, "bdf"),
        ({"keep": {"eyes": ["closed", "open"], "person": [1, 3]}}, "abf"),
        ({"keep": {"person": ["2"]}}, "cd"),
        ({"keep": {"visit": ["01"]}}, "ace"),
        ({"drop": [{"person": 1, "record": 2}, {"person": 3, "record": 1}]}, "acdf"),
        ({"drop": [{"eyes": "closed"}]}, "ace"),
        ({"keep": {"eyes": ["closed"]}, "drop": [{"person": 2}]}, "bf"),
        ({"known": ["eyes"]}, "abcdf"),
        ({"known": ["eyes", "id"], "keep": {"person": [3]}}, "f"),
    ],
)
def test_values_choose_sequences_and_all_that_belongs_to_them(options: dict[str, Any], kept: str) -> None:
    affine = Affine(torch.arange(6.0)[:, None], torch.zeros(6, 1))
    found = select(recordings(times=torch.arange(21), affine=affine), **options)
    assert "".join(found.table["id"]) == kept
    assert found.affine is not None
    assert found.times is not None
    for place, name in enumerate(kept):
        row = "abcdef".index(name)
        assert found.sequence(place).flatten().tolist() == [row] * (row + 1)
        assert found.affine.scale[place].item() == row
        start = row * (row + 1) // 2
        span = slice(*found.offsets[place : place + 2].tolist())
        assert found.times[span].tolist() == list(range(start, start + row + 1))


def test_nothing_to_leave_out_changes_nothing() -> None:
    collection = recordings()
    assert select(collection, drop=[{"person": 1, "visit": "01", "eyes": "closed"}]) is collection


def test_columns_and_values_that_are_not_there_are_all_told() -> None:
    with pytest.raises(DataInvalid) as refused:
        select(recordings(), keep={"eye": ["open"], "eyes": ["close"]}, drop=[{"person": 4, "visit": 1}])
    assert [str(one) for one in refused.value.problems] == [
        "data.prepare: there is no column 'eye'. Did you mean 'eyes'?",
        "data.prepare: no sequence has 'close' in the column 'eyes'. Did you mean 'closed'?",
        "data.prepare: no sequence has '4' in the column 'person'. Known: 1, 2, 3.",
        "data.prepare: no sequence has '1' in the column 'visit'. Did you mean '01'?",
    ]


def test_a_choice_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(DataInvalid, match="'select' leaves no sequence"):
        select(recordings(), keep={"person": [1]}, drop=[{"record": 1}, {"record": 2}])


@pytest.mark.parametrize("options", [{}, {"drop": [{}]}, {"keep": {"eyes": []}}])
def test_an_empty_choice_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(NestedInvalid, match="the block has faults"):
        select(recordings(), **options)
