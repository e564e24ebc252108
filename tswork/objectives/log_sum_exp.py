"""Row-wise log-sum-exps of a matrix of similarities that is never whole in memory, with their gradient.

For items z_i of a set, let s_ij = z_i . z_j and L_i = log sum_{j != i} exp(s_ij). The sum of all L_i has the gradient
`W Z` with w_ij = exp(s_ij - L_i) + exp(s_ij - L_j). Both s and W are symmetric, so tiles on and above the diagonal suffice:
a first pass over them gives L, a second one the gradient, still during the forward pass. That is half the products of the
plain form and an eighth of its memory traffic, and afterwards only a gradient of the size of Z remains.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

TILE = {"cpu": 512}
"""Rows of a tile: on the CPU as many as stay in its cache, elsewhere few large products are faster."""
TILE_ELSEWHERE = 4096
TOGETHER = 2**24
"""Largest number of similarities in one tile of the sets that are handled together (64 MiB in float32)."""
KEPT = 2**24
"""Similarities that the second pass finds ready (64 MiB in float32); it computes the others anew."""

Pair = tuple[slice, slice]


def sum_of_log_sum_exp(
    z: Float[Tensor, "set item dim"], valid: Bool[Tensor, "set item"] | None = None
) -> Float[Tensor, ""]:
    """Sum over all items of the log-sum-exp of their dot products with the other items of their set.

    Items that are not valid are neither rows nor columns. Products are taken in the type of z, also under autocast.
    """
    with torch.autocast(z.device.type, enabled=False):
        total: Tensor = _Sum.apply(z, valid, torch.is_grad_enabled() and z.requires_grad)  # type: ignore[no-untyped-call]
    return total


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, valid: Tensor | None, differentiate: bool) -> Tensor:
        rows = min(z.shape[1], TILE.get(z.device.type, TILE_ELSEWHERE))
        sets = max(1, TOGETHER // rows**2)
        masks = [None] * len(z) if valid is None else valid.split(sets)
        totals, gradients = [], []
        for part, mask in zip(z.split(sets), masks, strict=False):
            tiles = _Tiles(part, mask, rows, room=KEPT if differentiate else 0)
            totals.append(tiles.total())
            if differentiate:
                gradients.append(tiles.gradient())
        if differentiate:
            ctx.save_for_backward(torch.cat(gradients))
        return torch.stack(totals).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream, None, None


class _Tiles:
    """The similarities of some sets, tile by tile on and above the diagonal."""

    def __init__(
        self, z: Float[Tensor, "set item dim"], valid: Bool[Tensor, "set item"] | None, rows: int, *, room: int
    ) -> None:
        self.z = z
        self.valid = valid
        self.room = room
        self.blocks = [slice(start, min(start + rows, z.shape[1])) for start in range(0, z.shape[1], rows)]
        self.log_sums = z.new_full(z.shape[:2], -torch.inf)
        self.kept: dict[tuple[int, int], Tensor] = {}

    def total(self) -> Float[Tensor, ""]:
        """First pass: the sum of the log-sum-exps; they stay for the second, and so do tiles while there is room."""
        for a, b in self.pairs():
            tile = self.tile(a, b)
            _join(self.log_sums[:, a], _log_sum_exp(tile, 2))
            if a != b:
                _join(self.log_sums[:, b], _log_sum_exp(tile, 1))
            self.room -= tile.numel()
            if self.room >= 0:
                self.kept[a.start, b.start] = tile
        if self.valid is None:
            return self.log_sums.sum()
        return torch.where(self.valid, self.log_sums, 0.0).sum()

    def gradient(self) -> Float[Tensor, "set item dim"]:
        """Second pass: `W Z`; nothing for rows that are not valid."""
        log_sums = self.log_sums
        if self.valid is not None:
            log_sums = torch.where(self.valid, log_sums, torch.inf)
        gradient = torch.zeros_like(self.z)
        for a, b in self.pairs():
            tile = self.kept.pop((a.start, b.start), None)
            tile = self.tile(a, b) if tile is None else tile
            weights = _exp_(tile - log_sums[:, a, None])
            weights += _exp_(tile.sub_(log_sums[:, None, b]))
            gradient[:, a].baddbmm_(weights, self.z[:, b])
            if a != b:
                gradient[:, b].baddbmm_(weights.transpose(1, 2), self.z[:, a])
        return gradient if self.valid is None else gradient.masked_fill_(~self.valid[..., None], 0.0)

    def pairs(self) -> Iterator[Pair]:
        for index, a in enumerate(self.blocks):
            for b in self.blocks[index:]:
                yield a, b

    def tile(self, a: slice, b: slice) -> Float[Tensor, "set rows columns"]:
        """Similarities of two blocks; an item with itself and pairs with an item that is not valid are -inf."""
        tile = torch.bmm(self.z[:, a], self.z[:, b].transpose(1, 2))
        if a == b:
            tile.diagonal(dim1=1, dim2=2).fill_(-torch.inf)
        if self.valid is not None:
            tile.masked_fill_(~(self.valid[:, a, None] & self.valid[:, None, b]), -torch.inf)
        return tile


def _log_sum_exp(tile: Tensor, dim: int) -> Tensor:
    """As `torch.logsumexp`, in half its passes; the least number there is, where there is nothing to sum."""
    largest = tile.amax(dim, keepdim=True).clamp_(min=torch.finfo(tile.dtype).min)
    return _exp_(tile - largest).sum(dim).log_().add_(largest.squeeze(dim))


def _exp_(exponents: Tensor) -> Tensor:
    """exp in place, of exponents that are at most about 0. Where it is nothing beside 1 it need not be exact, and below this
    bound single precision falls back to a form that takes ten times as long."""
    return exponents.clamp_(min=-87.0).exp_()


def _join(log_sums: Tensor, more: Tensor) -> None:
    log_sums.copy_(torch.logaddexp(log_sums, more))
