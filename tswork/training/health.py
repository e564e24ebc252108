"""Is the embedding healthy? Alignment, uniformity, effective rank, similarities and gradient norms of a fixed sample.

Alignment and uniformity: Wang and Isola, "Understanding contrastive representation learning through alignment and
uniformity on the hypersphere" (ICML 2020), with exponents 2 and 2. Effective rank: Roy and Vetterli, "The effective
rank: a measure of effective dimensionality" (EUSIPCO 2007), of the embeddings without centring, as in RankMe (ICML 2023).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

BINS = 40
"""Bins of the similarity histograms between -1 and 1."""


def alignment(z1: Float[Tensor, "sample dim"], z2: Float[Tensor, "sample dim"]) -> Float[Tensor, ""]:
    """Mean squared distance between the normalised views of a sequence: 0 (equal) to 4 (opposite)."""
    return (normalize(z1, dim=-1) - normalize(z2, dim=-1)).square().sum(dim=-1).mean()


def uniformity(z: Float[Tensor, "sample dim"]) -> Float[Tensor, ""]:
    """Log of the mean Gaussian potential over pairs of normalised embeddings: 0 (collapsed) down to -8 (two opposite).

    0 for fewer than two samples.
    """
    if len(z) < 2:
        return z.new_zeros(())
    similarity = off_diagonal(similarities(z, z))
    potential: Tensor = (4 * (similarity - 1)).logsumexp(dim=0)
    return potential - math.log(len(similarity))


def effective_rank(z: Float[Tensor, "sample dim"]) -> Float[Tensor, ""]:
    """Exponential of the entropy of the normalised singular values: 1 (one direction) to min(sample, dim).

    1 for embeddings that are all zero, NaN where some are not finite.
    """
    if not bool(z.isfinite().all()):
        return z.new_full((), math.nan)
    values = torch.linalg.svdvals(z)
    share = values / values.sum().clamp(min=torch.finfo(values.dtype).tiny)
    entropy: Tensor = torch.special.entr(share).sum()
    return entropy.exp()


def similarities(z1: Float[Tensor, "sample dim"], z2: Float[Tensor, "sample dim"]) -> Float[Tensor, "sample sample"]:
    """Cosine of every pair."""
    return normalize(z1, dim=-1) @ normalize(z2, dim=-1).T


def off_diagonal(matrix: Float[Tensor, "sample sample"]) -> Float[Tensor, "pair"]:
    """The entries of unlike samples."""
    sample = len(matrix)
    # Without its last entry, rows of one more column begin with the diagonal; a mask would wait for the device.
    return matrix.flatten()[:-1].view(sample - 1, sample + 1)[:, 1:].flatten()


def histogram(cosines: Float[Tensor, "pair"]) -> Float[Tensor, "bin"]:
    """Share of the values in each of `BINS` equal bins between -1 and 1."""
    index = ((cosines.float() + 1) * (BINS / 2)).long().clamp(0, BINS - 1)
    counts = torch.zeros(BINS, device=cosines.device).index_add_(0, index, torch.ones_like(index, dtype=torch.float32))
    return counts / max(len(cosines), 1)


def gradient_norms(module: nn.Module) -> dict[str, Float[Tensor, ""]]:
    """Norm of the gradients that each child holds; children without any are left out."""
    norms = {}
    for name, child in module.named_children():
        gradients = [parameter.grad for parameter in child.parameters() if parameter.grad is not None]
        if gradients:
            norms[name] = torch.stack(torch._foreach_norm(gradients)).norm()
    return norms


@dataclass(frozen=True, eq=False)
class Health:
    """One reading of the panel, on the device."""

    scalars: Mapping[str, Tensor]
    positive: Float[Tensor, "bin"]
    negative: Float[Tensor, "bin"]


def examine(z1: Float[Tensor, "sample dim"], z2: Float[Tensor, "sample dim"]) -> Health:
    """Read the panel from the embeddings of two views of each sample."""
    z1, z2 = z1.detach().float(), z2.detach().float()
    cosines = similarities(z1, z2)
    positive, negative = cosines.diagonal(), off_diagonal(cosines)
    scalars = {
        "alignment": alignment(z1, z2),
        "uniformity": (uniformity(z1) + uniformity(z2)) / 2,
        "effective_rank": effective_rank(z1),
        "positive_similarity": positive.mean(),
        "negative_similarity": negative.mean() if len(negative) else negative.new_zeros(()),
    }
    return Health(scalars, histogram(positive), histogram(negative))
