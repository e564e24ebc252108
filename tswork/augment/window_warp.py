"""A stretch of every sequence runs slower or faster, and the whole is brought back to its length.

Le Guennec, Malinowski and Tavenard, "Data Augmentation for Time Series Classification using Convolutional Neural Networks",
ECML/PKDD workshop AALTD 2016 (window warping): a tenth of the sequence takes twice or half its time. A stretch begins anywhere,
also between two steps: see `resampling` for what lies there.
"""

from __future__ import annotations

from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from tswork.augment.base import Augmentation, View
from tswork.augment.resampling import at_positions, last_places, steps_of
from tswork.config import Config, Many
from tswork.registry import register


class WindowWarpConfig(Config):
    share: float = Field(default=0.1, gt=0, le=1, description="length of the stretch as a share of the sequence")
    factors: Many[Annotated[float, Field(gt=0)]] = Field(
        default=(0.5, 2.0), min_length=1, description="how much longer the stretch takes; one is drawn a sequence"
    )


@register("view", "window_warp", version=1, config=WindowWarpConfig)
class WindowWarp(Augmentation[WindowWarpConfig]):
    """Slows down or speeds up one random stretch of every sequence; its ends stay in place."""

    aligned = False

    def __call__(self, view: View, *, generator: torch.Generator) -> View:
        share, device = self.config.share, view.x.device
        last = last_places(view.lengths)
        draws = torch.rand((2, len(view.x), 1), generator=generator, device=device, dtype=torch.float64)
        start, width = draws[0] * ((1 - share) * last), share * last
        factors = torch.tensor(self.config.factors, dtype=torch.float64).to(device, non_blocking=True)
        factor = factors[(draws[1] * len(factors)).long()]
        return at_positions(view, warped(steps_of(view), last, start, width, factor))


def warped(
    steps: Float[Tensor, "time"],
    last: Float[Tensor, "batch 1"],
    start: Float[Tensor, "batch 1"],
    width: Float[Tensor, "batch 1"],
    factor: Float[Tensor, "batch 1"],
) -> Float[Tensor, "batch time"]:
    """Where to read at every step when the stretch takes `factor` times its width and all together the time up to `last`."""
    whole = last + (factor - 1) * width
    moment = steps * torch.where(last > 0, whole / last, 1.0)
    inside = (moment - start).clamp(min=0).minimum(factor * width)
    return moment - inside * (1 - 1 / factor)
