"""The losses of AutoTCL, one series, block, kernel and pair at a time, from the formulas.

Draws are made in the order and by the arithmetic of the fast forms; everything else is plain.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def global_info_nce(
    z_x: Tensor, z_v: Tensor, *, temperature: float = 1.0, lengths: Sequence[int] | None = None
) -> Tensor:
    lengths = lengths or [z_x.shape[1]] * len(z_x)
    series, views = (
        [
            _unit(torch.stack([rows[:length, d].max() for d in range(z_x.shape[2])]))
            for rows, length in zip(z, lengths, strict=True)
        ]
        for z in (z_x, z_v)
    )
    losses = []
    for i, anchor in enumerate(series):
        similarities = torch.stack([anchor @ view / temperature for view in views])
        losses.append(-torch.log(similarities[i].exp() / similarities.exp().sum()))
    return torch.stack(losses).mean()


def local_info_nce(
    z: Tensor,
    *,
    blocks: int = 16,
    variant: str = "paper",
    generator: torch.Generator | None = None,
    lengths: Sequence[int] | None = None,
) -> Tensor:
    lengths = list(lengths or [z.shape[1]] * len(z))
    if variant == "reference":
        z, lengths = z[:1], lengths[:1]
    shares = torch.rand(len(z), generator=generator, dtype=torch.float64).tolist()
    losses = []
    for row, length, share in zip(z, lengths, shares, strict=True):
        if length < blocks:
            continue
        size = length // blocks
        start = int(share * (length - size * blocks + 1))
        steps = [_unit(step) for step in row[:length]]
        pooled = [
            torch.stack(steps[start + b * size : start + (b + 1) * size]).max(dim=0).values for b in range(blocks)
        ]
        losses.append(torch.stack([_block_loss(pooled, i) for i in range(blocks)]).mean())
    return torch.stack(losses).mean() if losses else z.new_zeros(())


def _block_loss(pooled: list[Tensor], i: int) -> Tensor:
    last = len(pooled) - 1
    positive = i + 1 if i < last else i - 1
    left_out = {i - 1, i, i + 1}
    if i == 0:
        left_out.add(2)
    if i == last:
        left_out.add(last - 2)
    negatives = [j for j in range(len(pooled)) if j not in left_out]
    assert len(negatives) == len(pooled) - 3
    candidates = torch.stack([pooled[i] @ pooled[j] for j in [positive, *negatives]])
    return -torch.log_softmax(candidates, dim=0)[0]


def kernel_mmd(a: Tensor, b: Tensor, *, kernels: int = 5, factor: float = 2.0) -> Tensor:
    both = [*a, *b]
    distances = [[((u - v) ** 2).sum() for v in both] for u in both]
    middle = sum(d.item() for row in distances for d in row) / (len(both) ** 2 - len(both))
    bandwidths = [middle / factor ** (kernels // 2) * factor**k for k in range(kernels)]

    def kernel(i: int, j: int) -> Tensor:
        return torch.stack([torch.exp(-distances[i][j] / bandwidth) for bandwidth in bandwidths]).sum()

    n = len(a)
    terms = [
        kernel(i, j) + kernel(n + i, n + j) - kernel(i, n + j) - kernel(n + i, j) for i in range(n) for j in range(n)
    ]
    return torch.stack(terms).mean()


def sparsity(
    keep: Tensor, *, threshold: float = 0.4, over: str = "mean", lengths: Sequence[int] | None = None
) -> Tensor:
    lengths = lengths or [keep.shape[1]] * len(keep)
    steps = [step for row, length in zip(keep, lengths, strict=True) for step in row[:length]]
    rates = torch.stack([step.sum() / (len(step) if over == "mean" else 1) for step in steps])
    return torch.clamp(rates.mean() - threshold, min=0)


def temporal_consistency(
    h: Tensor,
    *,
    variant: str = "paper",
    generator: torch.Generator | None = None,
    lengths: Sequence[int] | None = None,
) -> Tensor:
    lengths = list(lengths or [h.shape[1]] * len(h))
    if variant == "reference":
        return _released(h, min(lengths), generator)
    anchors, sides, places = torch.rand(3, len(h), generator=generator, dtype=torch.float64).tolist()
    losses = []
    for row, length, anchor, side, place in zip(h, lengths, anchors, sides, places, strict=True):
        if length < 4:
            continue
        a = int(anchor * length)
        p = a - 1 if side < 0.5 else a + 1
        if not 0 <= p < length:
            p = 1 if a == 0 else length - 2
        distant = [n for n in range(length) if abs(n - a) > 1]
        n = distant[int(place * len(distant))]
        losses.append(((row[a] - row[p]).abs() - (row[a] - row[n]).abs()).mean())
    return torch.stack(losses).mean() if losses else h.new_zeros(())


def _released(h: Tensor, shortest: int, generator: torch.Generator | None) -> Tensor:
    firsts, seconds = torch.rand(2, len(h), generator=generator, dtype=torch.float64).tolist()
    if shortest < 4:
        return h.new_zeros(())
    losses = []
    for row in h:
        for first, second in zip(firsts, seconds, strict=True):
            s0, s1 = 1 + int(first * (shortest - 3)), 1 + int(second * (shortest - 3))
            near = (row[s0] - row[s0 - 1]).abs() + (row[s0] - row[s0 + 1]).abs()
            difference = (row[s0] - row[s1]).abs()
            losses.append((near + (difference if s1 - s0 > 1 else 1 - difference)).mean())
    return torch.stack(losses).mean()


def _unit(vector: Tensor) -> Tensor:
    length: Tensor = vector.norm()
    return vector / length.clamp(min=1e-12)
