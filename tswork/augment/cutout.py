"""A stretch of every sequence is set to zero.

DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout", 2017, in one dimension.
"""

from __future__ import annotations

import torch

from tswork.augment.base import Augmentation, View
from tswork.augment.stretch import StretchConfig, draw_stretch, inside_stretch
from tswork.registry import register


@register("view", "cutout", version=1, config=StretchConfig)
class Cutout(Augmentation[StretchConfig]):
    """Sets one random stretch of every sequence to zero, in all channels."""

    def __call__(self, view: View, *, generator: torch.Generator) -> View:
        start, size = draw_stretch(view.lengths, self.config.share, generator=generator)
        cut = inside_stretch(start, size, view.x.shape[1])
        return View(torch.where(cut[..., None] & ~view.x.isnan(), 0.0, view.x), view.lengths, view.keep)
