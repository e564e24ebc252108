"""Smooth random curves: natural cubic splines through a few knots, one curve for each sequence and channel.

The knots are spread evenly from the first to the last real step of a sequence, whatever its length. A natural spline is linear
in the values at its knots, and so are its second derivatives there; the matrix that gives these is the same for all curves.
"""

from __future__ import annotations

from functools import cache

import torch
from jaxtyping import Float, Int
from torch import Tensor


def draw_curve(
    lengths: Int[Tensor, "batch"], time: int, *, knots: int, curves: int, generator: torch.Generator
) -> Float[Tensor, "batch time curve"]:
    """Curves through independent standard normal values at the knots, in double precision."""
    shape = (len(lengths), knots, curves)
    drawn = torch.randn(shape, generator=generator, device=lengths.device, dtype=torch.float64)
    return curve_through(drawn, lengths, time)


def curve_through(
    knots: Float[Tensor, "batch knot curve"], lengths: Int[Tensor, "batch"], time: int
) -> Float[Tensor, "batch time curve"]:
    """The natural cubic splines through these values (two knots at least) at every step; padding holds the last value."""
    count = knots.shape[1]
    bend = torch.einsum("ij,bjc->bic", _second_derivatives(count).to(knots, non_blocking=True), knots)
    last = (lengths - 1).clamp(min=0)
    steps = torch.arange(time, device=knots.device).minimum(last[:, None]).to(knots.dtype)
    place = steps * ((count - 1) / last.clamp(min=1).to(knots.dtype))[:, None]
    left = place.long().clamp(max=count - 2)
    after = (place - left)[..., None]
    before = 1 - after

    def at(values: Tensor, index: Tensor) -> Tensor:
        return values.gather(1, index[..., None].expand(-1, -1, values.shape[2]))

    straight = before * at(knots, left) + after * at(knots, left + 1)
    return straight + ((before**3 - before) * at(bend, left) + (after**3 - after) * at(bend, left + 1)) / 6


@cache
def _second_derivatives(count: int) -> Float[Tensor, "knot knot"]:
    """From values at knots a unit apart to the spline's second derivatives there, which are 0 at both ends."""
    matrix = torch.zeros(count, count, dtype=torch.float64)
    inner = count - 2
    if inner > 0:
        ones = torch.ones(inner, dtype=torch.float64)
        system = 4 * torch.diag(ones) + torch.diag(ones[1:], 1) + torch.diag(ones[1:], -1)
        differences = torch.zeros(inner, count, dtype=torch.float64)
        for offset, factor in ((0, 6.0), (1, -12.0), (2, 6.0)):
            differences[torch.arange(inner), torch.arange(inner) + offset] = factor
        matrix[1:-1] = torch.linalg.solve(system, differences)
    return matrix
