"""What methods share in which a teacher (`tswork.methods.teacher`) holds the student on the samples of the memory.

`Taught` takes the teacher when a task begins, from the second on, and lets it make once a task what does not change (`lesson`).
`Distilling` asks it in every step: it hears the very view of the samples that the student hears, so that frames stand side by side and
nothing of a change has to be undone. It hears samples of the memory alone, without gradients and in evaluation mode, thus without
dropout and without what an encoder wipes out of its own frames in training. New samples it never hears.

Without a memory there is no teacher.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, TypeVar

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from tswork.augment.base import View
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import Part
from tswork.data.rehearsal import MEMORY_ROW, RehearsalPart
from tswork.methods.answers import Heard
from tswork.methods.continual import parameters_in
from tswork.methods.er import ErConfig, Rehearsal
from tswork.methods.model import Model
from tswork.methods.teacher import chosen, memory_places, teacher_of

C = TypeVar("C", bound=ErConfig)


class Taught(Rehearsal[C]):
    """Replay with the model as it was at the end of the previous task."""

    _teacher: Model | None = None

    @property
    @abstractmethod
    def wants_teacher(self) -> bool:
        """Whether some term has a weight that needs one."""

    def begin(self, model: Model, task: int, part: Part, context: Context) -> None:
        super().begin(model, task, part, context)
        self._teacher = teacher_of(model) if task and self.wants_teacher else None

    def prepare(self, model: Model, rehearsed: Part, context: Context) -> None:
        super().prepare(model, rehearsed, context)
        assert isinstance(rehearsed, RehearsalPart)
        if not rehearsed.remembered:
            self._teacher = None
        if self._teacher is not None:
            self.lesson(self._teacher, rehearsed, context)

    def lesson(self, teacher: Model, rehearsed: RehearsalPart, context: Context) -> None:
        """Let the teacher make what a task needs once; default nothing."""

    def costs(self, model: Model, task: int, part: Part) -> Mapping[str, int]:
        teacher = 0 if self._teacher is None else parameters_in(self._teacher)
        return {**super().costs(model, task, part), "teacher_parameters": teacher}


class DistillingConfig(ErConfig):
    distillation_weight: float = Field(default=1.0, ge=0, description="weight of the distance to the teacher; 0: none")


D = TypeVar("D", bound=DistillingConfig)


class Distilling(Taught[D]):
    """Replay, and on samples of the memory the distance of what the student says from what the teacher says of the same view."""

    term: ClassVar[str]
    """Name of the distance among the terms of the loss."""

    @abstractmethod
    def said(self, heard: Heard) -> Float[Tensor, "batch step *rest"]:
        """What the student says and the teacher is asked."""

    @abstractmethod
    def asked(self, teacher: Model, batch: Batch, view: View) -> Float[Tensor, "old fewer *rest"]:
        """What the teacher says of samples of the memory: as many steps as the student, or the first of them."""

    @abstractmethod
    def distance(
        self, heard: Heard, taught: Float[Tensor, "batch step *rest"], is_memory: Bool[Tensor, "batch"]
    ) -> Float[Tensor, ""]:
        """From the student to the teacher; 0 without samples of the memory. Other rows of the teacher are not to be read."""

    @property
    def wants_teacher(self) -> bool:
        return bool(self.config.distillation_weight)

    def terms(self, model: Model, batch: Batch, context: Context) -> Mapping[str, Float[Tensor, ""]]:
        self.answer.step(context)
        view = self.view(batch, context)
        heard = self.answer.heard(model, batch, view)
        losses = {"loss": self.answer.loss(heard)}
        if self._teacher is not None:
            taught = self._of_teacher(self._teacher, heard, batch, view)
            distance = self.distance(heard, taught, batch.codes[MEMORY_ROW] >= 0)
            losses[self.term] = self.config.distillation_weight * distance
        return losses

    @torch.no_grad()
    def _of_teacher(self, teacher: Model, heard: Heard, batch: Batch, view: View) -> Float[Tensor, "batch step *rest"]:
        """What the teacher says of each sample of the memory, at the rows and steps of what the student says."""
        # Rows that the teacher has not heard are never read: they may as well be NaN.
        taught = torch.full_like(self.said(heard), torch.nan)
        places = memory_places(batch)
        if len(places):
            found = self.asked(teacher, *chosen(batch, view, places))
            taught[places.to(taught.device, non_blocking=True), : found.shape[1]] = found
        return taught
