"""Sequences read at other speeds, as a tape is, by products of matrices.

Between steps values are those of a Hann-windowed sinc with 6 zero crossings on each side, whose cutoff falls with a speed above 1, so
that nothing comes back as a lower frequency. Beyond its ends a sequence is 0.

Speeds are fractions, so weights repeat: those of a place are those of the place one period on, which reads a whole number of steps
further. A period is cut into blocks of places, and the values of a block are one product of the steps it reads with a matrix. Most
of its entries are 0, and it is still many times faster than to gather what each tap of the sinc reads.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

ZERO_CROSSINGS = 6
GRAIN = 1000
"""Speeds are multiples of its inverse, so that no period has more places."""
FEW, MANY = 32, 64
"""Places of a period at least and of a block at most: enough for a product of matrices, with few zeros."""


class Speeds(NamedTuple):
    """What is known of some speeds before there is a sequence."""

    over: Int[Tensor, "speed"]
    under: Int[Tensor, "speed"]
    """The speeds as fractions: `under` places are `over` steps."""
    slowest: Fraction
    period: int
    reach: int
    """Steps on either side that the widest sinc takes in."""
    first: Int[Tensor, "speed block"]
    """The step from which on a block of the first period reads."""
    weights: Float[Tensor, "speed block step place"]


@lru_cache(maxsize=8)
def speeds_of(factors: tuple[float, ...], device: torch.device) -> Speeds:
    """Of factors with three decimals at most; batches share what is found."""
    ratios = [Fraction(round(factor * GRAIN), GRAIN) for factor in factors]
    over, under = (torch.tensor([getattr(ratio, part) for ratio in ratios]) for part in ("numerator", "denominator"))
    period = math.lcm(*under.tolist())
    period *= -(-FEW // period)
    size = max(places for places in range(1, MANY + 1) if period % places == 0)
    reach = math.ceil(ZERO_CROSSINGS * max(1.0, *factors))
    steps = torch.arange(period).view(1, -1, size) * over[:, None, None]
    whole, share = steps // under[:, None, None], (steps % under[:, None, None]) / under[:, None, None].double()
    first = whole[..., 0] + 1 - reach
    width = int((whole[..., -1] - whole[..., 0]).amax()) + 2 * reach
    apart = whole[:, :, None] - (first[..., None] + torch.arange(width))[..., None] + share[:, :, None]
    scale = torch.tensor(factors, dtype=torch.float64).clamp(min=1)[:, None, None, None]
    weights = (_sinc(apart / scale) / scale).float()
    on = {"over": over, "under": under, "first": first, "weights": weights}
    return Speeds(slowest=min(ratios), period=period, reach=reach, **{name: one.to(device) for name, one in on.items()})


def played(
    samples: Float[Tensor, "batch time channel"], speeds: Speeds, chosen: Int[Tensor, "batch"], longest: int
) -> Float[Tensor, "batch new channel"]:
    """Sequences, each at the speed chosen for it, at so many places."""
    batch, time, channels = samples.shape
    _, blocks, width, size = speeds.weights.shape
    periods = -(-longest // speeds.period)
    further = speeds.over * (speeds.period // speeds.under)
    first = (
        further[chosen][:, None, None] * torch.arange(periods, device=samples.device)[:, None]
        + speeds.first[chosen][:, None]
    )
    # Zeros on both sides stand in for the test whether a step is inside; a block behind the end reads nothing but them.
    before = speeds.reach - 1
    filled = functional.pad(samples.transpose(1, 2), (before, width))
    index = (first.clamp(max=time) + before)[..., None] + torch.arange(width, device=samples.device)
    read = filled.gather(2, index.transpose(1, 2).reshape(batch, 1, -1).expand(-1, channels, -1))
    read = read.view(batch, channels, blocks, periods, width).transpose(1, 2).flatten(2, 3)
    values = read @ speeds.weights[chosen].to(samples.dtype)
    values = values.view(batch, blocks, channels, periods, size).permute(0, 3, 1, 4, 2)
    result: Tensor = values.reshape(batch, -1, channels)[:, :longest]
    return result


def _sinc(distance: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The windowed sinc."""
    window = torch.cos(distance * (math.pi / 2 / ZERO_CROSSINGS)).square()
    return (torch.sinc(distance) * window).masked_fill(distance.abs() >= ZERO_CROSSINGS, 0)
