"""A causal convolution with many taps, exact in two forms: step by step, and as one matrix product a frequency.

    y[t] = sum over j of x[t - j] @ kernel[j],  with x zero before the first step

A convolution is a product of spectra, so on a grid of at least `time + taps - 1` frequencies it costs one complex matrix product
each, whatever the number of taps; the transforms are matrix products, too (`fourier`). Long inputs are cut into blocks that
overlap by `taps - 1` steps (overlap-save), which keeps the transforms short.

`causal_convolution` takes the form that needs fewer multiplications; a program made by `torch.export` always holds the first.
Frequencies are computed in single precision at least, under autocast as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from tswork.encoders.fourier import complex_rows, waves, waves_back

LONGEST_BLOCK = 3
"""Blocks have at most this many times as many steps as the kernel has taps."""
PORTION = 2**22
"""About so many numbers of the kernel's spectra exist at a time."""


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
    """The convolution as the formula has it; on a CPU in single precision at least, under autocast as well.

    oneDNN's bfloat16 kernels for processors with AMX give wrong sums for eight taps and more of some widths (torch 2.12).
    """
    if x.device.type != "cpu" or torch.compiler.is_exporting():
        return _step_by_step(x, kernel)
    if x.dtype in (torch.float16, torch.bfloat16):
        x = x.float()
    with torch.autocast("cpu", enabled=False):
        return _step_by_step(x, kernel.to(x.dtype))


def _step_by_step(
    x: Float[Tensor, "batch time wide_in"], kernel: Float[Tensor, "tap wide_in wide_out"]
) -> Float[Tensor, "batch time wide_out"]:
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
    (batch, time, _), (taps, _, wide_out) = x.shape, kernel.shape
    blocks, steps = _blocks(time, taps)
    past = 0 if blocks == 1 else taps - 1  # steps before a block that it is given
    rows = _overlapping(x.transpose(1, 2), blocks, steps, past)
    result: Tensor = _Spectral.apply(rows, kernel, past)  # type: ignore[no-untyped-call]
    return result.view(batch, blocks, wide_out, steps).transpose(2, 3).flatten(1, 2)[:, :time]


class _Spectral(torch.autograd.Function):
    """The product of spectra, a few frequencies at a time in both passes.

    Spectra of kernels are several times as large as the kernel, so the backward pass computes them again, and they never exist
    as a whole.
    """

    @staticmethod
    def forward(
        ctx: Any, rows: Float[Tensor, "row wide_in step"], kernel: Float[Tensor, "tap wide_in wide_out"], past: int
    ) -> Float[Tensor, "row wide_out fewer"]:
        ctx.save_for_backward(rows, kernel)
        ctx.past = past
        result = rows.new_zeros(rows.shape[0] * kernel.shape[2], rows.shape[2] - past)
        for into, kernel_into, back in _waves_in_portions(rows, kernel, past):
            product = torch.bmm(_spectra_of_rows(rows, into), _spectra_of_kernel(kernel, kernel_into))
            result.addmm_(product.view(len(back), len(result)).T, back)
        return result.view(rows.shape[0], kernel.shape[2], rows.shape[2] - past)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, gradient: Float[Tensor, "row wide_out fewer"]
    ) -> tuple[Float[Tensor, "row wide_in step"] | None, Float[Tensor, "tap wide_in wide_out"] | None, None]:
        rows, kernel = ctx.saved_tensors
        wants_rows, wants_kernel, _ = ctx.needs_input_grad
        of_rows = rows.new_zeros(rows.shape[0] * rows.shape[1], rows.shape[2]) if wants_rows else None
        of_kernel = kernel.new_zeros(len(kernel), kernel[0].numel()) if wants_kernel else None
        gradient = gradient.flatten(0, 1)
        with torch.autocast(rows.device.type, enabled=False):
            for into, kernel_into, back in _waves_in_portions(rows, kernel, ctx.past):
                of_product = (back @ gradient.T).view(len(back) // 2, 2 * len(rows), kernel.shape[2])
                if of_kernel is not None:
                    of_spectra = torch.bmm(_spectra_of_rows(rows, into).mT, of_product)
                    of_kernel.addmm_(kernel_into.T, of_spectra.view(len(kernel_into), kernel[0].numel()))
                if of_rows is not None:
                    of_spectra = torch.bmm(of_product, _spectra_of_kernel(kernel, kernel_into).mT)
                    of_rows.addmm_(_parts(of_spectra).view(len(into), len(of_rows)).T, into)
        return (
            None if of_rows is None else of_rows.view_as(rows),
            None if of_kernel is None else of_kernel.view_as(kernel),
            None,
        )


def _spectra_of_rows(
    rows: Float[Tensor, "row wide step"], into: Float[Tensor, "two_frequencies step"]
) -> Float[Tensor, "frequency two_rows two_wide"]:
    """Rows as a product with spectra of the kernel wants them."""
    spectrum = into @ rows.flatten(0, 1).T
    return complex_rows(spectrum.view(len(into) // 2, 2, *rows.shape[:2]))


def _parts(gradient: Float[Tensor, "frequency two_rows two_wide"]) -> Float[Tensor, "frequency 2 row wide"]:
    """The gradient of real and imaginary parts, from that of the four blocks that they stand in."""
    upper, lower = gradient.chunk(2, dim=1)
    (real, minus_imaginary), (imaginary, real_again) = upper.chunk(2, dim=2), lower.chunk(2, dim=2)
    return torch.stack([real + real_again, imaginary - minus_imaginary], dim=1)


def _spectra_of_kernel(
    kernel: Float[Tensor, "tap wide_in wide_out"], into: Float[Tensor, "two_frequencies tap"]
) -> Float[Tensor, "frequency two_wide wide_out"]:
    """Real parts above imaginary ones."""
    return (into @ kernel.flatten(1)).view(len(into) // 2, 2 * kernel.shape[1], kernel.shape[2])


def _waves_in_portions(rows: Tensor, kernel: Tensor, past: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """The transforms of rows and kernel and the one back, a few frequencies at a time."""
    taps, steps = len(kernel), rows.shape[2]
    period = steps - past + taps - 1
    matrices = (
        waves(period, rows.shape[2], like=rows),
        waves(period, taps, like=rows),
        waves_back(period, past, steps, like=rows),
    )
    portion = 2 * max(1, PORTION // (2 * kernel[0].numel()))
    return zip(*(of_all.split(portion) for of_all in matrices), strict=True)


def _overlapping(
    x: Float[Tensor, "batch wide time"], blocks: int, steps: int, past: int
) -> Float[Tensor, "row wide longer"]:
    """Blocks of so many steps, each behind the past that it sees; steps beyond both ends are zero."""
    if blocks == 1:
        return x
    padded = functional.pad(x, (past, blocks * steps - x.shape[2]))
    return padded.unfold(2, past + steps, steps).transpose(1, 2).flatten(0, 1)


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
