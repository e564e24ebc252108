"""Supervised contrast: vectors of one class are drawn together, whatever else is in the batch is pushed away.

Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, equations 2 (`out`) and 3 (`in`); NT-Xent over labelled pairs;
Feeney and Hughes, "SINCERE", 2023, for the denominator `own`; Yeh et al., "Decoupled Contrastive Learning", ECCV 2022, for
`negatives`. Written from the formulas. With cosines over the temperature s_ij, the other vectors P(i) of an anchor's class and
those N(i) of other classes, an anchor's loss is

    out   - mean over p in P(i) of log share_ip          in   - log of the mean over p in P(i) of share_ip

and share_ip = exp(s_ip) / (what `denominator` says):

| denominator | sum of exp(s_ij) over |
| --- | --- |
| all | every other vector: P(i) and N(i) |
| own | this positive and N(i) |
| negatives | N(i) alone: an anchor without any has no loss |

Conventions
| | here | elsewhere |
| --- | --- | --- |
| anchors without a positive | take no part in the mean, and are negatives of others | the authors' code: count as 0 in it |
| ratio of temperatures | none | the authors' code: times temperature / 0.07 |
| a batch of one class | its value, with a warning where labels are on the host | some libraries: 0 |
| least value | above 0, because positives stand in the denominator `all` (log(N - 1) for N vectors that are all alike) | |
| vectors of unknown class (-1) | neither anchors, nor positives, nor negatives: they may be of the anchor's class | |
| two views of each clip | both in the batch, each with the clip's class: they are positives also where a class has one clip | |
"""

from __future__ import annotations

import warnings
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tswork.config import Config
from tswork.errors import TsworkWarning
from tswork.objectives.base import LabelledLoss, LabelledObjective
from tswork.precision import wide
from tswork.registry import register

Variant = Literal["out", "in"]
Denominator = Literal["all", "own", "negatives"]


def supervised_contrast(
    z: Float[Tensor, "row dim"],
    labels: Int[Tensor, "row"],
    *,
    temperature: float = 0.1,
    variant: Variant = "out",
    denominator: Denominator = "all",
    among: Bool[Tensor, "row"] | None = None,
) -> Float[Tensor, ""]:
    """The mean over anchors that have a positive, in float32 or wider, also under autocast; 0 without any such anchor.

    `among` are the rows that may be anchors (None: all); the others are positives and negatives alone.

    >>> z = torch.eye(2)[[0, 0, 1, 1]]
    >>> round(supervised_contrast(z, torch.tensor([0, 0, 1, 1]), temperature=1.0).item(), 6)  # log(1 + 2 / e)
    0.551445
    """
    if among is None:  # else who is compared with whom was chosen
        _warn_of_one_class(labels)
    with torch.autocast(z.device.type, enabled=False):
        logits, (positive, negative) = _logits(z, temperature), _pairs(labels)
        log_shares = _log_shares(logits, positive, negative, denominator)
        count = positive.sum(dim=1).clamp(min=1).to(logits.dtype)
        if variant == "out":
            losses = -torch.where(positive, log_shares, 0.0).sum(dim=1) / count
        else:
            losses = count.log() - log_shares.masked_fill(~positive, -torch.inf).logsumexp(dim=1)
        counted = anchors(labels, denominator=denominator)
        return _mean(losses, counted if among is None else counted & among)


def labelled_nt_xent(
    z: Float[Tensor, "row dim"], labels: Int[Tensor, "row"], *, temperature: float = 0.1
) -> Float[Tensor, ""]:
    """NT-Xent with labels: the mean over all pairs of one class, each told from the anchor's negatives; 0 without pairs.

    >>> z = torch.eye(2)[[0, 0, 1, 1]]
    >>> round(labelled_nt_xent(z, torch.tensor([0, 0, 1, 1]), temperature=1.0).item(), 6)  # log(1 + 2 / e)
    0.551445
    """
    with torch.autocast(z.device.type, enabled=False):
        logits, (positive, negative) = _logits(z, temperature), _pairs(labels)
        return _mean(-_log_shares(logits, positive, negative, "own"), positive)


