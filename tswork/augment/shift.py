"""One offset for each channel of each sequence.

Woo et al., "CoST", ICLR 2022, appendix, use it beside jitter and scaling.
"""

from __future__ import annotations

import torch
from pydantic import Field

from tswork.augment.base import Augmentation, View
from tswork.config import Config
from tswork.registry import register


class ShiftConfig(Config):
    sigma: float = Field(default=0.1, ge=0, description="standard deviation of the offset, in units of the values")


@register("view", "shift", version=1, config=ShiftConfig)
class Shift(Augmentation[ShiftConfig]):
    """Adds a Gaussian offset to every channel of every sequence."""

    def __call__(self, view: View, *, generator: torch.Generator) -> View:
        x = view.x
        draw = torch.randn((len(x), 1, x.shape[2]), generator=generator, device=x.device, dtype=x.dtype)
        return view.changed(x + self.config.sigma * draw)
