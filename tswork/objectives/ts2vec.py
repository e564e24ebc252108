"""The hierarchical contrastive loss of TS2Vec.

Paper: Yue et al., "TS2Vec: Towards Universal Representation of Time Series", AAAI 2022, sections 3.3 and 3.4, equations 1 to 3.

Two views of a batch are compared step by step. The instance loss contrasts each step with the same step of the other series
of the batch, the temporal loss with the other steps of its own series; both views are anchors, self-similarity is left out,
similarities are plain dot products without normalisation or temperature. The hierarchy halves the time axis by max-pooling
until one step is left, and averages the losses of all scales.

The fast form computes each similarity matrix once, turns it into its softmax in place and keeps that alone: with P the
row-wise softmax, the gradient of the sum of row log-sum-exps of Z Z^T is (P + P^T) Z. Beyond `BLOCK` elements rows are
handled in chunks and recomputed for the gradient, which bounds memory.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

BLOCK = 2**27
"""Largest number of similarities of one scale that is kept for the gradient (512 MiB in float32)."""


def instance_contrast(z1: Float[Tensor, "batch time dim"], z2: Float[Tensor, "batch time dim"]) -> Float[Tensor, ""]:
    """Equation 2: each step against the same step of the other series; 0 for a batch of one."""
    if z1.shape[0] == 1:
        return _zero(z1)
    return _contrast(z1.transpose(0, 1), z2.transpose(0, 1))


def temporal_contrast(z1: Float[Tensor, "batch time dim"], z2: Float[Tensor, "batch time dim"]) -> Float[Tensor, ""]:
    """Equation 1: each step against the other steps of its own series; 0 for a single step."""
    if z1.shape[1] == 1:
        return _zero(z1)
    return _contrast(z1, z2)


def hierarchical_contrast(
    z1: Float[Tensor, "batch time dim"],
    z2: Float[Tensor, "batch time dim"],
    *,
    alpha: float = 0.5,
    temporal_unit: int = 0,
) -> Float[Tensor, ""]:
    """Algorithm 1: the mean over scales of `alpha * instance + (1 - alpha) * temporal`.

    The temporal loss joins from scale `temporal_unit` on. At the last scale one step is left and the instance loss alone counts.
    """
    loss = _zero(z1)
    scales = 0
    while z1.shape[1] > 1:
        if alpha != 0:
            loss = loss + alpha * instance_contrast(z1, z2)
        if scales >= temporal_unit and alpha != 1:
            loss = loss + (1 - alpha) * temporal_contrast(z1, z2)
        scales += 1
        z1, z2 = _halved(z1), _halved(z2)
    if alpha != 0:
        loss = loss + alpha * instance_contrast(z1, z2)
    return loss / (scales + 1)


def _zero(z: Tensor) -> Tensor:
    """Zero that keeps the graph, so that a loss without contrast can still be differentiated."""
    return (z[..., :1, :1] * 0).sum().to(_wide(z))


def _halved(z: Float[Tensor, "batch time dim"]) -> Float[Tensor, "batch half dim"]:
    steps = z.shape[1] // 2 * 2
    return torch.maximum(z[:, 0:steps:2], z[:, 1:steps:2])


def _contrast(a: Float[Tensor, "set item dim"], b: Float[Tensor, "set item dim"]) -> Float[Tensor, ""]:
    """Mean over sets and both directions of the cross entropy of picking an item's twin among the other 2n - 1 items."""
    wide = _wide(a)
    a, b = a.to(wide), b.to(wide)
    together = torch.cat([a, b], dim=1)
    normaliser: Tensor = _LogSumExp.apply(together)  # type: ignore[no-untyped-call]
    positives = (a * b).sum(dim=-1)
    return normaliser / together.shape[0] / together.shape[1] - positives.mean()


def _wide(z: Tensor) -> torch.dtype:
    """Similarities and log-sum-exp are taken in at least float32."""
    return torch.promote_types(z.dtype, torch.float32)


class _LogSumExp(torch.autograd.Function):
    """Sum over all items of log sum_j exp(z_i . z_j), j running over the other items of the set."""

    @staticmethod
    def forward(ctx: Any, z: Float[Tensor, "set item dim"]) -> Float[Tensor, ""]:
        sets, items, _ = z.shape
        ctx.rows = max(1, min(items, BLOCK // (sets * items)))
        total = z.new_zeros(())
        shares: list[Tensor] = []
        normalisers: list[Tensor] = []
        for start in range(0, items, ctx.rows):
            similarity = _rows(z, start, ctx.rows)
            largest = similarity.amax(dim=-1, keepdim=True)
            share = torch.softmax(similarity, dim=-1, out=similarity)
            # The largest similarity has the share 1 / sum_j exp(s_j - largest), which gives the log-sum-exp back.
            normaliser = largest - share.amax(dim=-1, keepdim=True).log()
            total = total + normaliser.sum()
            if ctx.rows == items:
                shares.append(share)
            else:
                normalisers.append(normaliser)
        ctx.save_for_backward(z, *(shares or normalisers))
        return total

    @staticmethod
    def backward(ctx: Any, upstream: Float[Tensor, ""]) -> Float[Tensor, "set item dim"]:
        z, *kept = ctx.saved_tensors
        items = z.shape[1]
        if ctx.rows == items:
            share = kept[0]
            gradient = torch.bmm(share, z) + torch.bmm(share.transpose(1, 2), z)
            return gradient * upstream
        gradient = torch.zeros_like(z)
        for start, normaliser in zip(range(0, items, ctx.rows), kept, strict=True):
            share = _rows(z, start, ctx.rows).sub_(normaliser).exp_()
            part = slice(start, start + ctx.rows)
            gradient[:, part] += torch.bmm(share, z)
            gradient += torch.bmm(share.transpose(1, 2), z[:, part])
        return gradient * upstream


def _rows(z: Tensor, start: int, count: int) -> Tensor:
    """Similarities of some rows with all items, the own one left out."""
    similarity = torch.bmm(z[:, start : start + count], z.transpose(1, 2))
    similarity.diagonal(offset=start, dim1=1, dim2=2).fill_(-torch.inf)
    return similarity
