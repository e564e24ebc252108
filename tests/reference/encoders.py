"""Plain twins of the fast encoder forms."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from tswork.encoders.base import Encoder
from tswork.encoders.dilated_conv import Block, DilatedConv


def dilated_conv(encoder: DilatedConv, x: Tensor, keep: Tensor | None = None) -> Tensor:
    """Frames of one batch without padding, block by block as the paper draws them; steps not to `keep` are hidden."""
    hidden: Tensor = encoder.project(torch.nan_to_num(x))
    shown = ~torch.isnan(x).any(-1, keepdim=True)
    hidden = (hidden * (shown if keep is None else shown & keep[..., None])).transpose(1, 2)
    for index, block in enumerate(encoder.blocks):
        assert isinstance(block, Block)
        dilation = 2**index
        kept = hidden if block.skip is None else functional.conv1d(hidden, block.skip.weight, block.skip.bias)
        for convolution in (block.first, block.second):
            padded = functional.pad(functional.gelu(hidden), (dilation, dilation))
            hidden = functional.conv1d(padded, convolution.weight, convolution.bias, dilation=dilation)
        hidden = hidden + kept
    return hidden.transpose(1, 2)


def last_of_windows(encoder: Encoder, series: Tensor, window: int) -> Tensor:
    """The last frame of every window, one window at a time."""
    features = []
    for t in range(len(series)):
        piece = torch.full((window, series.shape[1]), torch.nan, dtype=series.dtype)
        first = max(0, t + 1 - window)
        piece[window - (t + 1 - first) :] = series[first : t + 1]
        features.append(encoder(piece[None]).values[0, -1])
    return torch.stack(features)
