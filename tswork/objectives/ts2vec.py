"""The hierarchical contrastive loss of TS2Vec.

Paper: Yue et al., "TS2Vec: Towards Universal Representation of Time Series", AAAI 2022, sections 3.3 and 3.4, equations 1 to 3.

Two views of a batch are compared step by step. The instance loss contrasts each step with the same step of the other series
of the batch, the temporal loss with the other steps of its own series; both views are anchors, self-similarity is left out,
similarities are plain dot products without normalisation or temperature. The hierarchy halves the time axis by max-pooling
until one step is left, and averages the losses of all scales.

Departures
| published | here |
| --- | --- |
| padding of series of unequal length enters the loss | with `lengths`, padding is neither anchor nor candidate |
| all series are halved down to one step together | a series that is down to one step before the others waits for them |

The fast form is the row-wise log-sum-exp of the matrix `Z Z^T` of all items of a set (`log_sum_exp.py`), which yields the
gradient along the way and keeps nothing that grows with the square of the number of steps.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from tswork.config import Config
from tswork.objectives.base import Objective
from tswork.objectives.log_sum_exp import sum_of_log_sum_exp
from tswork.precision import wide
from tswork.registry import register

Lengths = Int[Tensor, "batch"] | None


def instance_contrast(
    z1: Float[Tensor, "batch time dim"],
    z2: Float[Tensor, "batch time dim"],
    *,
    lengths: Int[Tensor, "batch"] | None = None,
) -> Float[Tensor, ""]:
    """Equation 2: each step against the same step of the other series; 0 for a batch of one."""
    if z1.shape[0] == 1:
        return _zero(z1)
    valid = _valid(z1, lengths)
    return _contrast(z1.transpose(0, 1), z2.transpose(0, 1), None if valid is None else valid.T)


def temporal_contrast(
    z1: Float[Tensor, "batch time dim"],
    z2: Float[Tensor, "batch time dim"],
    *,
    lengths: Int[Tensor, "batch"] | None = None,
) -> Float[Tensor, ""]:
    """Equation 1: each step against the other steps of its own series; 0 for a single step."""
    if z1.shape[1] == 1:
        return _zero(z1)
    return _contrast(z1, z2, _valid(z1, lengths))


def hierarchical_contrast(
    z1: Float[Tensor, "batch time dim"],
    z2: Float[Tensor, "batch time dim"],
    *,
    alpha: float = 0.5,
    temporal_unit: int = 0,
    lengths: Int[Tensor, "batch"] | None = None,
) -> Float[Tensor, ""]:
    """Algorithm 1: the mean over scales of `alpha * instance + (1 - alpha) * temporal`, in float32 or wider.

    The temporal loss joins from scale `temporal_unit` on. At the last scale one step is left and the instance loss alone
    counts. `lengths` (at least 1, the longest one equal to `time`) are the real steps of each series; None: all are real.
    """
    z1, z2 = (wide(z).contiguous() for z in (z1, z2))
    loss = _zero(z1)
    scales = 0
    while z1.shape[1] > 1:
        if alpha != 0:
            loss = loss + alpha * instance_contrast(z1, z2, lengths=lengths)
        if scales >= temporal_unit and alpha != 1:
            loss = loss + (1 - alpha) * temporal_contrast(z1, z2, lengths=lengths)
        scales += 1
        z1, z2 = halved(z1, lengths), halved(z2, lengths)
        lengths = None if lengths is None else (lengths // 2).clamp(min=1)
    if alpha != 0:
        loss = loss + alpha * instance_contrast(z1, z2, lengths=lengths)
    return loss / (scales + 1)


class HierarchicalConfig(Config):
    alpha: float = Field(
        default=0.5, ge=0, le=1, description="share of the instance loss; the rest is the temporal one"
    )
    temporal_unit: int = Field(default=0, ge=0, description="first scale at which the temporal loss joins")


@register("objective", "ts2vec", version=1, config=HierarchicalConfig)
class Hierarchical(Objective[HierarchicalConfig]):
    """TS2Vec's hierarchical contrast of frames, for views that lie step on step."""

    level = "frame"

    def __call__(
        self,
        z1: Float[Tensor, "batch *frame_dim"],
        z2: Float[Tensor, "batch *frame_dim"],
        *,
        lengths: Int[Tensor, "batch"] | None = None,
        labels: Int[Tensor, "batch"] | None = None,
        negatives: Float[Tensor, "queue dim"] | None = None,
    ) -> Float[Tensor, ""]:
        options = self.config
        return hierarchical_contrast(z1, z2, alpha=options.alpha, temporal_unit=options.temporal_unit, lengths=lengths)


def _zero(z: Tensor) -> Tensor:
    """Zero that keeps the graph, so that a loss without contrast can still be differentiated."""
    return wide((z[..., :1, :1] * 0).sum())


def _valid(z: Float[Tensor, "batch time dim"], lengths: Lengths) -> Bool[Tensor, "batch time"] | None:
    return None if lengths is None else torch.arange(z.shape[1], device=z.device) < lengths[:, None]


def halved(z: Float[Tensor, "batch time dim"], lengths: Lengths) -> Float[Tensor, "batch half dim"]:
    """The larger of each two neighbours; an odd last step is dropped unless it is the only one of its series."""
    # On channels that lie side by side, pooling and its gradient take an eighth of the time of a maximum of two slices.
    larger = functional.max_pool1d(z.transpose(1, 2), kernel_size=2).transpose(1, 2)
    if lengths is None:
        return larger
    return torch.where((lengths == 1)[:, None, None], z[:, 0:-1:2], larger)


def _contrast(
    a: Float[Tensor, "set item dim"], b: Float[Tensor, "set item dim"], valid: Bool[Tensor, "set item"] | None
) -> Float[Tensor, ""]:
    """Mean over valid items and both directions of the cross entropy of picking an item's twin among the other 2n - 1."""
    a, b = wide(a), wide(b)
    both = None if valid is None else torch.cat([valid, valid], dim=1)
    normalisers = sum_of_log_sum_exp(torch.cat([a, b], dim=1), both)
    if valid is None:
        anchors: float | Tensor = a.shape[0] * a.shape[1]
        positives = (a * b).sum()
    else:
        anchors = valid.sum()
        positives = torch.where(valid[..., None], a * b, 0.0).sum()
    return (normalisers / 2 - positives) / anchors
