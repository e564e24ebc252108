"""InfoTS, one sequence and one term at a time."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def leave_one_out(z_v: Tensor, z_x: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Poole et al., the leave-one-out bound, with the density exp(cosine / temperature)."""
    terms = []
    for i in range(len(z_v)):
        density = [torch.exp(_cosine(z_v[i], z_x[j]) / temperature) for j in range(len(z_x))]
        others = [density[j] for j in range(len(z_x)) if j != i]
        terms.append(torch.log(density[i]) - torch.log(torch.stack(others).mean()))
    return torch.stack(terms).mean()


def mixture(x: Tensor, views: list[Tensor], weights: list[float], applied: list[list[bool]]) -> Tensor:
    """`(batch, time, channel)`: value by value, the sequence's own where an augmentation is not applied or has none."""
    found = torch.empty_like(x)
    for i in range(len(x)):
        for t in range(x.shape[1]):
            for c in range(x.shape[2]):
                own = float(x[i, t, c])
                total = 0.0
                for view, weight, on in zip(views, weights, applied, strict=True):
                    value = float(view[i, t, c]) if on[i] else own
                    total += weight * (own if math.isnan(value) else value)
                found[i, t, c] = total
    return found


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    lengths: Tensor = a.square().sum().sqrt() * b.square().sum().sqrt()
    return (a * b).sum() / lengths
