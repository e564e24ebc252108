"""A causal convolution with many taps, exact in two forms: step by step, and as one matrix product a frequency.

    y[t] = sum over j of x[t - j] @ kernel[j],  with x zero before the first step

A convolution is a product of spectra, so on a grid of at least `time + taps - 1` frequencies it costs one complex matrix product
each, whatever the number of taps. With a few hundred steps and far more channels than that, nearly all time goes into matrix
products, and the discrete Fourier transforms are best computed as matrix products, too: they read steps and write frequencies
in the layout that the next product wants, where a fast transform would save operations and spend them on copies. A complex
product is one real product of twice the width, so autograd needs nothing of its own. Long inputs are cut into blocks that
overlap by `taps - 1` steps (overlap-save), which keeps the transforms short.

`causal_convolution` takes the form that needs fewer multiplications; a program made by `torch.export` always holds the first.
Frequencies are computed in single precision at least, under autocast as well.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor
from torch.nn import functional

LONGEST_BLOCK = 3
"""Blocks have at most this many times as many steps as the kernel has taps."""


def causal_convolution(
    x: Float[Tensor, "batch time wide_in"], kernel: Float[Tensor, "tap wide_in wide_out"]
) -> Float[Tensor, "batch time wide_out"]:
    """The convolution in its cheaper form; `kernel[0]` meets the present step, `kernel[j]` the one j steps ago."""
    if torch.compiler.is_exporting():
        return step_by_step(x, kernel)
    kernel = kernel[: x.shape[1]]  # no step has more past than that
    (batch, time, _), (taps, wide_in, wide_out) = x.shape, kernel.shape
    if _multiplications(batch, time, taps, wide_in, wide_out) < batch * time * taps * wide_in * wide_out:
        return by_frequency(x, kernel)
    return step_by_step(x, kernel)


def step_by_step(
    x: Float[Tensor, "batch time wide_in"], kernel: Float[Tensor, "tap wide_in wide_out"]
) -> Float[Tensor, "batch time wide_out"]:
    """The convolution as the formula has it."""
    padded = functional.pad(x.transpose(1, 2), (kernel.shape[0] - 1, 0))
    return functional.conv1d(padded, kernel.flip(0).permute(2, 1, 0)).transpose(1, 2)


def by_frequency(
    x: Float[Tensor, "batch time wide_in"], kernel: Float[Tensor, "tap wide_in wide_out"]
) -> Float[Tensor, "batch time wide_out"]:
    """The convolution as a product of spectra."""
    if x.dtype in (torch.float16, torch.bfloat16):
        x = x.float()
    with torch.autocast(x.device.type, enabled=False):
        return _by_frequency(x, kernel.to(x.dtype))


def _by_frequency(
    x: Float[Tensor, "batch time wide_in"], kernel: Float[Tensor, "tap wide_in wide_out"]
) -> Float[Tensor, "batch time wide_out"]:
    (batch, time, _), (taps, wide_in, wide_out) = x.shape, kernel.shape
    blocks, steps = _blocks(time, taps)
    past = 0 if blocks == 1 else taps - 1  # steps before a block that it is given
    rows = _overlapping(x.transpose(1, 2), blocks, steps, past)
    period = steps + taps - 1
    count = period // 2 + 1
    spectrum = _waves(period, rows.shape[2], like=x) @ rows.reshape(len(rows) * wide_in, rows.shape[2]).T
    kernels = _waves(period, taps, like=x) @ kernel.reshape(taps, -1)
    product = torch.bmm(
        _complex(spectrum.view(count, 2, len(rows), wide_in)), kernels.view(count, 2 * wide_in, wide_out)
    )
    back = _waves_back(period, past, past + steps, like=x)
    result = (product.view(2 * count, len(rows) * wide_out).T @ back).view(batch, blocks, wide_out, steps)
    return result.transpose(2, 3).reshape(batch, blocks * steps, wide_out)[:, :time]


def _overlapping(
    x: Float[Tensor, "batch wide time"], blocks: int, steps: int, past: int
) -> Float[Tensor, "row wide longer"]:
    """Blocks of so many steps, each behind the past that it sees; steps beyond both ends are zero."""
    if blocks == 1:
        return x
    padded = functional.pad(x, (past, blocks * steps - x.shape[2]))
    return padded.unfold(2, past + steps, steps).transpose(1, 2).flatten(0, 1)


def _complex(spectrum: Float[Tensor, "frequency 2 row wide"]) -> Float[Tensor, "frequency two_rows two_wide"]:
    """Real and imaginary rows `a + ib` as `[a, -b]` and `[b, a]`, which times `[c, d]` are the parts of `(a + ib)(c + id)`."""
    real, imaginary = spectrum.unbind(1)
    return torch.cat([torch.cat([real, -imaginary], dim=2), torch.cat([imaginary, real], dim=2)], dim=1)


def _waves(period: int, steps: int, *, like: Tensor) -> Float[Tensor, "two_frequencies step"]:
    """The transform of a real series: cosine and negative sine of each frequency in turn."""
    angles = _angles(period, torch.arange(steps, device=like.device))
    return torch.stack([angles.cos(), -angles.sin()], dim=1).flatten(0, 1).to(like.dtype)


def _waves_back(period: int, start: int, stop: int, *, like: Tensor) -> Float[Tensor, "two_frequencies step"]:
    """The transform back, to the steps `start` to `stop`; all frequencies but the first and an even period's last count twice."""
    angles = _angles(period, torch.arange(start, stop, device=like.device))
    times = torch.full_like(angles[:, :1], 2 / period)
    times[0] = 1 / period
    if period % 2 == 0:
        times[-1] = 1 / period
    return torch.stack([times * angles.cos(), -times * angles.sin()], dim=1).flatten(0, 1).to(like.dtype)


def _angles(period: int, steps: Int[Tensor, "step"]) -> Float64[Tensor, "frequency step"]:
    """2 pi times frequency times step over the period, from whole turns taken off in integers."""
    frequencies = torch.arange(period // 2 + 1, device=steps.device)
    return (frequencies[:, None] * steps % period).to(torch.float64) * (2 * math.pi / period)


def _blocks(time: int, taps: int) -> tuple[int, int]:
    """How many blocks there are, and how many steps each has."""
    blocks = -(-time // (LONGEST_BLOCK * taps))
    return blocks, -(-time // blocks)


def _multiplications(batch: int, time: int, taps: int, wide_in: int, wide_out: int) -> int:
    """Of `by_frequency`: the transforms of input, kernel and output, and the product of spectra."""
    blocks, steps = _blocks(time, taps)
    period = steps + taps - 1
    read = steps if blocks == 1 else period
    transforms = period * (batch * blocks * (read * wide_in + steps * wide_out) + taps * wide_in * wide_out)
    return transforms + 2 * period * batch * blocks * wide_in * wide_out
