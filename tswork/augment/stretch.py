"""One random stretch of every sequence, for views that cut it out or keep it alone."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from pydantic import Field
from torch import Tensor

from tswork.config import Config


class StretchConfig(Config):
    share: float = Field(default=0.1, gt=0, le=1, description="length of the stretch as a share of the sequence")


def draw_stretch(
    lengths: Int[Tensor, "batch"], share: float, *, generator: torch.Generator
) -> tuple[Int[Tensor, "batch"], Int[Tensor, "batch"]]:
    """Start and size of a stretch inside each length; at least one step, at every place equally often."""
    size = (lengths.double() * share).long().clamp(min=1).minimum(lengths)
    draw = torch.rand(len(lengths), generator=generator, device=lengths.device, dtype=torch.float64)
    return (draw * (lengths - size + 1)).long(), size


def inside_stretch(start: Int[Tensor, "batch"], size: Int[Tensor, "batch"], time: int) -> Bool[Tensor, "batch time"]:
    """Which steps lie in each stretch."""
    steps = torch.arange(time, device=start.device)
    return (steps >= start[:, None]) & (steps < (start + size)[:, None])


def stretch_of(length: int, share: float) -> int:
    """The size that `draw_stretch` gives a sequence of this length."""
    return max(1, int(length * share))
