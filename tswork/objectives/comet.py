"""COMET's losses at four levels: observation, sample, trial and patient.

Paper: Wang et al., "Contrast Everything: A Hierarchical Contrastive Framework for Medical Time-Series", NeurIPS 2023, section 4.
Two views of a batch, `(batch, time, dim)` each, are compared. Reference code: github.com/DL4mHealth/COMET at a769779 (MIT), read
for its behaviour, written anew from the formulas.

| level | an anchor's positive | its negatives |
| --- | --- | --- |
| observation | the same step of its series in the other view | the other steps of its series, both views |
| sample | the same | the same step of the other series, both views |
| trial, patient | the other series of its trial or patient, in the other view | the series of others; its own twin counts as one |

The first two are TS2Vec's temporal and instance losses (plain dot products, `tswork.objectives.ts2vec`), with a hierarchy of
scales of their own: no term at the scale of one step. Their similarities are never whole in memory, forward or backward.
Trial and patient levels share one form: with `s_ij` the cosine of series i in one view and j in the other over the temperature,
an anchor i with positives P(i) costs the mean over p in P(i) of `-s_ip + log sum_j exp(s_ij)`; its own twin (j = i) stays in the
sum. The loss is the mean over anchors that have a positive, of both views.

| published code (`variant="reference"`, `similarity="time"`) | paper form |
| --- | --- |
| positives come later in the batch than their anchor, so that its order matters; pairs weigh alike | all positives; anchors weigh alike |
| each latent channel is normalised over time, then the maps are compared | cosine of the maps, or of their maxima over time |
| no positive: the number 0, which cannot be differentiated | a zero that is attached |
| a series of one step: 0/0 | its own only scale |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from tswork.encoders.base import Frames, valid_steps
from tswork.encoders.pooling import pool
from tswork.objectives.cosines import cosines, inverse_norm
from tswork.objectives.ts2vec import halved, instance_contrast, temporal_contrast
from tswork.precision import wide

Similarity = Literal["flattened", "pooled", "time"]
Variant = Literal["paper", "reference"]


class Scale(NamedTuple):
    """Two views at one scale of time, and how many steps of each series are real (None: all)."""

    h1: Float[Tensor, "batch time dim"]
    h2: Float[Tensor, "batch time dim"]
    lengths: Int[Tensor, "batch"] | None


def observation_contrast(
    h1: Float[Tensor, "batch time dim"],
    h2: Float[Tensor, "batch time dim"],
    *,
    lengths: Int[Tensor, "batch"] | None = None,
) -> Float[Tensor, ""]:
    """Each step against the other steps of its own series, in float32 or wider; 0 for a single step."""
    return temporal_contrast(h1, h2, lengths=lengths)


def sample_contrast(
    h1: Float[Tensor, "batch time dim"],
    h2: Float[Tensor, "batch time dim"],
    *,
    lengths: Int[Tensor, "batch"] | None = None,
) -> Float[Tensor, ""]:
    """Each step against the same step of the other series, in float32 or wider; 0 for a batch of one."""
    return instance_contrast(h1, h2, lengths=lengths)


def pool_hierarchy(
    loss: Callable[..., Float[Tensor, ""]],
    h1: Float[Tensor, "batch time dim"],
    h2: Float[Tensor, "batch time dim"],
    *,
    lengths: Int[Tensor, "batch"] | None = None,
) -> Float[Tensor, ""]:
    """The mean of `observation_contrast` or `sample_contrast` over the scales of time.

    >>> z = torch.ones(2, 16, 3)
    >>> round(pool_hierarchy(observation_contrast, z, z).item(), 5)
    2.29664
    """
    return mean_over_scales(loss, scales_of(h1, h2, lengths=lengths))


def scales_of(
    h1: Float[Tensor, "batch time dim"],
    h2: Float[Tensor, "batch time dim"],
    *,
    lengths: Int[Tensor, "batch"] | None = None,
) -> list[Scale]:
    """Two views at full length, and max-pooled by two along time (an odd last step is dropped) while two steps are left.

    A batch of one step is its own only scale; a series that is down to one step waits for the others. In float32 or wider.
    """
    first, second = (wide(z).contiguous() for z in (h1, h2))
    scales = [Scale(first, second, lengths)]
    while scales[-1].h1.shape[1] > 3:
        h1, h2, lengths = scales[-1]
        shorter = None if lengths is None else (lengths // 2).clamp(min=1)
        scales.append(Scale(halved(h1, lengths), halved(h2, lengths), shorter))
    return scales


def mean_over_scales(loss: Callable[..., Float[Tensor, ""]], scales: list[Scale]) -> Float[Tensor, ""]:
    """The mean of a loss over scales of two views."""
    return torch.stack([loss(scale.h1, scale.h2, lengths=scale.lengths) for scale in scales]).mean()


def group_contrast(
    h1: Float[Tensor, "batch time dim"],
    h2: Float[Tensor, "batch time dim"],
    group: Int[Tensor, "batch"],
    *,
    temperature: float = 0.1,
    similarity: Similarity = "flattened",
    variant: Variant = "paper",
    lengths: Int[Tensor, "batch"] | None = None,
) -> Float[Tensor, ""]:
    """The loss of trial or patient level: series of one group attract each other, in float32 or wider, also under autocast.

    `group` are integer codes of any size; -1 is unknown, and nobody's positive. Without positives it is 0 with a gradient
    of 0. `similarity` says what cosines are taken of: `comparable`.
    """
    vectors = (comparable(h, similarity=similarity, lengths=lengths) for h in (h1, h2))
    return contrast_groups(cosines(*vectors), group, temperature=temperature, variant=variant)


def comparable(
    h: Float[Tensor, "batch time dim"], *, similarity: Similarity, lengths: Int[Tensor, "batch"] | None = None
) -> Float[Tensor, "batch size"]:
    """One vector a series, in float32 or wider; padding counts for nothing.

    `flattened`: the whole map; `pooled`: the maximum over time; `time`: the map with each latent channel normalised over time.
    """
    h = wide(h)
    if similarity == "pooled":
        return h.amax(dim=1) if lengths is None else pool(Frames(h, lengths), "max")
    if lengths is not None:
        h = torch.where(valid_steps(lengths, h.shape[1])[..., None], h, 0.0)
    if similarity == "time":
        h = h * inverse_norm(h)[:, None, :]
    return h.flatten(start_dim=1)


def contrast_groups(
    similarities: Float[Tensor, "batch batch"],
    group: Int[Tensor, "batch"],
    *,
    temperature: float = 0.1,
    variant: Variant = "paper",
) -> Float[Tensor, ""]:
    """The loss of a level from similarities of the first view (rows) with the second (columns).

    >>> group = torch.tensor([7, 7, 3])
    >>> round(contrast_groups(torch.eye(3), group).item(), 6)  # log(e^10 + 2)
    10.000091
    """
    differentiate = torch.is_grad_enabled() and similarities.requires_grad
    loss: Tensor = _Contrast.apply(  # type: ignore[no-untyped-call]
        similarities, _pair_weights(group, similarities.dtype, variant), temperature, differentiate
    )
    return loss


class _Contrast(torch.autograd.Function):
    """The loss of weighted pairs; its gradient, which needs the same exponentials, is computed at once."""

    @staticmethod
    def forward(ctx: Any, similarities: Tensor, weights: Tensor, temperature: float, differentiate: bool) -> Tensor:
        logits, anchors, pairs = similarities / temperature, weights.sum(dim=1), weights + weights.T
        rows, columns = torch.logsumexp(logits, dim=1), torch.logsumexp(logits, dim=0)
        if differentiate:
            gradient = (logits - rows[:, None]).exp_().mul_(anchors[:, None])
            gradient += (logits - columns).exp_().mul_(anchors)
            ctx.save_for_backward(gradient.sub_(pairs).div_(2 * temperature))
        return ((anchors * (rows + columns)).sum() - (pairs * logits).sum()) / 2

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream, None, None, None


def _pair_weights(group: Int[Tensor, "batch"], dtype: torch.dtype, variant: Variant) -> Float[Tensor, "batch batch"]:
    """The weight of each anchor (row) with each positive (column), the same for both views as anchors; their sum is 1, or 0."""
    alike = (group[:, None] == group) & (group >= 0)
    if variant == "reference":
        pairs = alike.triu(diagonal=1).to(dtype)
        return pairs / pairs.sum().clamp(min=1)
    positives = alike.fill_diagonal_(False).sum(dim=1)
    anchors = (positives > 0).sum()
    return alike.to(dtype) / (positives.clamp(min=1)[:, None] * anchors.clamp(min=1))
