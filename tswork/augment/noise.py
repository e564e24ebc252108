"""Noise added to values and factors on them: jitter and scaling.

Um et al., "Data Augmentation of Wearable Sensor Data for Parkinson's Disease Monitoring", ICMI 2017.
"""

from __future__ import annotations

import torch
from pydantic import Field

from tswork.augment.base import Augmentation, View
from tswork.config import Config
from tswork.registry import register


class NoiseConfig(Config):
    sigma: float = Field(default=0.1, ge=0, description="standard deviation")


@register("view", "jitter", version=1, config=NoiseConfig)
class Jitter(Augmentation[NoiseConfig]):
    """Adds independent Gaussian noise to every value."""

    def __call__(self, view: View, *, generator: torch.Generator) -> View:
        noise = torch.randn(view.x.shape, generator=generator, device=view.x.device, dtype=view.x.dtype)
        return view.changed(view.x + self.config.sigma * noise)


@register("view", "scaling", version=1, config=NoiseConfig)
class Scaling(Augmentation[NoiseConfig]):
    """Multiplies every channel of every sequence by a Gaussian factor around 1."""

    def __call__(self, view: View, *, generator: torch.Generator) -> View:
        shape = (view.x.shape[0], 1, view.x.shape[2])
        factor = 1 + self.config.sigma * torch.randn(
            shape, generator=generator, device=view.x.device, dtype=view.x.dtype
        )
        return view.changed(view.x * factor)
