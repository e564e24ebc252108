"""Uneven time stamps are told, calendars are even."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.data.opening import read
from tswork.data.time_steps import odd_steps, told_steps
from tswork.errors import TsworkWarning


def written(folder: Path, times: pd.DatetimeIndex) -> Path:
    path = folder / "load.csv"
    values = np.random.default_rng(0).normal(size=len(times))
    pd.DataFrame({"date": times, "load": values}).to_csv(path, index=False)
    return path


def test_a_missing_hour_is_told_when_the_file_is_read_and_stays_in_its_notes(tmp_path: Path) -> None:
    hours = pd.date_range("2024-01-01", periods=60, freq="h").delete([20, 21, 50])
    with pytest.warns(TsworkWarning, match="2 of 56 time steps differ from the usual 3600 s, in load; windows and"):
        collection = read(tmp_path, reader="series_csv", path=written(tmp_path, hours).name, time="date")
    assert collection.notes == (told_steps(collection),)
    usual, odd = odd_steps(collection)
    assert (usual, odd.tolist()) == (3600 * 10**9, [19, 47])


@pytest.mark.parametrize("every", ["h", "B", "MS", "ME", "QS", "YS", "2W"])
def test_the_steps_of_a_calendar_are_even(tmp_path: Path, every: str) -> None:
    times = pd.date_range("2001-01-01", periods=40, freq=every)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        collection = read(tmp_path, reader="series_csv", path=written(tmp_path, times).name, time="date")
    assert collection.notes == ()
