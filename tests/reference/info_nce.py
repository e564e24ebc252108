"""InfoNCE and NT-Xent, one anchor and one candidate at a time."""

from __future__ import annotations

import torch
from torch import Tensor


def info_nce(
    z1: Tensor,
    z2: Tensor,
    *,
    temperature: float = 0.1,
    normalise: bool = True,
    symmetric: bool = True,
    among: str = "other",
    negatives: Tensor | None = None,
) -> Tensor:
    """Mean over anchors of -log(exp(s_twin / t) / sum over candidates of exp(s / t))."""
    views = [_unit(z) if normalise else z for z in (z1, z2)]
    further = [] if negatives is None else list(_unit(negatives) if normalise else negatives)
    losses = []
    for side in (0, 1) if symmetric else (0,):
        own, other = views[side], views[1 - side]
        for i, anchor in enumerate(own):
            candidates = [*other, *further]
            if among == "both":
                candidates += [own[j] for j in range(len(own)) if j != i]
            similarities = torch.stack([anchor @ candidate for candidate in candidates]) / temperature
            losses.append(similarities.logsumexp(dim=0) - (anchor @ other[i]) / temperature)
    return torch.stack(losses).mean()


def _unit(z: Tensor) -> Tensor:
    return torch.stack([row / row.norm().clamp(min=1e-12) for row in z])
