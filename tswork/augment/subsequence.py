"""A stretch of every sequence takes the place of the whole, alone or among zeros.

Franceschi et al., "Unsupervised Scalable Representation Learning for Multivariate Time Series", NeurIPS 2019, section 3, take
such sub-series as positives. In a mixture of views (InfoTS) all have one length: there the stretch stays where it is, and what
is around it becomes zero, but for missing values, which stay missing.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field

from tswork.augment.base import Augmentation, View
from tswork.augment.stretch import StretchConfig, draw_stretch, inside_stretch, stretch_of
from tswork.registry import register


class SubsequenceConfig(StretchConfig):
    share: float = Field(default=0.5, gt=0, le=1, description="length of the stretch as a share of the sequence")
    elsewhere: Literal["removed", "zero"] = Field(
        default="removed", description="the rest of the sequence: removed, the stretch moving to the front, or zero"
    )


@register("view", "subsequence", version=1, config=SubsequenceConfig)
class Subsequence(Augmentation[SubsequenceConfig]):
    """Keeps one random stretch of every sequence."""

    def __init__(self, config: SubsequenceConfig) -> None:
        super().__init__(config)
        self.aligned = self.keeps_length = config.elsewhere == "zero"

    def __call__(self, view: View, *, generator: torch.Generator) -> View:
        start, size = draw_stretch(view.lengths, self.config.share, generator=generator)
        if self.config.elsewhere == "zero":
            rest = ~inside_stretch(start, size, view.x.shape[1])
            return View(torch.where(rest[..., None] & ~view.x.isnan(), 0.0, view.x), view.lengths, view.keep)
        time = view.x.shape[1]
        longest = stretch_of(time, self.config.share)  # no sequence is longer than the batch
        index = (start[:, None] + torch.arange(longest, device=view.x.device)).clamp(max=time - 1)
        keep = None if view.keep is None else view.keep.gather(1, index)
        x = view.x.gather(1, index[..., None].expand(-1, -1, view.x.shape[2]))
        return View(x, size, keep).changed(x)
