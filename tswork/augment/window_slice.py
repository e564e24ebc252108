"""A stretch of every sequence, drawn out to the whole length.

Le Guennec, Malinowski and Tavenard, "Data Augmentation for Time Series Classification using Convolutional Neural Networks",
ECML/PKDD workshop AALTD 2016 (window slicing); the slice is brought back to the length of the sequence, so that batches keep
their shape. A slice begins anywhere, also between two steps: see `resampling` for what lies there.
"""

from __future__ import annotations

import torch
from pydantic import Field

from tswork.augment.base import Augmentation, View
from tswork.augment.resampling import at_positions, last_places, steps_of
from tswork.config import Config
from tswork.registry import register


class WindowSliceConfig(Config):
    share: float = Field(default=0.9, gt=0, le=1, description="length of the slice as a share of the sequence")


@register("view", "window_slice", version=1, config=WindowSliceConfig)
class WindowSlice(Augmentation[WindowSliceConfig]):
    """Stretches one random slice of every sequence to the length of the whole."""

    aligned = False

    def __call__(self, view: View, *, generator: torch.Generator) -> View:
        share = self.config.share
        draw = torch.rand((len(view.x), 1), generator=generator, device=view.x.device, dtype=torch.float64)
        start = draw * ((1 - share) * last_places(view.lengths))
        return at_positions(view, start + steps_of(view) * share)
