"""Mixing-up: tell from a mixture of two sequences which two they were, and in which shares.

Paper: Wickstrøm et al., "Mixing Up Contrastive Learning: Self-Supervised Representation Learning for Time Series", Pattern
Recognition Letters 155, 2022. The mixture is x~ = share * x + (1 - share) * x' of two sequences; its vector is compared by
cosine over a temperature with the vectors of all sequences, and the loss is the cross entropy with the shares as soft targets.

The paper has a batch of first and a batch of second members, 2B candidates; there the second batch is the first one in another order,
so every candidate stands twice. Here each stands once: the loss is smaller by exactly log 2, its gradient the same, and a
batch is encoded twice instead of three times.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from tswork.precision import wide


def mixture_contrast(
    mixed: Float[Tensor, "batch dim"],
    z: Float[Tensor, "batch dim"],
    *,
    partner: Int[Tensor, "batch"],
    share: Float[Tensor, "batch"],
    temperature: float = 0.5,
) -> Float[Tensor, ""]:
    """Mean cross entropy with soft targets, in float32 or wider, also under autocast; 0 for a batch of one.

    Row i of `mixed` is the vector of `share[i]` of sequence i and `1 - share[i]` of sequence `partner[i]`, whose own vectors are rows
    of `z`. A sequence may be its own partner.

    >>> z = torch.eye(4)
    >>> alone = mixture_contrast(z, z, partner=torch.arange(4), share=torch.ones(4), temperature=1.0)
    >>> round(alone.item(), 6)  # log(1 + 3 / e)
    0.743668
    """
    with torch.autocast(mixed.device.type, enabled=False):
        anchors, candidates = (functional.normalize(wide(rows), dim=-1) for rows in (mixed, z))
        surprise = -(anchors @ candidates.T / temperature).log_softmax(dim=1)
        first, second = surprise.diagonal(), surprise.gather(1, partner[:, None]).squeeze(1)
        share = share.to(surprise.dtype)
        loss: Tensor = (share * first + (1 - share) * second).mean()
        return loss
