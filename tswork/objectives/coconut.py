"""COCONUT's losses: old audio embeddings are held where a frozen teacher has them, and audio meets text.

Paper: Cappellazzo et al., "Continual Contrastive Spoken Language Understanding", ACL Findings 2024 (arXiv 2310.02699). Neither
its body nor its code was at hand: the formulas are those its reviews and earlier work of the authors agree on, and what they
leave open is an option here. Unit vectors are compared: `s` is the student's, `t` the teacher's (the model at the end of the
previous task, which learns nothing). An anchor k is a sample of the memory, P(k) are the samples of the memory with its label,
and with a temperature T

    NSPT   mean over k, over p in P(k), of   log sum_i exp(s_k . s_i / T) - s_k . t_p / T
    NTPT   mean over k, over p in P(k), of   log sum_i exp(s_k . t_i / T) - s_k . t_p / T

NSPT (negatives of the student, positives of the teacher) is COCONUT's: the teacher has never seen the new classes, so where it
puts them says nothing; new samples act, and learn, as negatives alone. NTPT is contrastive distillation as it is usually
written, to compare with: there new samples enter through the teacher, and learn nothing.

| left open | here |
| --- | --- |
| the anchor in its own sum | `denominator="all"`: yes, as it is written |
| | `no_self`: no; the loss then has no lower bound of 0 |
| | `with_positive`: no, but the positive is (InfoNCE), so that it is never negative |
| the anchor among its positives | `own_positive`, yes: the teacher's vector is another view, so every anchor has a positive |
| others of its class in its sum | `repel_class`, yes, as it is written |
| sum or mean over anchors | the mean: it does not grow with the share of the memory in a batch |
| what new samples of an old class are | negatives; positives are of the memory, whatever the labels |
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tswork.objectives.cosines import cosines
from tswork.precision import wide

Denominator = Literal["all", "no_self", "with_positive"]


def nspt(
    student: Float[Tensor, "batch dim"],
    teacher: Float[Tensor, "batch dim"],
    labels: Int[Tensor, "batch"],
    is_memory: Bool[Tensor, "batch"],
    *,
    temperature: float = 0.1,
    denominator: Denominator = "all",
    own_positive: bool = True,
    repel_class: bool = True,
) -> Float[Tensor, ""]:
    """Samples of the memory: near the teacher's vectors of their class, far from the student's of the batch.

    In float32 or wider, also under autocast; 0 without a memory, with a gradient of 0. The teacher's rows of new samples are
    not read (they may be NaN), and none gets a gradient. A label of -1 is nobody's but the sample's own.

    >>> s = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> labels, old = torch.tensor([0, 0, 1]), torch.tensor([True, True, False])
    >>> round(nspt(s, s, labels, old, temperature=1.0).item(), 6)  # log(2e + 1) - 1
    0.861995
    """
    first, second = wide(student), torch.where(is_memory[:, None], wide(teacher.detach()), 0.0)
    return _distilled(
        cosines(first, first) / temperature,
        cosines(first, second) / temperature,
        labels,
        is_memory,
        denominator=denominator,
        own_positive=own_positive,
        repel_class=repel_class,
    )


def ntpt(
    student: Float[Tensor, "batch dim"],
    teacher: Float[Tensor, "batch dim"],
    labels: Int[Tensor, "batch"],
    is_memory: Bool[Tensor, "batch"],
    *,
    temperature: float = 0.1,
    denominator: Denominator = "all",
    own_positive: bool = True,
    repel_class: bool = True,
) -> Float[Tensor, ""]:
    """As `nspt`, with the teacher's vectors as negatives, too, so that its rows of new samples are needed."""
    similarities = cosines(wide(student), wide(teacher.detach())) / temperature
    return _distilled(
        similarities,
        similarities,
        labels,
        is_memory,
        denominator=denominator,
        own_positive=own_positive,
        repel_class=repel_class,
    )


