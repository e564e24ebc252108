"""What all methods share that learn classes a few at a time: one classifier over all classes, trained task after task.

The training part is divided by its label (`tswork.data.class_tasks`); samples without a label take no part. The head has all
classes from the start, so nothing grows but the data. Each task has an optimiser of its own and gives one model, which knows
what was learned when (the head `tasks`), so that the protocol `continual` judges it on what it has seen. A method of this kind
overrides what it does otherwise: the part it trains on (`rehearsed`), the loss (`terms`), what it keeps (`begin`, `finish`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, TypeVar

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tswork.config import Configured, Uses, configure
from tswork.context import Context
from tswork.data.batches import Batch, Batches
from tswork.data.class_tasks import ClassTasks, ClassTasksConfig
from tswork.data.collection import Collection, DataInfo, Part
from tswork.data.samplers import Sampler
from tswork.encoders.pooling import Pooling, pooled_dim
from tswork.errors import DataInvalid, ModelUnfit, Problem
from tswork.methods.base import Method, MethodConfig, Update, build_encoder, sequence_batches
from tswork.methods.model import Model

TASKS = "tasks"
"""The head that knows in which task each class is learned."""


class ContinualConfig(MethodConfig):
    encoder: Annotated[Configured, Uses("encoder")] = Field(
        default_factory=lambda: configure("encoder", "dilated_conv"), description="what is trained"
    )
    classes: ClassTasksConfig = Field(default=ClassTasksConfig(), description="which classes come in which task")
    epochs: int | None = Field(default=20, ge=1, description="passes over the training samples of each task")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="dropout before the head in training")
    pooling: Pooling = Field(default="max", description="from frames to one vector a sequence")


C = TypeVar("C", bound=ContinualConfig)


class ContinualMethod(Method[C]):
    """A classifier that meets its classes task by task."""

    provides: ClassVar[frozenset[str]] = frozenset({"embed", "classify"})

    def build(self, info: DataInfo, *, generator: torch.Generator) -> Model:
        if info.label is None or len(info.classes) < 2:
            reason = "the data have no labels" if info.label is None else f"the data have {len(info.classes)} classes"
            raise ModelUnfit("continual learning", reason, "Name a column of at least two classes with `label:`.")
        encoder = build_encoder(self.config.encoder, info, generator=generator)
        width = pooled_dim(encoder, self.config.pooling)
        classify = nn.Sequential(nn.Dropout(self.config.dropout), nn.Linear(width, len(info.classes)))
        heads = {"classify": classify, TASKS: TaskOfClass(self.config.classes.divide(info.label, info.classes), info)}
        return Model(encoder, info, heads=heads, pooling=self.config.pooling, provides=self.provides)

    def check(self, part: Part) -> None:
        self.division(part.collection)

    def division(self, collection: Collection) -> ClassTasks:
        """The classes of each task. Raises `DataInvalid` without labels, or when they cannot be divided."""
        if collection.label is None:
            raise DataInvalid([Problem("no column holds the classes", "label", remedy="Name it with `label:`.")])
        return self.config.classes.divide(collection.label, collection.classes)

    def tasks(self, train: Part) -> Sequence[Part]:
        return self.division(train.collection).parts(train)

    def rehearsed(self, part: Part) -> Part:
        """What a task is trained on; default its own part."""
        return part

    def columns(self, part: Part) -> tuple[str, ...]:
        """Codes that batches carry."""
        return (label_of(part),)

    def sampler(self, part: Part, context: Context) -> Sampler | None:
        """How batches are drawn; none: uniformly."""
        return None

    def batches(self, model: Model, part: Part, context: Context) -> Batches:
        rehearsed = self.rehearsed(part)
        return sequence_batches(
            rehearsed,
            encoder=model.encoder,
            context=context,
            batch_size=self.config.batch_size,
            columns=self.columns(part),
            sampler=self.sampler(rehearsed, context),
        )

    def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        yield Update("model", self.terms(model, batch, context))

    def terms(self, model: Model, batch: Batch, context: Context) -> Mapping[str, Float[Tensor, ""]]:
        """The terms of the loss; default the cross entropy of all samples of the batch."""
        assert model.info.label is not None
        logits = model.classify(batch.x, batch.unequal_lengths).float()
        return {"loss": functional.cross_entropy(logits, batch.codes[model.info.label])}


class TaskOfClass(nn.Module):
    """The task in which each class is learned, as a buffer, so that it is saved with the model."""

    of_class: Int[Tensor, "class"]

    def __init__(self, division: ClassTasks, info: DataInfo) -> None:
        super().__init__()
        task = {name: index for index, names in enumerate(division.classes) for name in names}
        self.register_buffer("of_class", torch.tensor([task[name] for name in info.classes]))


def tasks_of_classes(model: Model) -> Int[Tensor, "class"] | None:
    """The task in which a model's training meets each of its classes; None where it has no tasks."""
    found = [head.of_class.cpu() for head in model.heads.values() if isinstance(head, TaskOfClass)]
    return found[0] if found else None


def label_of(part: Part) -> str:
    """The column of classes of a part that was checked."""
    label = part.collection.label
    assert label is not None
    return label
