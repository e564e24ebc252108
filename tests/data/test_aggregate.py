"""Whole intervals of the clock: which steps they hold, how they are stamped, and what is left out or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tswork.config import configure
from tswork.data.collection import Affine, Collection
from tswork.errors import DataInvalid


def aggregate(collection: Collection, **options: Any) -> Collection:
    found: Collection = configure("preparation", {"uses": "aggregate", **options}).build().apply(collection)
    return found


def series(start: str, steps: int, *, minutes: int = 15, seed: int = 0) -> pd.DataFrame:
    times = pd.date_range(start, periods=steps, freq=f"{minutes}min")
    return pd.DataFrame(np.random.default_rng(seed).normal(size=(steps, 2)), times, pd.Index(["u", "v"]))


def collected(*frames: pd.DataFrame, **fields: Any) -> Collection:
    times = np.concatenate([pd.DatetimeIndex(frame.index).as_unit("ns").astype(np.int64) for frame in frames])
    return Collection.from_sequences(
        [frame.to_numpy(np.float32) for frame in frames], times=torch.from_numpy(times), **fields
    )


def stamps(collection: Collection) -> list[str]:
    assert collection.times is not None
    return [str(np.datetime64(one, "ns").astype("datetime64[m]")) for one in collection.times.tolist()]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["2012-01-01", "2012-02-28 23:15", "1969-12-31 20:45", "2020-06-01 07:07"]),
    st.lists(st.integers(12, 60), min_size=1, max_size=3),
    st.sampled_from([("30min", 2), ("1h", 4), ("2h", 8)]), st.sampled_from(["left", "right"]),
    st.sampled_from(["sum", "mean", "min", "max"]),
)  # fmt: skip
def test_whole_intervals_are_those_of_pandas(
    start: str, lengths: list[int], interval: tuple[str, int], closed: Any, by: str
) -> None:
    freq, steps = interval
    frames = [series(start, length, seed=row) for row, length in enumerate(lengths)]
    wanted = []
    for frame in frames:
        groups = frame.astype(np.float32).resample(freq, closed=closed, label="left")
        whole = groups.size() == steps
        wanted.append(getattr(groups, by)()[whole])
    seconds = pd.Timedelta(freq).total_seconds()
    if any(len(one) == 0 for one in wanted):
        with pytest.raises(DataInvalid, match="no whole interval"):
            aggregate(collected(*frames), seconds=seconds, by=by, closed=closed)
        return
    found = aggregate(collected(*frames), seconds=seconds, by=by, closed=closed)
    assert found.lengths.tolist() == list(map(len, wanted))
    assert stamps(found) == [str(np.datetime64(time, "m")) for one in wanted for time in one.index]
    np.testing.assert_allclose(found.values.numpy(), np.concatenate(wanted), rtol=1e-5, atol=1e-6)
    assert found.values.dtype == torch.float32


def test_quarter_hours_stamped_at_their_ends_become_the_hour_that_they_fill() -> None:
    frame = series("2011-01-01 00:15", 8)
    assert stamps(aggregate(collected(frame), seconds=3600.0, by="sum", closed="right")) == [
        "2011-01-01T00:00",
        "2011-01-01T01:00",
    ]
    assert stamps(aggregate(collected(frame), seconds=3600.0, by="sum")) == ["2011-01-01T01:00"], (
        "00:00 lacks its first quarter"
    )


def test_without_time_stamps_intervals_are_counted_from_the_first_step() -> None:
    case = np.arange(10, dtype=np.float32)[:, None]
    found = aggregate(Collection.from_sequences([case, case[:5]], rate=2.0), seconds=2.0, by="sum")
    assert found.values.flatten().tolist() == [0 + 1 + 2 + 3, 4 + 5 + 6 + 7, 0 + 1 + 2 + 3]
    assert (found.lengths.tolist(), found.rate, found.times) == ([2, 1], 0.5, None)


@pytest.mark.parametrize("by", ["sum", "mean", "min", "max"])
def test_a_missing_value_makes_its_interval_missing_and_no_other(by: str) -> None:
    case = np.ones((6, 2), np.float32)
    case[2, 0] = np.nan
    found = aggregate(Collection.from_sequences([case], rate=1.0), seconds=2.0, by=by).values
    assert torch.isnan(found).tolist() == [[False, False], [True, False], [False, False]]


def test_sums_of_many_small_steps_lose_no_digits() -> None:
    case = np.full((1 << 17, 1), 0.1, np.float32)
    found = aggregate(Collection.from_sequences([case], rate=1.0), seconds=float(1 << 17), by="sum")
    np.testing.assert_allclose(found.values.item(), float(np.float32(0.1)) * (1 << 17), rtol=1e-7)


@pytest.mark.parametrize("by", ["sum", "mean", "max"])
def test_the_way_back_to_the_users_units_is_kept(by: str) -> None:
    case = np.array([[1.0], [2.0], [4.0], [5.0]], np.float32)
    affine = Affine(torch.tensor([[2.0]]), torch.tensor([[10.0]]))
    original = Collection.from_sequences([case * 2 + 10], rate=1.0)
    found = aggregate(Collection.from_sequences([case], rate=1.0, affine=affine), seconds=2.0, by=by)
    assert found.affine is not None
    back = found.values * found.affine.scale + found.affine.offset
    assert torch.equal(back, aggregate(original, seconds=2.0, by=by).values)


@pytest.mark.parametrize(
    ("collection", "told"),
    [
        (Collection.from_sequences([np.zeros((9, 1), np.float32)]), "data.rate: 'aggregate' needs to know how many samples a second there are. Give `rate:`, or name time stamps with `time:`."),
        (Collection.from_sequences([np.zeros((9, 1), np.float32)], rate=1 / 2700), "data.prepare: intervals of 3600 s are no whole number of time steps of 2700 s. Choose a multiple of the time step."),
        (Collection.from_sequences([np.zeros((9, 1), np.float32)], rate=1 / 7200), "data.prepare: intervals of 3600 s are no whole number of time steps of 7200 s. Choose a multiple of the time step."),
        (collected(series("2012-01-01", 8), series("2012-01-01 00:30", 5)), "data.prepare: 1 sequence holds no whole interval of 3600 s: 1. Choose shorter intervals."),
        (collected(series("2012-01-01", 8).drop(pd.Timestamp("2012-01-01 00:30"))), "data.time: 'aggregate' needs regular time stamps; 1 step differs from the usual 900 s, in 0"),
        (Collection.from_sequences([np.zeros((9, 1), np.float32)], rate=1.0, table=pd.DataFrame({"id": ["s"], "test_start": [3]})), "data.prepare: 'aggregate' would mix the published test values into the series before them. Leave out 'aggregate'."),
    ],
)  # fmt: skip
def test_what_has_no_whole_intervals_is_refused(collection: Collection, told: str) -> None:
    with pytest.raises(DataInvalid) as refused:
        aggregate(collection, seconds=3600.0, by="sum")
    assert str(refused.value) == told