def cross_modal_contrast(
    audio: Float[Tensor, "batch dim"],
    text: Float[Tensor, "batch dim"],
    labels: Int[Tensor, "batch"],
    *,
    temperature: float = 0.1,
    among: Bool[Tensor, "batch"] | None = None,
) -> Float[Tensor, ""]:
    """Audio finds the texts of its label and text the audio: the sum of `contrast_across` in both directions.

    `among` are the samples that take part (None: all); rows of the others are not read.
    """
    there = contrast_across(audio, text, labels, temperature=temperature, among=among)
    return there + contrast_across(text, audio, labels, temperature=temperature, among=among)


def contrast_across(
    anchors: Float[Tensor, "batch dim"],
    candidates: Float[Tensor, "batch dim"],
    labels: Int[Tensor, "batch"],
    *,
    temperature: float = 0.1,
    among: Bool[Tensor, "batch"] | None = None,
) -> Float[Tensor, ""]:
    """One direction: the mean over anchors and the candidates of their label of minus log softmax, in float32 or wider.

    An anchor's own candidate is always of its label; a label of -1 has no other. 0 where nobody takes part.

    >>> z = torch.eye(4)
    >>> round(contrast_across(z, z, torch.arange(4), temperature=1.0).item(), 6)  # log(1 + 3 / e)
    0.743668
    """
    chosen = torch.ones_like(labels, dtype=torch.bool) if among is None else among
    first, second = (torch.where(chosen[:, None], wide(z), 0.0) for z in (anchors, candidates))
    similarities = cosines(first, second) / temperature
    return _mean_surprise(similarities, similarities, _alike(labels) & chosen, chosen, chosen.expand_as(similarities))


def _distilled(
    negatives: Float[Tensor, "batch batch"],
    positives: Float[Tensor, "batch batch"],
    labels: Int[Tensor, "batch"],
    is_memory: Bool[Tensor, "batch"],
    *,
    denominator: Denominator,
    own_positive: bool,
    repel_class: bool,
) -> Float[Tensor, ""]:
    own = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    alike = _alike(labels) & is_memory
    repelled = own | ~own if denominator == "all" else ~own
    if not repel_class:
        repelled = repelled & (own | ~alike)
    return _mean_surprise(
        negatives,
        positives,
        alike if own_positive else alike & ~own,
        is_memory,
        repelled,
        with_positive=denominator == "with_positive",
    )


def _mean_surprise(
    negatives: Float[Tensor, "batch batch"],
    positives: Float[Tensor, "batch batch"],
    attracted: Bool[Tensor, "batch batch"],
    is_anchor: Bool[Tensor, "batch"],
    repelled: Bool[Tensor, "batch batch"],
    *,
    with_positive: bool = False,
) -> Float[Tensor, ""]:
    """The mean over anchors of the mean over the attracted of the log of the sum over the repelled, less the similarity.

    An anchor without anybody to be drawn to, or with an empty sum, takes no part.
    """
    count, alone = attracted.sum(dim=1), ~repelled.any(dim=1)
    # A sum over nothing has no finite gradient: such rows sum over all, and count for nothing.
    log_sum = torch.logsumexp(negatives.masked_fill(~(repelled | alone[:, None]), -torch.inf), dim=1)[:, None]
    if with_positive:
        log_sum = torch.where(alone[:, None], positives, torch.logaddexp(log_sum, positives))
        alone = torch.zeros_like(alone)
    surprise = torch.where(attracted, log_sum - positives, 0.0).sum(dim=1) / count.clamp(min=1)
    counted = is_anchor & (count > 0) & ~alone
    return torch.where(counted, surprise, 0.0).sum() / counted.sum().clamp(min=1)


def _alike(labels: Int[Tensor, "batch"]) -> Bool[Tensor, "batch batch"]:
    """Which samples have one known label; each is like itself."""
    same = (labels[:, None] == labels) & (labels >= 0)
    return same | torch.eye(len(labels), dtype=torch.bool, device=labels.device)
