"""The contrast of segments, one segment, dimension and pair at a time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tests.reference.cosines import cosine


def largest_of_segments(z: Tensor, count: int, *, lengths: Sequence[int]) -> Tensor:
    out = torch.zeros(len(z), count, z.shape[2], dtype=z.dtype)
    for series, length in enumerate(lengths):
        for segment in range(count):
            steps = [z[series, step] for step in range(length) if step * count // length == segment]
            if steps:
                out[series, segment] = torch.stack(steps).max(dim=0).values
    return out


def segment_info_nce(x: Tensor, v: Tensor, *, temperature: float, takes_part: Sequence[bool]) -> Tensor:
    asked = [(series, segment) for series in range(len(x)) for segment in range(x.shape[1]) if takes_part[series]]
    losses = []
    for own in asked:
        scores = {other: cosine(x[own], v[other]) / temperature for other in asked}
        losses.append(torch.stack([*scores.values()]).logsumexp(dim=0) - scores[own])
    return torch.stack(losses).mean() if losses else x.new_zeros(())
