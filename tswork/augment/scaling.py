"""One factor for each channel of each sequence.

Um et al., "Data Augmentation of Wearable Sensor Data for Parkinson's Disease Monitoring", ICMI 2017.
"""

from __future__ import annotations

import torch
from pydantic import Field

from tswork.augment.base import Augmentation, View
from tswork.config import Config
from tswork.registry import register


class ScalingConfig(Config):
    sigma: float = Field(default=0.1, ge=0, description="standard deviation of the factor, whose mean is 1")


@register("view", "scaling", version=1, config=ScalingConfig)
class Scaling(Augmentation[ScalingConfig]):
    """Multiplies every channel of every sequence by a Gaussian factor around 1."""

    def __call__(self, view: View, *, generator: torch.Generator) -> View:
        x = view.x
        draw = torch.randn((len(x), 1, x.shape[2]), generator=generator, device=x.device, dtype=x.dtype)
        return view.changed(x * (1 + self.config.sigma * draw))
