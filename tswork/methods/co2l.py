"""Co2L: new samples are contrasted with everything, and a teacher says who is like whom.

Cha et al., "Co2L: Contrastive Continual Learning", ICCV 2021. Projections of new samples and of the memory, in one pool, are compared
by `tswork.objectives.co2l`: supervised contrast with new samples as anchors, and from the second task on relation distillation
from the frozen model, projection and all, as it was at the end of the previous task. Nothing else trains the encoder.

| | here | paper |
| --- | --- | --- |
| classification | nearest mean of exemplars (`tswork.methods.nearest_mean`) | a linear layer, trained afterwards (see below) |
| views | `views_per_item: 2` sees two changed views of each sequence; default one, as it is | two |
| the teacher hears | the same views; without any, each sequence once a task | the same views |
| memory | herded exemplars of each label (`selection`) | random, or a reservoir |
| temperatures | contrast 0.5, relations 0.2 and the teacher's 0.01; relations weigh 1 | the latter three the same |
| projection | two layers, `dropout` 0 before them | two layers |
| optimiser | AdamW, `epochs` a task | SGD, the first task longer |

The paper trains its layer on the memory and the last task, with classes balanced. The nearest mean needs no training of its own, so
that nothing about it has to be chosen. The paper's column beyond the relations' temperatures and weight is from memory and not
verified. A batch holds positives by chance: with one view of each sequence it should be several times as large as there are classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from tswork.augment.base import View
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import Part
from tswork.data.rehearsal import MEMORY_ROW, PART_ROW, RehearsalPart
from tswork.encoders.pooling import pooled_dim
from tswork.methods.answers import read
from tswork.methods.model import Model, label_column
from tswork.methods.nearest_mean import ByMeans, ByMeansConfig
from tswork.methods.sequence_contrast import changed_view, projection
from tswork.methods.teacher import looked_up
from tswork.objectives.co2l import asymmetric_contrast, relation_distillation
from tswork.registry import register
from tswork.training.distributed import gather_with_gradient


class Co2lConfig(ByMeansConfig):
    temperature: float = Field(default=0.5, gt=0, description="contrast: divides cosines")
    distillation_weight: float = Field(default=1.0, ge=0, description="weight of the relations' distillation; 0: none")
    relation_temperature: float = Field(default=0.2, gt=0, description="distillation: divides the student's cosines")
    teacher_temperature: float = Field(default=0.01, gt=0, description="distillation: divides the teacher's cosines")
    views_per_item: Literal[1, 2] = Field(default=1, description="how often a sequence is changed and seen in a batch")
    width: int = Field(default=128, ge=2, description="width of the space in which vectors are compared")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="dropout before the projection in training")


@register("method", "co2l", version=1, config=Co2lConfig)
class Co2l(ByMeans[Co2lConfig]):
    """Asymmetric supervised contrast and distilled relations, classified by means (Co2L, ICCV 2021)."""

    _taught: Float[Tensor, "span width"] | None = None

    def add_heads(self, model: Model) -> None:
        width = pooled_dim(model.encoder, self.config.pooling)
        model.heads["projection"] = nn.Sequential(
            nn.Dropout(self.config.dropout), projection(width, width, self.config.width)
        )

    @property
    def wants_teacher(self) -> bool:
        return bool(self.config.distillation_weight)

    def prepare(self, model: Model, rehearsed: Part, context: Context) -> None:
        self._taught = None
        super().prepare(model, rehearsed, context)

    def lesson(self, teacher: Model, rehearsed: RehearsalPart, context: Context) -> None:
        """Let the teacher hear everything once, where it hears no views."""
        super().lesson(teacher, rehearsed, context)
        if not self._views:
            self._taught = looked_up(
                teacher, rehearsed, context, lambda x, lengths: teacher.heads["projection"](teacher.embed(x, lengths))
            )

    def terms(self, model: Model, batch: Batch, context: Context) -> Mapping[str, Float[Tensor, ""]]:
        config, count = self.config, self.config.views_per_item
        views = [changed_view(batch, self._views, context.own_generator(f"view {one}")) for one in range(count)]
        z = gather_with_gradient(_projected(model, batch, views))
        labels, is_memory = (
            gather_with_gradient(one.repeat(count))
            for one in (batch.codes[label_column(model)], batch.codes[MEMORY_ROW] >= 0)
        )
        losses = {"contrast": asymmetric_contrast(z, labels, is_memory, temperature=config.temperature)}
        if self._teacher is not None:
            relations = relation_distillation(
                z,
                gather_with_gradient(self._told(self._teacher, batch, views)),
                temperature=config.relation_temperature,
                teacher_temperature=config.teacher_temperature,
            )
            losses["relations"] = config.distillation_weight * relations
        return losses

    @torch.no_grad()
    def _told(self, teacher: Model, batch: Batch, views: list[View]) -> Float[Tensor, "row width"]:
        """The teacher's projections of the same views."""
        if self._taught is not None:
            return self._taught[batch.codes[PART_ROW]].repeat(len(views), 1)
        return _projected(teacher, batch, views)


def _projected(model: Model, batch: Batch, views: list[View]) -> Float[Tensor, "row width"]:
    """Projections of one view after another."""
    found: Tensor = model.heads["projection"](torch.cat([read(model, batch, view)[1] for view in views]))
    return found
