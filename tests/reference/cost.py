"""CoST, one row, step and frequency at a time."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from tests.reference import encoders as plain
from tests.reference.cosines import cosine
from tswork.encoders.trend_seasonal import TrendSeasonal


def trend_frames(encoder: TrendSeasonal, frames: Tensor) -> Tensor:
    """Each causal convolution by itself, and the mean of what they give."""
    seen = []
    for weight, bias in zip(encoder.trend.weights, encoder.trend.biases, strict=True):
        # torch's kernels are (out, in, tap), and their last tap meets the present step.
        padded = functional.pad(frames.transpose(1, 2), (len(weight) - 1, 0))
        seen.append(functional.conv1d(padded, weight.flip(0).permute(2, 1, 0), bias).transpose(1, 2))
    return torch.stack(seen).mean(dim=0)


def seasonal_frames(encoder: TrendSeasonal, frames: Tensor) -> Tensor:
    """The transform, a complex matrix for each frequency, and the transform back, as sums over steps."""
    length = frames.shape[1]
    result = torch.zeros(len(frames), length, encoder.half_dim, dtype=frames.dtype)
    weights = torch.complex(*encoder.seasonal.weight.unbind(1))
    biases = torch.complex(*encoder.seasonal.bias.unbind(1))
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        mapped = coefficient(frames, number) @ weight + bias
        # A real series has a second coefficient, the conjugate, at every frequency but the first and an even length's last.
        times = 1 if number == 0 or 2 * number == length else 2
        for t in range(length):
            wave = torch.exp(torch.tensor(2j * math.pi * (number * t % length) / length, dtype=torch.complex128))
            result[:, t] += times / length * (mapped * wave).real
    return result


def coefficient(series: Tensor, number: int) -> Tensor:
    """One Fourier coefficient of each channel, from its definition."""
    length = series.shape[1]
    total = torch.zeros_like(series[:, 0], dtype=torch.complex128)
    for t in range(length):
        turn = torch.tensor(-2j * math.pi * (number * t % length) / length, dtype=torch.complex128)
        total = total + series[:, t] * torch.exp(turn)
    return total


def encoded(encoder: TrendSeasonal, window: Tensor, keep: Tensor | None = None) -> Tensor:
    """Frames of whole windows, trend and seasonal features side by side."""
    frames = plain.dilated_conv(encoder.trunk, window, keep)
    return torch.cat([trend_frames(encoder, frames), seasonal_frames(encoder, frames)], dim=2)


def published(encoder: TrendSeasonal, window: Tensor) -> Tensor:
    """The same in the structure of the published code: convolutions one by one, fast transforms of complex numbers."""
    frames = plain.dilated_conv(encoder.trunk, window)
    weight, bias = (torch.complex(*pair.unbind(1)) for pair in (encoder.seasonal.weight, encoder.seasonal.bias))
    mapped = torch.einsum("bfi,fio->bfo", torch.fft.rfft(frames, dim=1), weight) + bias
    seasonal = torch.fft.irfft(mapped, n=window.shape[1], dim=1)
    return torch.cat([trend_frames(encoder, frames), seasonal], dim=2)


def trend_contrast(anchors: Tensor, twins: Tensor, negatives: Tensor, *, temperature: float = 0.07) -> Tensor:
    """Mean over anchors of -log(exp(s_twin / t) / (exp(s_twin / t) + sum over the queue of exp(s / t)))."""
    losses = []
    for anchor, twin in zip(anchors, twins, strict=True):
        similarities = torch.stack([cosine(anchor, other) for other in [twin, *negatives]]) / temperature
        losses.append(similarities.logsumexp(dim=0) - similarities[0])
    return torch.stack(losses).mean()


def seasonal_contrast(z1: Tensor, z2: Tensor) -> tuple[Tensor, Tensor]:
    """Amplitude and phase loss, frequency by frequency and anchor by anchor."""
    unit = [z / z.norm(dim=2, keepdim=True).clamp(min=1e-12) for z in (z1, z2)]
    amplitudes, phases = [], []
    for number in range(z1.shape[1] // 2 + 1):
        first, second = (coefficient(z, number) for z in unit)
        amplitudes.append(_picked(_amplitude(first), _amplitude(second)))
        phases.append(_picked(_angle(first), _angle(second)))
    return torch.stack(amplitudes).mean(), torch.stack(phases).mean()


def _picked(first: Tensor, second: Tensor) -> Tensor:
    """Mean cross entropy of each row's twin among all other rows of both views, by dot products."""
    rows, count = [*first, *second], len(first)
    losses = []
    for i, anchor in enumerate(rows):
        others = torch.stack([anchor @ row for j, row in enumerate(rows) if j != i])
        losses.append(others.logsumexp(dim=0) - anchor @ rows[(i + count) % (2 * count)])
    return torch.stack(losses).mean()


def _amplitude(values: Tensor) -> Tensor:
    return torch.hypot(values.real, values.imag)


def _angle(values: Tensor) -> Tensor:
    # The imaginary part of a real coefficient is rounding noise in a sum of its definition.
    noise = values.imag.abs() < 1e-12
    return torch.atan2(torch.where(noise, 0.0, values.imag), values.real)
