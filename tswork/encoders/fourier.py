"""Discrete Fourier transforms of real series as matrices, and complex products as real ones.

With a few hundred steps and far more channels than that, nearly all time goes into matrix products, and a transform is best
computed as one, too: it reads and writes the layout that its neighbours want, where a fast transform would save operations and
spend them on copies. A spectrum has the real and the imaginary part of each frequency in turn, so autograd, optimisers and files
see real numbers alone.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor


def waves(period: int, steps: int, *, like: Tensor) -> Float[Tensor, "two_frequencies step"]:
    """The transform of a real series: cosine and negative sine of each frequency in turn."""
    angles = _angles(period, torch.arange(steps, device=like.device))
    return torch.stack([angles.cos(), -angles.sin()], dim=1).flatten(0, 1).to(like.dtype)


def waves_back(period: int, start: int, stop: int, *, like: Tensor) -> Float[Tensor, "two_frequencies step"]:
    """The transform back, to the steps `start` to `stop`; all frequencies but the first and an even period's last count twice."""
    angles = _angles(period, torch.arange(start, stop, device=like.device))
    times = torch.full_like(angles[:, :1], 2 / period)
    times[0] = 1 / period
    if period % 2 == 0:
        times[-1] = 1 / period
    return torch.stack([times * angles.cos(), -times * angles.sin()], dim=1).flatten(0, 1).to(like.dtype)


def complex_rows(spectrum: Float[Tensor, "frequency 2 row wide"]) -> Float[Tensor, "frequency two_rows two_wide"]:
    """Real and imaginary rows `a + ib` as `[a, -b]` and `[b, a]`, which times `[c, d]` are the parts of `(a + ib)(c + id)`."""
    real, imaginary = spectrum.unbind(1)
    return torch.cat([torch.cat([real, -imaginary], dim=2), torch.cat([imaginary, real], dim=2)], dim=1)


def _angles(period: int, steps: Int[Tensor, "step"]) -> Float64[Tensor, "frequency step"]:
    """2 pi times frequency times step over the period, from whole turns taken off in integers."""
    frequencies = torch.arange(period // 2 + 1, device=steps.device)
    return (frequencies[:, None] * steps % period).to(torch.float64) * (2 * math.pi / period)
