"""Forecast errors, the copied steps of naive forecasts, and seasons."""

from __future__ import annotations

import pytest
import torch

from tswork.metrics.forecasting import errors, persistence_steps, seasonal_period, seasonal_steps


def test_errors_are_means_over_steps_and_targets() -> None:
    found = errors(torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.tensor([[0.0, 0.0, 0.0, 0.0]]))
    assert found.mse.tolist() == [7.5]
    assert found.mae.tolist() == [2.5]
    assert found.mae_original is None


def test_original_units_scale_each_target() -> None:
    found = errors(torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.zeros(1, 4), scale=torch.tensor([[10.0, 1.0]]))
    assert found.mae_original is not None
    assert found.mae_original.tolist() == [(10 + 2 + 30 + 4) / 4]


def test_persistence_copies_the_last_step() -> None:
    assert persistence_steps(torch.tensor([5]), 3).tolist() == [[5, 5, 5]]


def test_the_seasonal_forecast_copies_the_same_phase_of_the_last_season() -> None:
    assert seasonal_steps(torch.tensor([10]), 7, period=3).tolist() == [[8, 9, 10, 8, 9, 10, 8]]
    assert seasonal_steps(torch.tensor([10]), 2, period=1).tolist() == [[10, 10]]


@pytest.mark.parametrize(
    ("step", "season"),
    [(3600.0, 24), (900.0, 96), (1800.0, 48), (86_400.0, 7), (604_800.0, 52), (2.6e6, 12), (7000.0, None), (2e5, None)],
)
def test_the_season_follows_from_the_time_step(step: float, season: int | None) -> None:
    assert seasonal_period(step) == season