def anchors(labels: Int[Tensor, "row"], *, denominator: Denominator = "all") -> Bool[Tensor, "row"]:
    """Which rows are anchors: those with a positive and, where negatives alone are the denominator, a negative."""
    positive, negative = _pairs(labels)
    found = positive.any(dim=1)
    return found & negative.any(dim=1) if denominator == "negatives" else found


def _logits(z: Float[Tensor, "row dim"], temperature: float) -> Float[Tensor, "row row"]:
    unit = functional.normalize(wide(z), dim=1)
    return unit @ unit.T / temperature


def _pairs(labels: Int[Tensor, "row"]) -> tuple[Bool[Tensor, "row row"], Bool[Tensor, "row row"]]:
    """Which two different rows are of one class, and which of two."""
    known = labels >= 0
    both = known[:, None] & known
    same = labels[:, None] == labels
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    return both & same & ~itself, both & ~same


def _log_shares(
    logits: Float[Tensor, "row row"],
    positive: Bool[Tensor, "row row"],
    negative: Bool[Tensor, "row row"],
    denominator: Denominator,
) -> Float[Tensor, "row row"]:
    """The logarithm of each share; only the places of positives have a meaning.

    A row is masked before its maximum is taken, so that an anchor's similarity to itself, the largest there is, never counts.
    """
    summed = positive | negative if denominator == "all" else negative
    totals = logits.masked_fill(~summed, -torch.inf).logsumexp(dim=1, keepdim=True)
    if denominator == "own":
        return logits - torch.logaddexp(logits, totals)
    return logits - totals.masked_fill(~summed.any(dim=1, keepdim=True), 0.0)  # minus infinity would spoil the gradient


def _mean(losses: Float[Tensor, "*place"], counted: Bool[Tensor, "*place"]) -> Float[Tensor, ""]:
    return torch.where(counted, losses, 0.0).sum() / counted.sum().clamp(min=1)


def _warn_of_one_class(labels: Int[Tensor, "row"]) -> None:
    """Labels on an accelerator are not looked at: that would wait for it."""
    if labels.device.type != "cpu":
        return
    known = labels[labels >= 0]
    if len(known) > 1 and bool((known == known[0]).all()):
        text = (
            "all vectors of a batch are of one class: nothing is pushed away, and the loss is least when all are alike"
        )
        warnings.warn(text, TsworkWarning, stacklevel=3)


class SupervisedContrastConfig(Config):
    temperature: float = Field(default=0.1, gt=0, description="divides cosines")
    variant: Variant = Field(default="out", description="mean over positives: of logarithms (out), or inside one (in)")
    denominator: Denominator = Field(
        default="all", description="what a positive is told from: all others, negatives and itself, or negatives alone"
    )


@register("labelled_objective", "supervised_contrast", version=1, config=SupervisedContrastConfig)
class SupervisedContrast(LabelledObjective[SupervisedContrastConfig]):
    """Supervised contrast (NeurIPS 2020), with the denominators of SINCERE and of decoupled contrast."""

    def __call__(
        self, z: Float[Tensor, "row dim"], labels: Int[Tensor, "row"], *, weights: nn.Module | None = None
    ) -> LabelledLoss:
        options = self.config
        loss = supervised_contrast(
            z, labels, temperature=options.temperature, variant=options.variant, denominator=options.denominator
        )
        return LabelledLoss(loss, {"anchors": anchors(labels, denominator=options.denominator).float().mean()})


class LabelledNtXentConfig(Config):
    temperature: float = Field(default=0.1, gt=0, description="divides cosines")


@register("labelled_objective", "labelled_nt_xent", version=1, config=LabelledNtXentConfig)
class LabelledNtXent(LabelledObjective[LabelledNtXentConfig]):
    """NT-Xent over the pairs of one class."""

    def __call__(
        self, z: Float[Tensor, "row dim"], labels: Int[Tensor, "row"], *, weights: nn.Module | None = None
    ) -> LabelledLoss:
        loss = labelled_nt_xent(z, labels, temperature=self.config.temperature)
        return LabelledLoss(loss, {"anchors": anchors(labels).float().mean()})
