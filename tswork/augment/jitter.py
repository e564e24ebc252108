"""Noise on every value.

Um et al., "Data Augmentation of Wearable Sensor Data for Parkinson's Disease Monitoring", ICMI 2017.
"""

from __future__ import annotations

import torch
from pydantic import Field

from tswork.augment.base import Augmentation, View
from tswork.config import Config
from tswork.registry import register


class JitterConfig(Config):
    sigma: float = Field(default=0.1, ge=0, description="standard deviation of the noise, in units of the values")


@register("view", "jitter", version=1, config=JitterConfig)
class Jitter(Augmentation[JitterConfig]):
    """Adds independent Gaussian noise to every value."""

    def __call__(self, view: View, *, generator: torch.Generator) -> View:
        noise = torch.randn(view.x.shape, generator=generator, device=view.x.device, dtype=view.x.dtype)
        return view.changed(view.x + self.config.sigma * noise)
