"""The steps between two dates: the first belongs to them, the last does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from tswork.config import configure
from tswork.data.collection import Collection
from tswork.errors import DataInvalid


def days(*ranges: tuple[str, int]) -> Collection:
    """Daily series that begin at dates, each counting its days."""
    times = [pd.date_range(start, periods=count, unit="ns").astype(np.int64) for start, count in ranges]
    return Collection.from_sequences(
        [np.arange(count, dtype=np.float32)[:, None] for _, count in ranges],
        times=torch.from_numpy(np.concatenate(times)),
        table=pd.DataFrame({"id": [f"s{row}" for row in range(len(ranges))], "kind": "a"}),
    )


def between(collection: Collection, **options: Any) -> Collection:
    found: Collection = configure("preparation", {"uses": "between", **options}).build().apply(collection)
    return found


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"start": "2012-01-03"}, [2, 3, 4]),
        ({"stop": "2012-01-03"}, [0, 1]),
        ({"start": "2012-01-02", "stop": "2012-01-04"}, [1, 2]),
        ({"start": "2012-01-01T12:00", "stop": "2012-01-03T00:00:01"}, [1, 2]),
        ({"start": "2012-01-02T01:00+02:00"}, [1, 2, 3, 4]),
        ({"start": "1900-01-01", "stop": "2200-01-01"}, [0, 1, 2, 3, 4]),
    ],
)
def test_steps_from_the_start_on_and_before_the_stop_are_kept(options: dict[str, str], kept: list[int]) -> None:
    found = between(days(("2012-01-01", 5)), **options)
    assert found.values.flatten().tolist() == kept
    assert found.times is not None
    assert len(found.times) == len(kept)


def test_every_sequence_keeps_its_own_share_and_its_row() -> None:
    found = between(days(("2012-01-01", 5), ("2012-01-04", 4)), start="2012-01-04")
    assert found.lengths.tolist() == [2, 4]
    assert found.values.flatten().tolist() == [3, 4, 0, 1, 2, 3]
    assert found.table["id"].tolist() == ["s0", "s1"]


def test_sequences_outside_of_the_dates_are_refused_by_name() -> None:
    collection = days(("2012-01-01", 5), ("2012-02-01", 4))
    for options, told in (
        ({"start": "2012-01-10"}, "1 sequence has no step from 2012-01-10 on: s0"),
        ({"stop": "2012-01-10"}, "1 sequence has no step before 2012-01-10: s1"),
        (
            {"start": "2013-01-01", "stop": "2014-01-01"},
            "2 sequences have no step from 2013-01-01 on and before 2014-01-01: s0, s1",
        ),
    ):
        with pytest.raises(DataInvalid) as refused:
            between(collection, **options)
        assert str(refused.value) == f"data.prepare: {told}. Choose other dates."


def test_data_without_time_stamps_are_refused() -> None:
    with pytest.raises(DataInvalid, match=r"the data have no time stamps. Name their column with `time:`\."):
        between(days(("2012-01-01", 5)).replaced(times=None), start="2012-01-01")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "give `start`, `stop` or both"),
        ({"start": "yesterday", "stop": "01.02.2012"}, "should be ISO 8601 dates, not 'yesterday', '01.02.2012'"),
        ({"start": "2012-01-02", "stop": "2012-01-02"}, "`start` (2012-01-02) should be before `stop` (2012-01-02)"),
    ],
)
def test_dates_that_are_none_or_do_not_rise_are_refused(options: dict[str, str], told: str) -> None:
    with pytest.raises(Exception, match="the block has faults") as refused:
        configure("preparation", {"uses": "between", **options})
    errors = getattr(refused.value, "errors", None)
    assert isinstance(errors, ValidationError)
    assert told in str(errors)
