"""Missing and infinite values: kept, interpolated inside each sequence, or refused with sequence, channel and place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.opening import faults, read
from tswork.data.collection import Collection
from tswork.data.missing import interpolated
from tswork.errors import TsworkWarning

NAN = float("nan")


def cases(folder: Path, values: Any, **options: Any) -> dict[str, Any]:
    np.savez(folder / "x.npz", x=np.asarray(values, np.float32), id=np.array([f"s{row}" for row in range(len(values))]))
    return {"reader": "arrays", "path": "x.npz", "values": "x", **options}


def test_missing_values_are_kept_by_default(tmp_path: Path) -> None:
    assert torch.isnan(read(tmp_path, **cases(tmp_path, [[[1, NAN, 3]]])).values).sum() == 1


def test_interpolation_is_linear_inside_and_nearest_at_the_ends_and_stays_in_its_sequence(tmp_path: Path) -> None:
    block = cases(tmp_path, [[[NAN, 1, NAN, NAN, 4, NAN]], [[NAN, NAN, 7, 8, NAN, NAN]]], missing="interpolate")
    assert read(tmp_path, **block).values.flatten().tolist() == [1, 1, 2, 3, 4, 4, 7, 7, 7, 8, 8, 8]


def test_interpolation_goes_by_time_stamps_where_there_are_any(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("t,x\n2024-01-01,0\n2024-01-02,\n2024-01-05,4\n")
    with pytest.warns(TsworkWarning, match="1 of 2 time steps differs"):
        found = read(tmp_path, reader="series_csv", path="x.csv", time="t", missing="interpolate")
    assert found.values.flatten().tolist() == [0, 1, 4]


@pytest.mark.parametrize("missing", ["interpolate", "refuse"])
def test_complete_data_pass_unchanged(tmp_path: Path, missing: str) -> None:
    assert read(tmp_path, **cases(tmp_path, [[[1, 2]]], missing=missing)).values.flatten().tolist() == [1, 2]


def test_a_channel_of_a_sequence_without_any_value_cannot_be_interpolated(tmp_path: Path) -> None:
    block = cases(tmp_path, [[[1, NAN], [1, 1]], [[NAN, NAN], [NAN, 3]]], missing="interpolate")
    assert faults(tmp_path, **block) == [
        "s1, channel_0: all values are missing. Leave out the channel or the sequence."
    ]


def test_refused_missing_values_are_told_by_sequence_channel_and_step(tmp_path: Path) -> None:
    block = cases(tmp_path, [[[1, NAN, NAN]], [[1, 1, 1]], [[1, 1, NAN]]], missing="refuse")
    assert faults(tmp_path, **block) == [
        "s0, channel_0: 2 values are missing (the first at step 1)",
        "s2, channel_0: 1 value is missing (the first at step 2)",
    ]


def test_refused_missing_values_are_told_by_their_time(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("t,x\n2024-01-01 00:00,0\n2024-01-01 01:00,\n")
    told = faults(tmp_path, reader="series_csv", path="x.csv", time="t", missing="refuse")
    assert told == ["x, x: 1 value is missing (the first at 2024-01-01 01:00:00)"]


def test_infinities_are_told_by_sequence_channel_and_step(tmp_path: Path) -> None:
    block = cases(tmp_path, [[[1, 2]], [[np.inf, -np.inf]]])
    assert faults(tmp_path, **block) == ["s1, channel_0: 2 values are infinite (the first at step 0)"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.one_of(st.none(), st.floats(-100, 100, width=32)), min_size=1, max_size=9), min_size=1, max_size=5
    )
)
def test_interpolation_equals_pandas_sequence_by_sequence(series: list[list[float | None]]) -> None:
    arrays = [np.array([[np.nan if one is None else one] for one in values], np.float32) for values in series]
    found, problems = interpolated(Collection.from_sequences(arrays))
    assert len(problems) == sum(bool(np.isnan(one).all()) for one in arrays)
    for row, values in enumerate(arrays):
        wanted = pd.Series(values[:, 0].astype(np.float64)).interpolate(limit_direction="both").to_numpy()
        np.testing.assert_allclose(found.sequence(row)[:, 0].numpy(), wanted, rtol=1e-5, atol=1e-4)
