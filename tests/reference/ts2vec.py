"""The hierarchical contrastive loss of TS2Vec, loop by loop from the paper's equations. Slow and plain on purpose."""

from __future__ import annotations

import torch
from torch import Tensor


def instance_contrast(z1: Tensor, z2: Tensor) -> Tensor:
    """Equation 2, averaged over steps, series and both views."""
    batch, time, _ = z1.shape
    if batch == 1:
        return z1.new_zeros(())
    losses = []
    for t in range(time):
        views = (z1[:, t], z2[:, t])
        losses += [_cross_entropy(views[side], views[1 - side], i) for side in (0, 1) for i in range(batch)]
    return torch.stack(losses).mean()


def temporal_contrast(z1: Tensor, z2: Tensor) -> Tensor:
    """Equation 1, averaged over series, steps and both views."""
    batch, time, _ = z1.shape
    if time == 1:
        return z1.new_zeros(())
    losses = []
    for i in range(batch):
        views = (z1[i], z2[i])
        losses += [_cross_entropy(views[side], views[1 - side], t) for side in (0, 1) for t in range(time)]
    return torch.stack(losses).mean()


def hierarchical_contrast(z1: Tensor, z2: Tensor, *, alpha: float = 0.5, temporal_unit: int = 0) -> Tensor:
    """Algorithm 1."""
    losses = []
    scale = 0
    while z1.shape[1] > 1:
        loss = alpha * instance_contrast(z1, z2)
        if scale >= temporal_unit:
            loss = loss + (1 - alpha) * temporal_contrast(z1, z2)
        losses.append(loss)
        z1, z2 = (torch.nn.functional.max_pool1d(z.transpose(1, 2), 2).transpose(1, 2) for z in (z1, z2))
        scale += 1
    losses.append(alpha * instance_contrast(z1, z2))
    return torch.stack(losses).mean()


def _cross_entropy(own: Tensor, other: Tensor, anchor: int) -> Tensor:
    """-log of the share of the twin `other[anchor]` among all items of both views but the anchor itself."""
    candidates = [torch.dot(own[anchor], other[j]) for j in range(len(other))]
    candidates += [torch.dot(own[anchor], own[j]) for j in range(len(own)) if j != anchor]
    return torch.logsumexp(torch.stack(candidates), dim=0) - torch.dot(own[anchor], other[anchor])
