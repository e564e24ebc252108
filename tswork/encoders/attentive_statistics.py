"""Attentive statistics pooling: mean and deviation of the frames, each number of a frame weighed by an attention of its own.

Okabe et al., "Attentive Statistics Pooling for Deep Speaker Embedding", Interspeech 2018; that attention differs from number to
number and sees the clip's plain mean and deviation beside each frame: Desplanques et al., "ECAPA-TDNN", Interspeech 2020, section
3.1. Padding frames have weight 0, and deviations are of the population, so one frame alone has deviation 0.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tswork.encoders.base import Frames, OwnPooling, valid_steps
from tswork.precision import wide

TINY = 1e-7
"""Added to variances before their root, whose slope at 0 is infinite."""


class AttentiveStatistics(OwnPooling):
    """Weighted mean and deviation of frames, mapped to `out` numbers (none: both as they are)."""

    def __init__(self, dim: int, *, attention: int = 64, out: int | None = None) -> None:
        super().__init__()
        self.dim = 2 * dim if out is None else out
        self.look = nn.Linear(3 * dim, attention)
        self.weigh = nn.Linear(attention, dim)
        self.project = None if out is None else nn.Sequential(nn.LayerNorm(2 * dim), nn.Linear(2 * dim, out))

    def forward(self, frames: Frames) -> Float[Tensor, "batch dim"]:
        values, lengths = frames
        inside = valid_steps(lengths, values.shape[1])[..., None]
        even = inside / lengths.clamp(min=1)[:, None, None]
        whole = statistics(values, even.to(values.dtype).expand_as(values))
        beside = whole[:, None].expand(-1, values.shape[1], -1).to(values.dtype)
        scores = self.weigh(torch.tanh(self.look(torch.cat([values, beside], dim=2))))
        scores = wide(scores).masked_fill(~inside, -torch.inf)
        # A sequence without any frame: its weights are 0, and no softmax is over nothing.
        weights = scores.masked_fill(lengths[:, None, None] == 0, 0.0).softmax(dim=1) * inside
        vectors = statistics(values, weights).to(values.dtype)
        if self.project is not None:
            vectors = self.project(vectors)
        return vectors.masked_fill(lengths[:, None] == 0, 0)


def statistics(
    values: Float[Tensor, "batch frame dim"], weights: Float[Tensor, "batch frame dim"]
) -> Float[Tensor, "batch twice_dim"]:
    """Mean and, behind it, deviation of frames under weights that add up to 1; what has weight 0 may be any number."""
    known = wide(values).masked_fill(weights == 0, 0)
    mean = (weights * known).sum(dim=1)
    variance = (weights * (known - mean[:, None]).square()).sum(dim=1)
    return torch.cat([mean, (variance + TINY).sqrt() - TINY**0.5], dim=1)
