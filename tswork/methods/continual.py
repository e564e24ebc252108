"""What all methods share that learn classes a few at a time: one model over all classes, trained task after task.

The training part is divided as the data block's `tasks:` says (`tswork.data.class_tasks`); samples that are in no task take no part,
and neither do those without a label where classes are said and tasks are of another column.
The model can say everything from the start, classes or texts (`answer`, `tswork.methods.answers`), so nothing grows but the data.
Each task has an optimiser and a schedule of its own and gives one model, so that the protocol `continual` judges what is known
after it. A method of this kind overrides what it does otherwise: the part it trains on (`rehearsed`), what else it asks answers
of (`answered`), what it makes once a task (`prepare`), the loss (`terms`), the step (`updates`), and what it keeps (`begin`, `finish`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, TypeVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from tswork.augment.base import Augmentation, View, ViewSpec
from tswork.config import Configured, Many, Uses, configure
from tswork.context import Context
from tswork.data.batches import Batch, Batches
from tswork.data.class_tasks import ClassTasks
from tswork.data.collection import DataInfo, Part
from tswork.data.samplers import Buckets, Sampler
from tswork.encoders.pooling import Pooling
from tswork.errors import DataInvalid, Problem
from tswork.methods.answers import Answer, AnswerKind, ClassAnswer, Heard, TextAnswer
from tswork.methods.base import Method, MethodConfig, Update, build_encoder, need_classes, sequence_batches
from tswork.methods.model import Model
from tswork.methods.sequence_contrast import changed_view
from tswork.text.decoder import TextDecoderConfig
from tswork.training.schedules import Schedule, schedules


class ContinualConfig(MethodConfig):
    encoder: Annotated[Configured, Uses("encoder")] = Field(
        default_factory=lambda: configure("encoder", "dilated_conv"), description="what is trained"
    )
    answer: AnswerKind = Field(
        default="class",
        description="what is learned to say of a sequence: its class, or the text of the data's `text:`",
    )
    decoder: TextDecoderConfig = Field(default=TextDecoderConfig(), description="answer text: what writes it")
    merge_dropout: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="answer text: share of merges that are dropped in training, anew in every epoch",
    )
    epochs: int | None = Field(default=20, ge=1, description="passes over the training samples of each task")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="answer class: dropout before the head in training")
    pooling: Pooling = Field(default="max", description="from frames to one vector a sequence")
    views: Many[ViewSpec] = Field(default=(), description="changes of a sequence in training, in order")
    seconds: float | None = Field(
        default=None,
        gt=0,
        description="batches of new sequences of similar length, of so many seconds with their padding; `batch_size` bounds them too",
    )
    schedule: Schedule = Field(default="constant", description="how learning rates fall in a task")
    warm_up: float = Field(default=0.0, ge=0, lt=1, description="share of a task's steps in which learning rates rise")


C = TypeVar("C", bound=ContinualConfig)


class ContinualMethod(Method[C]):
    """A model that meets its classes task by task."""

    @classmethod
    def provided(cls, config: C) -> frozenset[str]:
        return (TextAnswer if config.answer == "text" else ClassAnswer).provides

    @classmethod
    def answers_by(cls, config: C) -> tuple[object, ...]:
        if config.answer == "class":
            return (config.answer, config.pooling)
        return (config.answer, config.decoder, config.pooling if config.decoder.pooled else None)

    def __init__(self, config: C) -> None:
        super().__init__(config)
        self._views: list[Augmentation[Any]] = [view.build() for view in config.views]
        self.answer: Answer = (
            TextAnswer(config.decoder, merge_dropout=config.merge_dropout, pooling=config.pooling)
            if config.answer == "text"
            else ClassAnswer(dropout=config.dropout, pooling=config.pooling)
        )

    def build(self, info: DataInfo, *, generator: torch.Generator) -> Model:
        need_classes(info, "continual learning")
        encoder = build_encoder(self.config.encoder, info, generator=generator)
        heads = self.answer.heads(encoder, info)
        model = Model(encoder, info, heads=heads, pooling=self.config.pooling, provides=self.answer.provides)
        self.add_heads(model)
        return model

    def add_heads(self, model: Model) -> None:
        """Add what a method trains beside the answer; default nothing."""

    # Tasks

    def check(self, part: Part) -> None:
        """Refuse data that cannot be divided into tasks, have no labels, or no sample rate where `seconds` asks for one."""
        ClassTasks.divided(part.collection)
        label_of(part)
        if self.config.seconds is not None:
            _rate(part)

    def tasks(self, train: Part) -> Sequence[Part]:
        return ClassTasks.divided(train.collection).parts(self.labelled(train))

    def labelled(self, train: Part) -> Part:
        """The samples with a label where classes are said; where texts are, all of them."""
        return train.known(label_of(train)) if self.config.answer == "class" else train

    def rehearsed(self, part: Part) -> Part:
        """What a task is trained on; default its own part."""
        return part

    def answered(self, rehearsed: Part) -> Part:
        """What answers are asked of in a task; default what it is trained on."""
        return rehearsed

    def prepare(self, model: Model, rehearsed: Part, context: Context) -> None:
        """Make what a task needs once, before its first batch or the first after a resumption; default nothing.

        When training is resumed the model has the weights of the checkpoint already; a teacher is taken in `begin`.
        """

    def batches(self, model: Model, part: Part, context: Context) -> Batches:
        rehearsed = self.rehearsed(part)
        self.answer.begin(model, self.answered(rehearsed))
        self.prepare(model, rehearsed, context)
        return sequence_batches(
            rehearsed,
            encoder=model.encoder,
            context=context,
            batch_size=self.config.batch_size,
            columns=self.columns(part),
            sampler=self.sampler(rehearsed, context),
        )

    def costs(self, model: Model, task: int, part: Part) -> Mapping[str, int]:
        """Samples that were trained on and that are kept, and parameters of the model and of a teacher."""
        return {
            "new_samples": len(part),
            "old_samples": 0,
            "kept_samples": 0,
            "kept_bytes": 0,
            "parameters": parameters_in(model),
            "teacher_parameters": 0,
        }

    def columns(self, part: Part) -> tuple[str, ...]:
        """Codes that batches carry."""
        return (label_of(part),)

    def sampler(self, part: Part, context: Context) -> Sampler | None:
        """How batches are drawn; default uniformly (none), or by length within `seconds`."""
        steps = self.padded_steps(part, context)
        if steps is None:
            return None
        return Buckets(part.lengths, steps=steps, batch_size=self.config.batch_size, seed=context.seed)

    def padded_steps(self, part: Part, context: Context) -> int | None:
        """The most steps of a batch with its padding, where `seconds` bounds it. Raises `DataInvalid` in several processes."""
        if self.config.seconds is None:
            return None
        if context.world_size > 1:
            message = "batches of similar length cannot be shared evenly among several processes"
            remedy = "Train in one process, or bound batches by `batch_size` alone."
            raise DataInvalid([Problem(message, path="seconds", remedy=remedy)])
        return max(1, round(self.config.seconds * _rate(part)))

    def schedulers(self, optimisers: Mapping[str, Optimizer], steps: int) -> Mapping[str, LRScheduler]:
        return schedules(optimisers, schedule=self.config.schedule, warm_up=self.config.warm_up, steps=steps)

    # Steps

    def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        yield Update("model", self.terms(model, batch, context))

    def terms(self, model: Model, batch: Batch, context: Context) -> Mapping[str, Float[Tensor, ""]]:
        """The terms of the loss; default the cross entropy of all samples of the batch."""
        return {"loss": self.answer.loss(self.heard(model, batch, context))}

    def heard(self, model: Model, batch: Batch, context: Context) -> Heard:
        """What the model makes of a changed view of a batch."""
        self.answer.step(context)
        return self.answer.heard(model, batch, self.view(batch, context))

    def view(self, batch: Batch, context: Context) -> View:
        """A batch after the `views`."""
        return changed_view(batch, self._views, context.own_generator("views"))


def label_of(part: Part) -> str:
    """The column of classes of a part. Raises `DataInvalid` without one."""
    label = part.collection.label
    if label is None:
        raise DataInvalid([Problem("no column holds the classes", "label", remedy="Name it with `label:`.")])
    return label


def parameters_in(model: Model) -> int:
    """How many weights a model has."""
    return sum(parameter.numel() for parameter in model.parameters())


def _rate(part: Part) -> float:
    rate = part.collection.rate
    if rate is None:
        message = "batches are bounded in seconds, and the data have no sample rate"
        raise DataInvalid([Problem(message, "seconds", remedy="Bound them by `batch_size`, or give `rate:`.")])
    return rate
