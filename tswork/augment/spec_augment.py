"""Spans of frames and of bands of a spectrogram wiped out, for a network that should not rely on any of them.

Park et al., "SpecAugment: A Simple Data Augmentation Method for Automatic Speech Recognition", Interspeech 2019, without its time
warping (which is `time_warp`). Each mask has a width of its own, evenly from 0 to its limit, at any place. Widths are limited by a
share of the clip's own frames and of the bands too, so no clip is too short for it: one of few frames is masked little or not at all.
Wiped cells get the mean of their band over the clip (0 where bands are normalised); missing values stay missing.

As a view it works on data that are frames (the preparation `log_mel`). An encoder behind the front end `log_mel` makes its frames
within the model, where no view reaches: there it is the front end's option `spec_augment`, which acts in training alone, as a
dropout does, and draws from torch's generator of the device, which the training loop seeds before every step.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from tswork.augment.base import Augmentation, View
from tswork.config import Config
from tswork.encoders.base import valid_steps
from tswork.registry import register


class SpecAugmentConfig(Config):
    time_masks: int = Field(default=2, ge=0, description="spans of frames that are wiped out")
    time_width: int = Field(default=40, ge=0, description="largest width of one, in frames")
    time_share: float = Field(
        default=0.2, ge=0, le=1, description="largest width of one, as a share of the clip's frames"
    )
    band_masks: int = Field(default=2, ge=0, description="spans of bands that are wiped out")
    band_width: int = Field(default=27, ge=0, description="largest width of one, in bands")
    band_share: float = Field(default=0.34, ge=0, le=1, description="largest width of one, as a share of the bands")


@register("view", "spec_augment", version=1, config=SpecAugmentConfig)
class SpecAugment(Augmentation[SpecAugmentConfig]):
    """Wipes out spans of frames and of bands."""

    def __call__(self, view: View, *, generator: torch.Generator) -> View:
        return view.changed(wiped(view.x, view.lengths, self.config, generator=generator))


def wiped(
    frames: Float[Tensor, "batch frame band"],
    lengths: Int[Tensor, "batch"],
    config: SpecAugmentConfig,
    *,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "batch frame band"]:
    """Frames with spans wiped out; without a generator the draws are those of torch's own for the device."""
    time, bands = frames.shape[1:]
    width = torch.full_like(lengths, bands)
    in_time = _spans(lengths, time, config.time_masks, config.time_width, config.time_share, generator)
    in_bands = _spans(width, bands, config.band_masks, config.band_width, config.band_share, generator)
    there = valid_steps(lengths, time)[..., None] & ~frames.isnan()
    mean = frames.masked_fill(~there, 0).sum(dim=1, keepdim=True) / there.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.where((in_time[:, :, None] | in_bands[:, None, :]) & there, mean.to(frames.dtype), frames)


def _spans(
    lengths: Int[Tensor, "batch"], size: int, masks: int, width: int, share: float, generator: torch.Generator | None
) -> Bool[Tensor, "batch size"]:
    """Places that lie in one of so many spans."""
    draw = torch.rand((2, len(lengths), masks), generator=generator, device=lengths.device, dtype=torch.float64)
    most = (lengths * share).long().clamp(max=width)[:, None]
    wide = (draw[0] * (most + 1)).long()
    start = (draw[1] * (lengths[:, None] - wide + 1)).long()
    place = torch.arange(size, device=lengths.device)
    inside = (place >= start[..., None]) & (place < (start + wide)[..., None])
    return inside.any(dim=1)
