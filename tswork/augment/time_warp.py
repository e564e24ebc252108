"""Time runs faster here and slower there: every sequence is read at a smooth random speed, from its first to its last step.

Um et al., "Data Augmentation of Wearable Sensor Data for Parkinson's Disease Monitoring", ICMI 2017: the speed is a cubic spline
through a few normal values around 1, and its sum, brought to the length of the sequence, says where to read.

| published | here |
| --- | --- |
| speed `1 + sigma * curve`, which can be negative, so that time runs back | speed `exp(sigma * curve)`: always forward |
| places are sums of speeds | sums by the trapezoidal rule, so that both ends stay where they are |

What lies between steps: see `resampling`.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from tswork.augment.base import Augmentation, View
from tswork.augment.resampling import at_positions, last_places
from tswork.augment.smooth_curve import draw_curve
from tswork.config import Config
from tswork.registry import register


class TimeWarpConfig(Config):
    sigma: float = Field(default=0.2, ge=0, description="standard deviation of the logarithm of the speed at the knots")
    knots: int = Field(default=6, ge=2, description="places between which the speed is interpolated, ends included")


@register("view", "time_warp", version=1, config=TimeWarpConfig)
class TimeWarp(Augmentation[TimeWarpConfig]):
    """Reads every sequence at a smooth random speed; its ends stay in place."""

    aligned = False

    def __call__(self, view: View, *, generator: torch.Generator) -> View:
        time = view.x.shape[1]
        curve = draw_curve(view.lengths, time, knots=self.config.knots, curves=1, generator=generator)
        return at_positions(view, travelled(torch.exp(self.config.sigma * curve[..., 0]), view.lengths))


def travelled(speed: Float[Tensor, "batch time"], lengths: Int[Tensor, "batch"]) -> Float[Tensor, "batch time"]:
    """Where one is at every step of a journey at this (positive) speed that takes a sequence from its first to its last step."""
    way = torch.nn.functional.pad(((speed[:, 1:] + speed[:, :-1]) / 2).cumsum(dim=1), (1, 0))
    whole = way.gather(1, (lengths[:, None] - 1).clamp(min=0))
    last = last_places(lengths).to(way.dtype)
    return way * torch.where(last > 0, last / whole, 0.0)
