"""Two random crops of a batch that overlap, as TS2Vec draws them.

The overlap has one length for the whole batch and each crop reaches past it on its own side by a random amount; where the
pair lies is drawn for every series by itself. Series of unequal length are cropped inside the shortest one's length, each
somewhere inside its own, so no crop ever holds padding.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class OverlappingCrops:
    """The first view ends with the overlap, the second begins with it."""

    first: Float[Tensor, "batch first channel"]
    second: Float[Tensor, "batch second channel"]
    overlap: int


def overlapping_crops(
    x: Float[Tensor, "batch time channel"],
    lengths: Int[Tensor, "batch"],
    *,
    generator: torch.Generator,
    shortest: int = 2,
) -> OverlappingCrops:
    """Crops whose overlap has at least `shortest` steps (or all there are). `lengths` and the generator are on the host."""

    def between(low: int, high: int) -> int:
        """A whole number of low .. high."""
        return int(torch.randint(low, high + 1, (), generator=generator))

    time = int(lengths.min())
    overlap = between(min(shortest, time), time)
    left = between(0, time - overlap)
    start = between(0, left)
    stop = between(left + overlap, time)
    # The pair is moved by an amount of its own in every series, as far as the series allows.
    room = lengths - (stop - start) + 1
    moved = (torch.rand(len(x), generator=generator, dtype=torch.float64) * room).long()
    origin = (moved - start).to(x.device, non_blocking=True)
    first = _take(x, origin + start, left + overlap - start)
    second = _take(x, origin + left, stop - left)
    return OverlappingCrops(first, second, overlap)


def _take(x: Tensor, start: Int[Tensor, "batch"], length: int) -> Tensor:
    index = start[:, None] + torch.arange(length, device=x.device)
    return x.gather(1, index[..., None].expand(-1, -1, x.shape[2]))
