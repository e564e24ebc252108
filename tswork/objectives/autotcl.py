"""The losses of AutoTCL: InfoNCE between a series and its view, InfoNCE among neighbouring blocks of a series, and what the
augmentation network minimises (the principle of relevant information and consistency in time).

Paper: Zheng et al., "Parametric Augmentation for Time Series Contrastive Learning", ICLR 2024; the local loss is that of Luo
et al., "Time Series Contrastive Learning with Information-Aware Augmentations" (InfoTS), AAAI 2023; the discrepancy is that
of Gretton et al., "A Kernel Two-Sample Test", JMLR 2012, as the biased statistic with a sum of Gaussian kernels. Reference
code: github.com/AslanDing/AutoTCL at 2ca0060, read for its behaviour, written anew.

| function | `variant="paper"` | `variant="reference"` |
| --- | --- | --- |
| `local_info_nce` | every series of the batch, each with a stretch of its own | the first series of the batch only |
| `temporal_consistency` | neighbours alike, distant steps different | distant steps alike, near ones different |
| | distance counts in both directions | only a later step can be distant |
| | one triplet of steps for each series | every series at the steps drawn for every other |

All are computed in float32 or wider, also under autocast, and never wait for the device.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from tswork.encoders.base import valid_steps
from tswork.objectives.info_nce import info_nce
from tswork.precision import wide

Variant = Literal["paper", "reference"]
Lengths = Int[Tensor, "batch"] | None

FEWEST_BLOCKS = 4
"""Of fewer blocks, none is left as a negative once a block, its neighbours and their like at the ends are left out."""
FEWEST_STEPS = 4
"""The shortest series in which every step has one at a distance of two or more."""


def global_info_nce(
    z_x: Float[Tensor, "batch time dim"],
    z_v: Float[Tensor, "batch time dim"],
    *,
    temperature: float = 1.0,
    lengths: Lengths = None,
) -> Float[Tensor, ""]:
    """Each series picks its own view among the views of the batch, by the cosine of their largest values over time.

    One direction: rows are the series, columns the views. 0 for a batch of one. Steps at or after `lengths` are padding.

    >>> z = torch.eye(4)[:, None]
    >>> round(global_info_nce(z, z).item(), 6)  # log(1 + 3 / e)
    0.743668
    """
    first, second = (_largest(z, lengths) for z in (z_x, z_v))
    return info_nce(first, second, temperature=temperature, symmetric=False)


def local_info_nce(
    z: Float[Tensor, "batch time dim"],
    *,
    blocks: int = 16,
    variant: Variant = "paper",
    generator: torch.Generator | None = None,
    lengths: Lengths = None,
) -> Float[Tensor, ""]:
    """Each block of a series picks its right neighbour (the last block its left one) among blocks that are not close.

    Steps are normalised; a stretch of `blocks` equal blocks, as long as fits, lies at a random place; a block is the largest
    value of each dimension. Left out are the block itself and its two neighbours, and at both ends one block more, so that
    each has `blocks - 3` negatives. Series with fewer steps than blocks take no part; where none is left the loss is 0.
    Raises `ValueError` for fewer than four blocks.

    >>> round(local_info_nce(torch.ones(2, 40, 3)).item(), 6)  # log(14)
    2.639057
    """
    if blocks < FEWEST_BLOCKS:
        raise ValueError(f"blocks should be at least {FEWEST_BLOCKS}, so that each has a negative; it is {blocks}")
    if variant == "reference":
        z, lengths = z[:1], None if lengths is None else lengths[:1]
    if z.shape[1] < blocks:
        return _zero(z)
    if lengths is not None:
        z = z.masked_fill(~valid_steps(lengths, z.shape[1])[..., None], 0.0)
    with torch.autocast(z.device.type, enabled=False):
        pooled = _blocks(functional.normalize(wide(z), dim=-1), blocks, generator, lengths)
        similarities = pooled @ pooled.transpose(1, 2)
        index = torch.arange(blocks, device=z.device)
        positive = torch.where(index < blocks - 1, index + 1, index - 1)
        close = (index - index.clamp(1, blocks - 2)[:, None]).abs() <= 1
        others = similarities.masked_fill(close & (index != positive[:, None]), -torch.inf)
        chosen = similarities.gather(2, positive.expand(len(z), -1)[..., None])[..., 0]
        loss = (others.logsumexp(dim=2) - chosen).mean(dim=1)
        if lengths is None:
            return loss.mean()
        enough = lengths >= blocks
        return torch.where(enough, loss, 0.0).sum() / enough.sum().clamp(min=1)


def kernel_mmd(
    a: Float[Tensor, "batch dim"], b: Float[Tensor, "batch dim"], *, kernels: int = 5, factor: float = 2.0
) -> Float[Tensor, ""]:
    """Squared maximum mean discrepancy of two samples: the biased statistic with a sum of `kernels` Gaussian kernels.

    The middle bandwidth is the mean squared distance of unlike vectors of both samples together (no gradient flows into it);
    the others are `factor` apart. 0 for equal samples, also of one vector.
    """
    with torch.autocast(a.device.type, enabled=False):
        both = torch.cat([wide(a), wide(b)])
        # The distances one by one: through a matrix product those of near vectors would drown in its rounding errors.
        distances = torch.cdist(both, both, compute_mode="donot_use_mm_for_euclid_dist").square()
        count = len(both)
        middle = distances.detach().sum() / (count**2 - count)
        powers = torch.arange(kernels, device=a.device, dtype=distances.dtype) - kernels // 2
        bandwidths = (middle * factor**powers).clamp(min=torch.finfo(distances.dtype).tiny)
        kernel = (-distances / bandwidths[:, None, None]).exp().sum(dim=0)
        half = len(a)
        xx, yy, xy, yx = kernel[:half, :half], kernel[half:, half:], kernel[:half, half:], kernel[half:, :half]
        return (xx + yy - xy - yx).mean()


def sparsity(
    keep: Float[Tensor, "batch time channel"],
    *,
    threshold: float = 0.4,
    over: Literal["mean", "sum"] = "mean",
    lengths: Lengths = None,
) -> Float[Tensor, ""]:
    """How far the mean over steps of the keep rates (their mean, or their sum, over channels) lies above a threshold.

    It stands for the entropy of the informative part in the principle of relevant information.
    """
    rates = wide(keep).mean(dim=2) if over == "mean" else wide(keep).sum(dim=2)
    if lengths is None:
        rate = rates.mean()
    else:
        inside = valid_steps(lengths, keep.shape[1])
        rate = torch.where(inside, rates, 0.0).sum() / lengths.sum().clamp(min=1)
    return (rate - threshold).relu()


def temporal_consistency(
    h: Float[Tensor, "batch time channel"],
    *,
    variant: Variant = "paper",
    generator: torch.Generator | None = None,
    lengths: Lengths = None,
) -> Float[Tensor, ""]:
    """How far the mask h is from changing slowly in time, at steps drawn at random; a mean over series and channels.

    Paper: `|h(a) - h(p)| - |h(a) - h(n)|` for an anchor, a neighbour and a step at a distance of two or more. Reference:
    both neighbours of a step, plus its difference to another where that is later by two or more, else one less it.
    Series of fewer than four steps take no part (in the reference they silence the term); where none is left it is 0.
    """
    if h.shape[1] < FEWEST_STEPS:
        return _zero(h)
    h = wide(h)
    real = torch.full((len(h),), h.shape[1], device=h.device) if lengths is None else lengths
    if variant == "reference":
        return _released_consistency(h, real, generator)
    shares = torch.rand(3, len(h), generator=generator, device=h.device, dtype=torch.float64)
    anchor = _whole(shares[0], real)
    last = (real - 1).clamp(min=1)
    side = torch.where(shares[1] < 0.5, -1, 1)
    side = torch.where(anchor == 0, 1, torch.where(anchor >= last, -1, side))
    below = (anchor - 1).clamp(min=0)
    close = (anchor + 1).minimum(last) - below + 1
    distant = _whole(shares[2], (real - close).clamp(min=1))
    distant = torch.where(distant < below, distant, distant + close)
    at, near, far = (_at(h, step) for step in (anchor, anchor + side, distant))
    terms = ((at - near).abs() - (at - far).abs()).mean(dim=1)
    if lengths is None:
        return terms.mean()
    enough = real >= FEWEST_STEPS
    return torch.where(enough, terms, 0.0).sum() / enough.sum().clamp(min=1)


def _released_consistency(
    h: Float[Tensor, "batch time channel"], lengths: Int[Tensor, "batch"], generator: torch.Generator | None
) -> Float[Tensor, ""]:
    # Every series is read at all steps drawn, so none may lie behind the end of the shortest.
    shortest = lengths.min()
    shares = torch.rand(2, len(h), generator=generator, device=h.device, dtype=torch.float64)
    first, second = (1 + _whole(share, (shortest - 3).clamp(min=1)) for share in shares)
    at, before, after, other = (h[:, step] for step in (first, first - 1, first + 1, second))
    difference = (at - other).abs()
    later = (second - first > 1)[:, None]
    terms = (at - before).abs() + (at - after).abs() + torch.where(later, difference, 1 - difference)
    return torch.where(shortest >= FEWEST_STEPS, terms.mean(), 0.0)


def _largest(z: Float[Tensor, "batch time dim"], lengths: Lengths) -> Float[Tensor, "batch dim"]:
    if lengths is None:
        return z.amax(dim=1)
    inside = valid_steps(lengths, z.shape[1])[..., None]
    return z.masked_fill(~inside, -torch.inf).amax(dim=1)


def _blocks(
    z: Float[Tensor, "batch time dim"], blocks: int, generator: torch.Generator | None, lengths: Lengths
) -> Float[Tensor, "batch block dim"]:
    """The largest values of each block of a stretch that lies at a random place of its own in every series."""
    batch, time, dim = z.shape
    real = torch.full((batch,), time, device=z.device) if lengths is None else lengths
    size = (real // blocks).clamp(min=1)
    share = torch.rand(batch, generator=generator, device=z.device, dtype=torch.float64)
    start = _whole(share, (real - size * blocks + 1).clamp(min=1))
    block, step = torch.arange(blocks, device=z.device), torch.arange(time // blocks, device=z.device)
    index = start[:, None, None] + block[:, None] * size[:, None, None] + step
    steps = index.clamp(max=time - 1).flatten(1)[..., None].expand(-1, -1, dim)
    taken: Tensor = z.gather(1, steps).unflatten(1, (blocks, -1))
    if lengths is not None:
        taken = taken.masked_fill((step >= size[:, None])[:, None, :, None], -torch.inf)
    return taken.amax(dim=2)


def _at(h: Float[Tensor, "batch time channel"], step: Int[Tensor, "batch"]) -> Float[Tensor, "batch channel"]:
    """Each series at a step of its own."""
    index = step.clamp(0, h.shape[1] - 1)[:, None, None].expand(-1, 1, h.shape[2])
    return h.gather(1, index)[:, 0]


def _whole(share: Float[Tensor, "batch"], count: Int[Tensor, "*any"]) -> Int[Tensor, "batch"]:
    """Whole numbers 0..count - 1, all equally likely for a share that is uniform in [0, 1)."""
    return (share * count).long()


def _zero(z: Tensor) -> Tensor:
    """Zero that keeps the graph, so that a loss without anything to compare can still be differentiated."""
    return (wide(z) * 0).sum()
