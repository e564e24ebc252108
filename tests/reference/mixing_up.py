"""Mixing-up as the paper writes it: two batches of members, 2B candidates, one anchor at a time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tests.reference.cosines import cosine


def mixture_contrast(
    mixed: Tensor, first: Tensor, second: Tensor, share: Sequence[float], *, temperature: float = 0.5
) -> Tensor:
    """Mean of -share log p(first) - (1 - share) log p(second) among all members of both batches."""
    losses = []
    for i, anchor in enumerate(mixed):
        similarities = torch.stack([cosine(anchor, other) for other in [*first, *second]]) / temperature
        chances = similarities.softmax(dim=0)
        losses.append(-share[i] * chances[i].log() - (1 - share[i]) * chances[len(first) + i].log())
    return torch.stack(losses).mean()
