"""InfoNCE and NT-Xent: pick the other view of a sequence among the other sequences of the batch.

van den Oord et al., "Representation Learning with Contrastive Predictive Coding", 2018, equation 4; Chen et al., "A Simple
Framework for Contrastive Learning of Visual Representations" (SimCLR), ICML 2020, equation 1. One direction takes rows of the
first view as anchors and columns of the second as candidates. With `among="both"` the other sequences of the anchor's own
view are candidates too, and both views are anchors (NT-Xent: 2B - 1 classes). A queue adds candidates that are nobody's twin
(MoCo: He et al., "Momentum Contrast for Unsupervised Visual Representation Learning", CVPR 2020, equation 1).
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from tswork.config import Config
from tswork.objectives.base import Objective
from tswork.precision import wide
from tswork.registry import register

Among = Literal["other", "both"]


def info_nce(
    z1: Float[Tensor, "batch dim"],
    z2: Float[Tensor, "batch dim"],
    *,
    temperature: float = 0.1,
    normalise: bool = True,
    symmetric: bool = True,
    among: Among = "other",
    negatives: Float[Tensor, "queue dim"] | None = None,
) -> Float[Tensor, ""]:
    """Mean cross entropy of the twin among the candidates, in float32 or wider, also under autocast.

    `symmetric=False` has the first view alone as anchors. `negatives` are further candidates of every anchor. With one
    sequence and no negatives the loss is 0.

    >>> z = torch.eye(4)
    >>> round(info_nce(z, z, temperature=1.0).item(), 6)  # log(1 + 3 / e)
    0.743668
    """
    with torch.autocast(z1.device.type, enabled=False):
        first, second = (_comparable(wide(z), normalise) for z in (z1, z2))
        further = None if negatives is None else _comparable(negatives.to(first.dtype), normalise)
        losses = [_one_way(first, second, temperature, among, further)]
        if symmetric:
            losses.append(_one_way(second, first, temperature, among, further))
        return torch.stack(losses).mean()


def _comparable(z: Float[Tensor, "row dim"], normalise: bool) -> Float[Tensor, "row dim"]:
    return functional.normalize(z, dim=-1) if normalise else z


def _one_way(
    anchors: Float[Tensor, "batch dim"],
    twins: Float[Tensor, "batch dim"],
    temperature: float,
    among: Among,
    further: Float[Tensor, "queue dim"] | None,
) -> Float[Tensor, ""]:
    columns = [anchors @ twins.T]
    if among == "both":
        own = anchors @ anchors.T
        columns.append(own.masked_fill(torch.eye(len(own), dtype=torch.bool, device=own.device), -torch.inf))
    if further is not None:
        columns.append(anchors @ further.T)
    logits = torch.cat(columns, dim=1) / temperature
    return functional.cross_entropy(logits, torch.arange(len(anchors), device=anchors.device))


class InfoNceConfig(Config):
    temperature: float = Field(default=0.1, gt=0, description="divides similarities")
    normalise: bool = Field(default=True, description="compare directions (cosine) instead of dot products")
    symmetric: bool = Field(default=True, description="both views are anchors; false: the first alone")
    among: Among = Field(default="other", description="candidates: the other view, or both views (NT-Xent)")


@register("objective", "info_nce", version=1, config=InfoNceConfig)
class InfoNce(Objective[InfoNceConfig]):
    """InfoNCE and NT-Xent over a batch, with further negatives from a queue."""

    takes_queue = True

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
        return info_nce(
            z1,
            z2,
            temperature=options.temperature,
            normalise=options.normalise,
            symmetric=options.symmetric,
            among=options.among,
            negatives=negatives,
        )
