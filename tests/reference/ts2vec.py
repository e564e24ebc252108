"""The hierarchical contrastive loss of TS2Vec, twice over, and the loss of a training step, slow and plain on purpose.

First loop by loop from the paper's equations, the twin that tests compare with. Then in the structure of the published
implementation (every similarity matrix whole, its two triangles put together without the diagonal, a log-softmax over all
of it), the twin that `benchmarks/ts2vec.py` measures against; both are written from the formulas. Last a whole step, one
series at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from tests.reference import encoders
from tswork.encoders.dilated_conv import DilatedConv


def instance_contrast(z1: Tensor, z2: Tensor, lengths: Sequence[int] | None = None) -> Tensor:
    """Equation 2, averaged over steps, series and both views."""
    lengths = lengths or [z1.shape[1]] * len(z1)
    losses = []
    for t in range(z1.shape[1]):
        there = [i for i in range(len(z1)) if t < lengths[i]]
        views = (z1[there, t], z2[there, t])
        losses += [_cross_entropy(views[side], views[1 - side], i) for side in (0, 1) for i in range(len(there))]
    return torch.stack(losses).mean()


def temporal_contrast(z1: Tensor, z2: Tensor, lengths: Sequence[int] | None = None) -> Tensor:
    """Equation 1, averaged over series, steps and both views."""
    lengths = lengths or [z1.shape[1]] * len(z1)
    losses = []
    for i, length in enumerate(lengths):
        views = (z1[i, :length], z2[i, :length])
        losses += [_cross_entropy(views[side], views[1 - side], t) for side in (0, 1) for t in range(length)]
    return torch.stack(losses).mean()


def hierarchical_contrast(
    z1: Tensor, z2: Tensor, *, alpha: float = 0.5, temporal_unit: int = 0, lengths: Sequence[int] | None = None
) -> Tensor:
    """Algorithm 1; a series that is down to one step stays as it is."""
    lengths = list(lengths or [z1.shape[1]] * len(z1))
    series = [(a[:length], b[:length]) for a, b, length in zip(z1, z2, lengths, strict=True)]
    losses: list[Tensor] = []
    while True:
        lengths = [len(a) for a, _ in series]
        a, b = (torch.nn.utils.rnn.pad_sequence([pair[side] for pair in series], batch_first=True) for side in (0, 1))
        loss = alpha * instance_contrast(a, b, lengths)
        if len(losses) >= temporal_unit and max(lengths) > 1:
            loss = loss + (1 - alpha) * temporal_contrast(a, b, lengths)
        losses.append(loss)
        if max(lengths) == 1:
            return torch.stack(losses).mean()
        series = [(_halved(a), _halved(b)) for a, b in series]


def _halved(z: Tensor) -> Tensor:
    if len(z) == 1:
        return z
    return torch.stack([z[2 * t : 2 * t + 2].amax(dim=0) for t in range(len(z) // 2)])


def _cross_entropy(own: Tensor, other: Tensor, anchor: int) -> Tensor:
    """-log of the share of the twin `other[anchor]` among all items of both views but the anchor itself."""
    candidates = [torch.dot(own[anchor], other[j]) for j in range(len(other))]
    candidates += [torch.dot(own[anchor], own[j]) for j in range(len(own)) if j != anchor]
    return torch.logsumexp(torch.stack(candidates), dim=0) - torch.dot(own[anchor], other[anchor])


def published_hierarchical_contrast(z1: Tensor, z2: Tensor, *, alpha: float = 0.5) -> Tensor:
    """Algorithm 1 with whole matrices, as it was published."""
    loss = z1.new_zeros(())
    scales = 1
    while z1.shape[1] > 1:
        loss = (
            loss
            + alpha * of_whole_matrix(z1.transpose(0, 1), z2.transpose(0, 1))
            + (1 - alpha) * of_whole_matrix(z1, z2)
        )
        z1, z2 = (functional.max_pool1d(z.transpose(1, 2), kernel_size=2).transpose(1, 2) for z in (z1, z2))
        scales += 1
    return (loss + alpha * of_whole_matrix(z1.transpose(0, 1), z2.transpose(0, 1))) / scales


def of_whole_matrix(a: Tensor, b: Tensor) -> Tensor:
    items = a.shape[1]
    if items == 1:
        return a.new_zeros(())
    both = torch.cat([a, b], dim=1)
    similarity = both @ both.transpose(1, 2)
    # Without the diagonal: what lies right of it moves one column to the left.
    others = similarity.tril(diagonal=-1)[:, :, :-1] + similarity.triu(diagonal=1)[:, :, 1:]
    surprise = -functional.log_softmax(others, dim=-1)
    item = torch.arange(items, device=a.device)
    return (surprise[:, item, item + items - 1].mean() + surprise[:, item + items, item].mean()) / 2


def step_loss(
    encoder: DilatedConv,
    series: Sequence[Tensor],
    *,
    crops: torch.Generator,
    masks: torch.Generator,
    alpha: float = 0.5,
) -> Tensor:
    """Cut, hide, encode and contrast series of any lengths, each by itself; draws are made in the order the method makes them.

    `crops` gives four shares for all series (overlap, reach to the left, how much of it is used, reach to the right), then
    one place for each. `masks` gives a number for every step of all first crops, then of all second ones, padding included.
    """
    overlap, left, used, right = torch.rand(4, generator=crops, dtype=torch.float64).tolist()
    places = torch.rand(len(series), generator=crops, dtype=torch.float64).tolist()
    first_crops, second_crops, starts, sizes = [], [], [], []
    for one, place in zip(series, places, strict=True):
        least = min(2, len(one))
        size = least + _integer(overlap, len(one) - least)
        begin = _integer(left, len(one) - size)
        first = _integer(used, begin)
        end = begin + size + _integer(right, len(one) - begin - size)
        moved = _integer(place, len(one) - (end - first)) - first
        first_crops.append(one[first + moved : begin + size + moved])
        second_crops.append(one[begin + moved : end + moved])
        starts.append(begin - first)
        sizes.append(size)
    frames = []
    for cuts in (first_crops, second_crops):
        keep = torch.rand(len(cuts), max(map(len, cuts)), generator=masks) < 0.5
        frames.append(
            [encoders.dilated_conv(encoder, cut[None], keep[[row], : len(cut)])[0] for row, cut in enumerate(cuts)]
        )
    z1 = [one[at : at + size] for one, at, size in zip(frames[0], starts, sizes, strict=True)]
    z2 = [one[:size] for one, size in zip(frames[1], sizes, strict=True)]
    padded = [torch.nn.utils.rnn.pad_sequence(z, batch_first=True) for z in (z1, z2)]
    return hierarchical_contrast(padded[0], padded[1], alpha=alpha, lengths=sizes)


def _integer(share: float, largest: int) -> int:
    return int(share * (largest + 1))
