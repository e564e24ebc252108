"""ECAPA-TDNN clip by clip, in plain sums over a dictionary of weights under SpeechBrain's names."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

Weights = Mapping[str, Tensor]


def mel_decibels(clip: np.ndarray, mels: int) -> np.ndarray:
    """Frames `(frame, mel)` of one clip at 16 kHz, each band's mean taken away."""
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(400) / 400)
    padded = np.pad(clip.astype(np.float64), 200)
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), mels + 2) / 2595) - 1)
    bands = np.zeros((len(clip) // 160 + 1, mels))
    for frame in range(len(bands)):
        power = np.abs(np.fft.rfft(padded[frame * 160 : frame * 160 + 400] * window)) ** 2
        for band in range(mels):
            width = edges[band + 1] - edges[band]
            sides = 1 - np.abs(np.arange(201) * 40.0 - edges[band + 1]) / width
            bands[frame, band] = 10 * np.log10(max(1e-10, (power * np.maximum(sides, 0)).sum()))
    bands = np.maximum(bands, bands.max() - 80)
    centred: np.ndarray = bands - bands.mean(axis=0)
    return centred


def embedding(weights: Weights, bands: Tensor, *, dilations: tuple[int, ...], groups: int) -> tuple[Tensor, Tensor]:
    """Frames `(wide, frame)` before pooling and the embedding of one clip of bands `(mel, frame)`."""
    x, outputs = unit(weights, "blocks.0", bands, dilations[0]), []
    for number in range(1, len(dilations) - 1):
        x = block(weights, f"blocks.{number}", x, dilations[number], groups)
        outputs.append(x)
    frames = unit(weights, "mfa", torch.cat(outputs), dilations[-1])
    mean, deviation = frames.mean(dim=1), frames.std(dim=1, correction=0).clamp(min=1e-6)
    beside = torch.cat([mean, deviation])[:, None].expand(-1, frames.shape[1])
    scores = convolved(weights, "asp.conv", torch.tanh(unit(weights, "asp.tdnn", torch.cat([frames, beside]), 1)))
    shares = scores.softmax(dim=1)
    mean = (shares * frames).sum(dim=1)
    deviation = (shares * (frames - mean[:, None]) ** 2).sum(dim=1).clamp(min=1e-12).sqrt()
    normed = norm(weights, "asp_bn", torch.cat([mean, deviation])[:, None])
    return frames, convolved(weights, "fc", normed)[:, 0]


def block(weights: Weights, name: str, x: Tensor, dilation: int, groups: int) -> Tensor:
    inner = unit(weights, f"{name}.tdnn1", x, 1)
    results: list[Tensor] = []
    for number, group in enumerate(inner.chunk(groups)):
        if number == 0:
            results.append(group)
            continue
        given = group if number == 1 else group + results[-1]
        results.append(unit(weights, f"{name}.res2net_block.blocks.{number - 1}", given, dilation))
    inner = unit(weights, f"{name}.tdnn2", torch.cat(results), 1)
    squeezed = functional.relu(convolved(weights, f"{name}.se_block.conv1", inner.mean(dim=1, keepdim=True)))
    gated = inner * torch.sigmoid(convolved(weights, f"{name}.se_block.conv2", squeezed))
    return gated + (convolved(weights, f"{name}.shortcut", x) if f"{name}.shortcut.conv.weight" in weights else x)


def unit(weights: Weights, name: str, x: Tensor, dilation: int) -> Tensor:
    return norm(weights, f"{name}.norm", functional.relu(convolved(weights, f"{name}.conv", x, dilation)))


def convolved(weights: Weights, name: str, x: Tensor, dilation: int = 1) -> Tensor:
    kernel = weights[f"{name}.conv.weight"]
    reach = dilation * (kernel.shape[2] - 1) // 2
    mirrored = functional.pad(x[None], (reach, reach), mode="reflect") if reach else x[None]
    return functional.conv1d(mirrored, kernel, weights[f"{name}.conv.bias"], dilation=dilation)[0]


def norm(weights: Weights, name: str, x: Tensor) -> Tensor:
    mean, variance, scale, shift = (
        weights[f"{name}.norm.{part}"][:, None] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (variance + 1e-5).sqrt() * scale + shift
