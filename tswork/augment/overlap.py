"""Two random crops of every series that overlap, as TS2Vec draws them.

Yue et al., AAAI 2022, section 3.1, and the reference code: the overlap and how far each crop reaches past it on its own side
have one size for the whole batch, and where the pair lies is drawn for every series by itself. In a batch of unequal lengths the
same draws are shares of each series' own length: every series is used in full, and series of one length get the sizes that
they would get among their like.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Crop:
    """One crop of every series, zeros past each length, and where the overlap begins in it. Lengths are on the host."""

    x: Float[Tensor, "batch time channel"]
    lengths: Int[Tensor, "batch"]
    overlap_start: Int[Tensor, "batch"]

    @property
    def whole(self) -> bool:
        """Whether there is no padding."""
        return bool((self.lengths == self.x.shape[1]).all())


@dataclass(frozen=True, eq=False)
class OverlappingCrops:
    """The first crop ends with the overlap, the second begins with it; `overlap` (on the host) is its size in each series."""

    first: Crop
    second: Crop
    overlap: Int[Tensor, "batch"]

    def of(self, frames: Float[Tensor, "batch time dim"], crop: Crop) -> Float[Tensor, "batch overlap dim"]:
        """A crop's frames on the overlap, as many as the largest has."""
        return _take(frames, crop.overlap_start, self.overlap)


def overlapping_crops(
    x: Float[Tensor, "batch time channel"],
    lengths: Int[Tensor, "batch"],
    *,
    generator: torch.Generator,
    shortest: int = 2,
) -> OverlappingCrops:
    """Crops whose overlap has at least `shortest` steps (or all there are). `lengths` and the generator are on the host."""
    shares = torch.rand(4, generator=generator, dtype=torch.float64).unbind()
    least = lengths.clamp(max=shortest)
    overlap = least + _whole(shares[0], lengths - least)
    left = _whole(shares[1], lengths - overlap)
    start = _whole(shares[2], left)
    stop = left + overlap + _whole(shares[3], lengths - left - overlap)
    # The pair is moved by an amount of its own in every series, as far as the series allows.
    moved = _whole(torch.rand(len(x), generator=generator, dtype=torch.float64), lengths - (stop - start)) - start
    first, second = left + overlap - start, stop - left
    return OverlappingCrops(
        Crop(_take(x, moved + start, first), first, left - start),
        Crop(_take(x, moved + left, second), second, torch.zeros_like(left)),
        overlap,
    )


def _whole(share: Float[Tensor, "..."], largest: Int[Tensor, "batch"]) -> Int[Tensor, "batch"]:
    """Whole numbers 0..largest, all equally likely for a share that is uniform in [0, 1)."""
    return (share * (largest + 1)).long()


def _take(
    x: Tensor, start: Int[Tensor, "batch"], lengths: Int[Tensor, "batch"]
) -> Float[Tensor, "batch taken channel"]:
    """Steps from a start on in each row; zeros past each length."""
    time = int(lengths.max())
    if bool((start == start[0]).all() & (lengths == time).all()):
        return x[:, int(start[0]) : int(start[0]) + time]
    steps = torch.arange(time)
    index = (start[:, None] + steps).clamp(max=x.shape[1] - 1).to(x.device, non_blocking=True)
    taken = x.gather(1, index[..., None].expand(-1, -1, x.shape[2]))
    if bool((lengths == time).all()):
        return taken
    inside = (steps < lengths[:, None]).to(x.device, non_blocking=True)
    return torch.where(inside[..., None], taken, 0.0)
