"""Cosines of all pairs of two sets of vectors, forward and backward in three products of matrices."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable


def cosines(a: Float[Tensor, "rows size"], b: Float[Tensor, "columns size"]) -> Float[Tensor, "rows columns"]:
    """The cosine of every pair; 0, and without a gradient, for a vector of zeros."""
    with torch.autocast(a.device.type, enabled=False):
        found: Tensor = _Cosines.apply(a, b)  # type: ignore[no-untyped-call]
    return found


def inverse_norm(values: Float[Tensor, "rows size *more"]) -> Float[Tensor, "rows *more"]:
    """1 over the norm; 0 for zeros, whose gradient would be infinite."""
    squares = values.square().sum(dim=1)
    tiny = torch.finfo(values.dtype).tiny
    return torch.where(squares > tiny, squares.clamp(min=tiny).rsqrt(), 0.0)


class _Cosines(torch.autograd.Function):
    """Products divided by norms, which spares normalised copies of vectors that may be whole maps.

    With C the cosines, d_i and e_j the norms and G the gradient, that of row i is `sum_j G_ij b_j / (d_i e_j) - a_i sum_j G_ij
    C_ij / d_i^2`.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        of_a, of_b = inverse_norm(a), inverse_norm(b)
        found = (a @ b.T).mul_(of_a[:, None]).mul_(of_b)
        ctx.save_for_backward(a, b, of_a, of_b, found)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor]:
        a, b, of_a, of_b, found = ctx.saved_tensors
        along = upstream * found
        across = upstream * of_a[:, None] * of_b
        for_a = torch.addcmul(across @ b, a, (along.sum(dim=1) * of_a.square())[:, None], value=-1)
        for_b = torch.addcmul(across.T @ a, b, (along.sum(dim=0) * of_b.square())[:, None], value=-1)
        return for_a, for_b
