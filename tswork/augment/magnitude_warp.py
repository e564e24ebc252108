"""A factor that changes smoothly with time, for each channel of each sequence.

Um et al., "Data Augmentation of Wearable Sensor Data for Parkinson's Disease Monitoring", ICMI 2017: cubic splines through a few
normal values around 1. The splines here are natural ones (no bend at the ends).
"""

from __future__ import annotations

import torch
from pydantic import Field

from tswork.augment.base import Augmentation, View
from tswork.augment.smooth_curve import draw_curve
from tswork.config import Config
from tswork.registry import register


class MagnitudeWarpConfig(Config):
    sigma: float = Field(default=0.2, ge=0, description="standard deviation of the factor at the knots; its mean is 1")
    knots: int = Field(default=6, ge=2, description="places between which the factor is interpolated, ends included")


@register("view", "magnitude_warp", version=1, config=MagnitudeWarpConfig)
class MagnitudeWarp(Augmentation[MagnitudeWarpConfig]):
    """Multiplies every channel of every sequence by a smooth random curve around 1."""

    def __call__(self, view: View, *, generator: torch.Generator) -> View:
        _, time, channels = view.x.shape
        curve = draw_curve(view.lengths, time, knots=self.config.knots, curves=channels, generator=generator)
        return view.changed(view.x * (1 + self.config.sigma * curve).to(view.x.dtype))
