"""A forecast judgement that is interrupted: finished rows are neither encoded nor fitted again, and no bit of the result differs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.protocols.test_kept_tuning import assert_equal
from tests.protocols.toys import toy_model, toy_series
from tswork.context import Context
from tswork.errors import Interrupted
from tswork.protocols import forecast_features, ridge_forecast
from tswork.protocols.base import Result
from tswork.protocols.forecast_features import encode_origins
from tswork.protocols.forecast_rows import RidgeRow, fit_horizons
from tswork.protocols.ridge_forecast import RidgeForecast, RidgeForecastConfig
from tswork.recorder import MemoryRecorder
from tswork.store import Store

ROWS = ["ridge_lags", "ridge_relative_lags", "ours", "ours+lags", "ours+relative_lags", "random"]


def judge(folder: Path | None, *, seed: int = 0) -> tuple[Result, MemoryRecorder]:
    split, recorder = toy_series(), MemoryRecorder()
    models = {"ours": [toy_model(split.train)], "random": [toy_model(split.train, seed=1)]}
    config = RidgeForecastConfig(horizons=(2, 5), window=9, drop=8, max_origins=90, representation_scales=(0.0, 1.0))
    context = Context(recorder=recorder, seed=seed, pieces=None if folder is None else Store(folder))
    return RidgeForecast(config).evaluate(models, split, context), recorder


class Stopping:
    """Fits rows and encodes for them, notes both, and is interrupted before the row after so many."""

    def __init__(self, after: int | None) -> None:
        self.after, self.fitted, self.encoded = after, list[str](), 0

    def fit(self, row: RidgeRow, *arguments: Any, **options: Any) -> Any:
        if len(self.fitted) == self.after:
            raise Interrupted("interrupted")
        self.fitted.append(row.name)
        return fit_horizons(row, *arguments, **options)

    def encode(self, *arguments: Any) -> Any:
        self.encoded += 1
        return encode_origins(*arguments)


@pytest.fixture
def stopping(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Stopping]:
    def install(after: int | None = None) -> Stopping:
        counting = Stopping(after)
        monkeypatch.setattr(ridge_forecast, "fit_horizons", counting.fit)
        monkeypatch.setattr(forecast_features, "encode_origins", counting.encode)
        return counting

    return install


@pytest.mark.parametrize(("after", "encoded"), [(1, 2), (3, 2), (5, 1)])
def test_an_interrupted_judgement_goes_on_after_the_last_finished_row(
    after: int, encoded: int, tmp_path: Path, stopping: Any
) -> None:
    whole = judge(None)
    first = stopping(after)
    with pytest.raises(Interrupted):
        judge(tmp_path)
    rest = stopping()
    found = judge(tmp_path)
    assert (first.fitted, rest.fitted, rest.encoded) == (ROWS[:after], ROWS[after:], encoded)
    assert_equal(found, whole)
    nothing_left = stopping(0)
    assert_equal(judge(tmp_path), whole)
    assert nothing_left.encoded == 0


def test_a_model_is_encoded_once_for_all_of_its_rows(stopping: Any) -> None:
    counting = stopping()
    judge(None)
    assert (counting.fitted, counting.encoded) == (ROWS, 2)


def test_rows_of_another_seed_are_not_taken_for_its_own(tmp_path: Path) -> None:
    judge(tmp_path)
    found, _ = judge(tmp_path, seed=1)
    expected, _ = judge(None, seed=1)
    pd.testing.assert_frame_equal(found.rows, expected.rows, check_exact=True)
