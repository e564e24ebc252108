"""Softmax over cosines to class weights, with a margin for the own class: ArcFace (AAM) and CosFace (AM).

Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019; Wang et al., "CosFace: Large Margin
Cosine Loss for Deep Face Recognition", CVPR 2018. With the angle t of a vector to the weights of its own class, whose logit is

    arc_face   scale * cos(t + margin)          where t <= pi - margin, beyond it scale * (cos t - margin * sin(margin))
    cos_face   scale * (cos t - margin)

and scale * cos t for every other class; the loss is their cross entropy. Margins of ArcFace are radians (0.2 and a scale of 30
are usual for speech; 28.6 degrees are 0.5).

Written anew beside pytorch-metric-learning, whose values these are: there the angle is an arc cosine, whose slope is infinite
where a vector meets its class, and the gradient is then NaN. Here cos(t + m) = cos t cos m - sin t sin m, and cosines are kept 1e-7
away from 1 and -1 where the sine is taken.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tswork.config import Config
from tswork.objectives.base import LabelledLoss, LabelledObjective
from tswork.objectives.class_weights import ClassWeights, vectors_of
from tswork.precision import wide
from tswork.registry import register

NEAREST = 1e-7
"""How near a cosine may come to 1 or -1 where the sine of its angle is taken."""


def with_angular_margin(cosines: Float[Tensor, "*place"], margin: float) -> Float[Tensor, "*place"]:
    """The cosine of each angle that is `margin` radians wider; falls with the angle also where that exceeds pi."""
    inside = cosines.clamp(NEAREST - 1, 1 - NEAREST)
    wider = cosines * math.cos(margin) - (1 - inside.square()).sqrt() * math.sin(margin)
    return torch.where(cosines >= -math.cos(margin), wider, cosines - margin * math.sin(margin))


def margin_softmax(
    cosines: Float[Tensor, "row class"],
    labels: Int[Tensor, "row"],
    own: Float[Tensor, "row class"],
    *,
    scale: float,
) -> Float[Tensor, ""]:
    """The mean cross entropy over rows of known class; `own` replaces the cosine of a row's own class. 0 without any."""
    known = labels >= 0
    place = functional.one_hot(labels.clamp(min=0), cosines.shape[1]).bool()
    losses = functional.cross_entropy(scale * torch.where(place, own, cosines), labels.clamp(min=0), reduction="none")
    return torch.where(known, losses, 0.0).sum() / known.sum().clamp(min=1)


def _cosines(z: Float[Tensor, "row dim"], weights: nn.Module | None) -> Float[Tensor, "row class"]:
    rows = wide(z)
    return functional.normalize(rows, dim=1) @ functional.normalize(vectors_of(weights).to(rows.dtype), dim=1).T


class ArcFaceConfig(Config):
    margin: float = Field(
        default=0.2, ge=0, lt=math.pi, description="how much wider the own angle is taken, in radians"
    )
    scale: float = Field(default=30.0, gt=0, description="multiplies cosines")


@register("labelled_objective", "arc_face", version=1, config=ArcFaceConfig)
class ArcFace(LabelledObjective[ArcFaceConfig]):
    """Additive angular margin (ArcFace, AAM): class weights and an angle that is made wider."""

    def class_weights(self, classes: int, dim: int) -> ClassWeights:
        return ClassWeights(classes, dim)

    def __call__(
        self, z: Float[Tensor, "row dim"], labels: Int[Tensor, "row"], *, weights: nn.Module | None = None
    ) -> LabelledLoss:
        with torch.autocast(z.device.type, enabled=False):
            cosines = _cosines(z, weights)
            own = with_angular_margin(cosines, self.config.margin)
            return LabelledLoss(margin_softmax(cosines, labels, own, scale=self.config.scale))


class CosFaceConfig(Config):
    margin: float = Field(default=0.2, ge=0, description="what is taken from the own cosine")
    scale: float = Field(default=30.0, gt=0, description="multiplies cosines")


@register("labelled_objective", "cos_face", version=1, config=CosFaceConfig)
class CosFace(LabelledObjective[CosFaceConfig]):
    """Additive margin (CosFace, AM): class weights and a cosine that is made smaller."""

    def class_weights(self, classes: int, dim: int) -> ClassWeights:
        return ClassWeights(classes, dim)

    def __call__(
        self, z: Float[Tensor, "row dim"], labels: Int[Tensor, "row"], *, weights: nn.Module | None = None
    ) -> LabelledLoss:
        with torch.autocast(z.device.type, enabled=False):
            cosines = _cosines(z, weights)
            return LabelledLoss(margin_softmax(cosines, labels, cosines - self.config.margin, scale=self.config.scale))
