"""Errors of forecasts, and the two forecasts that need no fitting.

A forecast and its truth are `(origin, step * target)`: for every forecast start the future values of all targets, step
after step, as a multi-output regression gives them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Errors(NamedTuple):
    """Errors of every forecast start, averaged over steps and targets.

    `mae_original` is the absolute error in original units, there when the targets' scales are known.
    """

    mse: Float[Tensor, "origin"]
    mae: Float[Tensor, "origin"]
    mae_original: Float[Tensor, "origin"] | None = None


def errors(
    forecast: Float[Tensor, "origin output"],
    truth: Float[Tensor, "origin output"],
    *,
    scale: Float[Tensor, "scales target"] | None = None,
) -> Errors:
    """The errors of each forecast start; `scale` (one row, or one an origin) leads from the given to original units."""
    residual = (forecast - truth).abs_()
    absolute = residual.mean(dim=1)
    original = None
    if scale is not None:
        of_targets = residual.view(len(residual), -1, scale.shape[1]).mean(dim=1)
        original = (of_targets * scale).mean(dim=1)
    return Errors(residual.square_().mean(dim=1), absolute, original)


def persistence_steps(position: Int[Tensor, "origin"], horizon: int) -> Int[Tensor, "origin horizon"]:
    """Which past step the persistence forecast copies: the last one, for every step of the horizon."""
    return position[:, None].expand(-1, horizon)


def seasonal_steps(position: Int[Tensor, "origin"], horizon: int, *, period: int) -> Int[Tensor, "origin horizon"]:
    """Which past step the seasonal naive forecast copies: the same phase of the last whole season.

    Step h after position t copies `t + h - period * ceil(h / period)`, which is at least `t + 1 - period`.
    """
    ahead = torch.arange(1, horizon + 1, device=position.device)
    return position[:, None] + ahead - period * torch.div(ahead + period - 1, period, rounding_mode="floor")


DAY, WEEK, MONTH = 86_400.0, 604_800.0, (28 * 86_400.0, 31 * 86_400.0)


def seasonal_period(step_seconds: float) -> int | None:
    """The season of data with that time step: a day of shorter steps (24 for hourly, 96 for 15 minutes), 7 days of daily,
    52 weeks of weekly and 12 months of monthly data; None when the step divides none of them.
    """
    per_day = DAY / step_seconds
    if per_day >= 1.5:
        return round(per_day) if abs(per_day - round(per_day)) < 1e-6 * per_day else None
    if MONTH[0] <= step_seconds <= MONTH[1]:
        return 12
    return {DAY: 7, WEEK: 52}.get(round(step_seconds, 3))
