"""Views that leave something out: masked steps, a cut-out stretch, a sub-sequence."""

from __future__ import annotations

import torch
from pydantic import Field

from tswork.augment.base import Augmentation, View
from tswork.augment.masks import Mask, draw_mask
from tswork.config import Config
from tswork.registry import register


class MaskConfig(Config):
    mask: Mask = Field(default="binomial", description="which steps are hidden from the encoder")
    probability: float = Field(default=0.5, ge=0, le=1, description="binomial: share of steps that stay")


@register("view", "mask", version=1, config=MaskConfig)
class MaskSteps(Augmentation[MaskConfig]):
    """Hides steps from the encoder, in latent space where it can (TS2Vec)."""

    def __call__(self, view: View, *, generator: torch.Generator) -> View:
        batch, time = view.x.shape[:2]
        keep = draw_mask(self.config.mask, batch, time, generator=generator, probability=self.config.probability)
        return View(view.x, view.lengths, keep if view.keep is None else keep & view.keep)


class ShareConfig(Config):
    share: float = Field(default=0.1, gt=0, le=1, description="length of the stretch as a share of the sequence")


@register("view", "cutout", version=1, config=ShareConfig)
class Cutout(Augmentation[ShareConfig]):
    """Sets one random stretch of every sequence to zero (DeVries & Taylor, 2017, on series)."""

    def __call__(self, view: View, *, generator: torch.Generator) -> View:
        return view.changed(torch.where(_stretch(view, self.config.share, generator)[..., None], 0.0, view.x))


@register("view", "subsequence", version=1, config=ShareConfig)
class Subsequence(Augmentation[ShareConfig]):
    """Keeps one random stretch of every sequence and moves it to the front."""

    def __call__(self, view: View, *, generator: torch.Generator) -> View:
        inside = _stretch(view, self.config.share, generator)
        lengths = inside.sum(dim=1)
        start = inside.float().argmax(dim=1)
        index = (start[:, None] + torch.arange(view.x.shape[1], device=view.x.device)).clamp(max=view.x.shape[1] - 1)
        keep = None if view.keep is None else view.keep.gather(1, index)
        return View(view.x, lengths, keep).changed(view.x.gather(1, index[..., None].expand_as(view.x)))


def _stretch(view: View, share: float, generator: torch.Generator) -> torch.Tensor:
    """One stretch a sequence, inside its length."""
    count = (view.lengths * share).long().clamp(min=1)
    draw = torch.rand(len(view.x), generator=generator, device=view.x.device)
    start = (draw * (view.lengths - count + 1)).long()
    steps = torch.arange(view.x.shape[1], device=view.x.device)
    return (steps >= start[:, None]) & (steps < (start + count)[:, None])
