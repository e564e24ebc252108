"""The interface of all training recipes.

A method joins an encoder, views, objectives and a sampler. It says how to build a model, which batches to draw, which
optimisers to use and what one step computes; the loop in `tswork.training` does everything else (backward, finite check,
step, averaging, checkpoints, recording). Methods know neither files nor MLflow.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, TypeVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from tswork.config import ADDED_LATER, Config, Configured
from tswork.context import Context
from tswork.data.batches import Batch, Batches, Crop
from tswork.data.collection import DataInfo, Part
from tswork.data.samplers import EqualLength, Sampler, Uniform
from tswork.encoders.base import Encoder
from tswork.encoders.lengths import check_lengths
from tswork.errors import DataInvalid, ModelUnfit, Problem
from tswork.methods.model import Model
from tswork.methods.values import check_values
from tswork.random import derive, generator, seeded
from tswork.training.optimisers import AdamW
from tswork.wording import counted, worded

Averaging = Literal["none", "mean"]

SMALL = 100_000
"""Training values up to which `steps_by_size` gives the smaller budget."""


@dataclass(frozen=True)
class Update:
    """One optimiser step that a method asks the loop to make: the sum of `terms` is minimised.

    A method that yields several updates a step sees the parameters already changed when it goes on after a yield.
    `observed` values are recorded beside the terms and do not take part in the sum. `change` is called between the backward
    pass and the step, when the parameters have their gradients (the mean over all processes, not clipped yet): it may change
    them in place, alike in every process, and what it returns is recorded as what is observed.
    """

    optimiser: str
    terms: Mapping[str, Float[Tensor, ""]]
    observed: Mapping[str, Float[Tensor, ""]] | None = None
    change: Callable[[], Mapping[str, Float[Tensor, ""]]] | None = None

    @property
    def loss(self) -> Float[Tensor, ""]:
        """The sum of the terms."""
        return torch.stack(list(self.terms.values())).sum()


class MethodConfig(Config):
    """Options that every method has: its encoder and its budget."""

    batch_size: int = Field(default=16, ge=1, description="sequences a batch; reduced to the number there are")
    epochs: int | None = Field(default=None, ge=1, description="passes over the training part")
    iterations: int | None = Field(
        default=None, ge=1, description="optimiser steps; stops at this or at `epochs`, whichever is first"
    )
    learning_rate: float = Field(default=1e-3, gt=0, description="learning rate of AdamW")
    encoder_learning_rate: float | None = Field(
        default=None,
        gt=0,
        json_schema_extra=ADDED_LATER,
        description="learning rate of the encoder (of what a checkpoint gave, where one did); none: `learning_rate`",
    )
    weight_decay: float = Field(default=0.01, ge=0, description="decoupled weight decay of AdamW")
    clip_gradient: float | None = Field(
        default=None, gt=0, description="largest norm of the gradient; none: not clipped"
    )
    averaging: Averaging = Field(
        default="none", description="weights that are judged: the last, or the mean of all since initialisation"
    )
    validate_every: int | None = Field(
        default=None, ge=1, description="steps from one validation to the next; none: after every epoch"
    )
    patience: int | None = Field(
        default=None, ge=1, description="stop after this many validations without improvement; none: never"
    )


C = TypeVar("C", bound=MethodConfig)


class Method(ABC, Generic[C]):
    """A training recipe. `build` alone gives the control `random` (`as_loaded` where an encoder starts from a checkpoint)."""

    provides: ClassVar[frozenset[str]] = frozenset({"embed"})
    """What its models can do, known before one is built, so that a plan can refuse a protocol that asks for more."""

    @classmethod
    def provided(cls, config: C) -> frozenset[str]:
        """The same for some options."""
        return cls.provides

    @classmethod
    def answers_by(cls, config: C) -> tuple[object, ...]:
        """The options on which depends what an untrained model answers by its own heads, its encoder aside; default none."""
        return ()

    monitor: str | None = None
    """Name of the validation score that selects the best checkpoint and stops early (greater is better); None: neither."""

    def __init__(self, config: C) -> None:
        self.config = config

    @abstractmethod
    def build(self, info: DataInfo, *, generator: torch.Generator) -> Model:
        """An untrained model; equal generators give equal weights. Raises `ModelUnfit` when the data do not suit."""

    @abstractmethod
    def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        """The updates of one step, in order; draws come from `context.generator(purpose)`."""

    def check(self, part: Part) -> None:
        """Refuse a training part that does not suit (no such column, too few patients). Raises `DataInvalid`.

        Called when a plan is checked, before any stage trains, and again before the first step of each task. Default: a part in which
        no target ever changes has nothing to learn. (One without any sequence gives no batch, which is told where batches are made.)
        """
        if len(part):
            check_values(part)

    def monitored(self, task: int) -> str | None:
        """The validation score that selects the best checkpoint of a task; default: `monitor` in every one."""
        return self.monitor

    def tasks(self, train: Part) -> Sequence[Part]:
        """The training part as a sequence of tasks; continual methods return several and one model results from each."""
        return (train,)

    def begin(self, model: Model, task: int, part: Part, context: Context) -> None:
        """Called before the first step of a task (snapshot a teacher, grow a head).

        A resumed training calls it again for every task up to the one it resumes in, each time with the weights that the
        task began with, so that the model has its shape before the weights of the checkpoint are put back.
        """

    def finish(self, model: Model, task: int, part: Part, context: Context) -> None:
        """Called after the last step of a task with the weights that are judged (fill a memory)."""

    def costs(self, model: Model, task: int, part: Part) -> Mapping[str, int]:
        """What a task cost beside time and steps, by name, asked after `finish`; default nothing, and no table `cost` is recorded."""
        return {}

    def batches(self, model: Model, part: Part, context: Context) -> Batches:
        """The batches of one task; default: whole sequences, as `sequence_batches` gives them."""
        return sequence_batches(part, encoder=model.encoder, context=context, batch_size=self.config.batch_size)

    def steps(self, part: Part, batches: Batches) -> int:
        """Optimiser steps of one task: the smaller of `epochs` and `iterations`."""
        found = budget(batches, epochs=self.config.epochs, iterations=self.config.iterations)
        return self.default_steps(part, batches) if found is None else found

    def default_steps(self, part: Part, batches: Batches) -> int:
        """Optimiser steps when neither `epochs` nor `iterations` is set."""
        return 200

    def average_after(self, steps: int) -> int:
        """With `averaging: mean`, how many of the weights a task goes through (the initial ones first) are left out of the mean."""
        return 0

    def optimisers(self, model: Model) -> Mapping[str, Optimizer]:
        """Named optimisers over the model's parameters. Raises `ModelUnfit` when there is nothing to train."""
        groups = parameter_groups(model, self.config)
        return {"model": AdamW(groups, lr=self.config.learning_rate, weight_decay=self.config.weight_decay)}

    def schedulers(self, optimisers: Mapping[str, Optimizer], steps: int) -> Mapping[str, LRScheduler]:
        """Learning-rate schedules by the name of their optimiser, stepped after each of its steps; default none."""
        return {}

    def views(self, model: Model, batch: Batch, context: Context) -> tuple[Tensor, Tensor] | None:
        """Embeddings `(batch, dim)` of two views of each sequence, for the health panel; None: there are no views.

        Must leave the model as it is; called in evaluation mode and without gradients.
        """
        return None

    def health(self, model: Model, batch: Batch, context: Context) -> Mapping[str, Tensor]:
        """Further scalars of the health panel, by name; called as `views` is, and read later."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """State that is not in the model's modules (better: keep it there); tensors, numbers, text and containers."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` gave."""

    def validate(self, model: Model, validation: Part, context: Context) -> Mapping[str, float]:
        """Scores on the validation part after an epoch; a method without any returns nothing and trains to the end.

        Called in evaluation mode and without gradients, with the weights that would be judged.
        """
        return {}


def budget(batches: Batches, *, epochs: int | None, iterations: int | None) -> int | None:
    """Steps of so many epochs, or so many steps where those are fewer; None without either."""
    by_epochs = sum(batches.steps(epoch) for epoch in range(epochs)) if epochs else None
    limits = [limit for limit in (by_epochs, iterations) if limit is not None]
    return min(limits, default=None)


def sequence_batches(
    part: Part,
    *,
    encoder: Encoder,
    context: Context,
    batch_size: int,
    drop_last: bool = False,
    columns: tuple[str, ...] = (),
    sampler: Sampler | None = None,
    crop: Crop | None = None,
) -> Batches:
    """Batches of whole sequences, or of random crops of them, that the encoder can take, shared among the processes.

    Sequences are drawn uniformly, or by equal length where padding would change a result. Several processes get equally
    many rows each; a smaller rest is then dropped. Raises `ModelUnfit` when the encoder cannot take such sequences.
    """
    name, several = type(encoder).__name__, context.world_size > 1
    lengths = part.lengths if crop is None else part.lengths.clamp(max=crop.length)
    longest = int(lengths.max()) if len(part) else 0
    if encoder.max_length is not None and longest > encoder.max_length:
        reason = f"takes at most {counted(encoder.max_length, 'step')}, and the longest sequence has {longest}"
        raise ModelUnfit(name, reason, "Cut the data with the preparation `segment`, or use another encoder.")
    check_lengths(encoder, part)
    if crop is not None and crop.length < encoder.min_length:
        reason = f"needs {counted(encoder.min_length, 'step')} for one frame, and crops have {crop.length}"
        raise ModelUnfit(name, reason, "Crop longer pieces.")
    padded = bool((lengths != longest).any()) and not encoder.padding_invariant
    if padded and (several or sampler is not None):
        reason = "padding changes its results, and batches of one length cannot be had "
        reason += "in several processes" if several else "with the sampler that the objective asks for"
        raise ModelUnfit(name, reason, "Cut the data with the preparation `segment`, or use another encoder.")
    if sampler is not None and sampler.batch_size % context.world_size:
        reason = f"batches of {counted(sampler.batch_size, 'sequence')} cannot be shared among {context.world_size} processes"
        raise DataInvalid([Problem(reason, path="train", remedy="Choose a multiple of the processes.")])
    size, seed = shared_batch_size(batch_size, len(part), context), context.seed
    if padded:
        sampler = EqualLength(lengths, batch_size=size, seed=seed)
    elif sampler is None:
        sampler = Uniform(len(part), batch_size=size, seed=seed, drop_last=drop_last or several)
    rank, world_size = context.rank, context.world_size
    return Batches(
        part,
        sampler=sampler,
        crop=crop,
        device=context.device,
        seed=seed,
        columns=columns,
        rank=rank,
        world_size=world_size,
    )


def parameter_groups(
    model: Model, config: MethodConfig, *, only: Sequence[nn.Module] | None = None
) -> list[dict[str, Any]]:
    """What an optimiser trains: one group, or the encoder in another one where it has a learning rate of its own.

    `only` names the parts of the model that are trained; none: all. Weights that an encoder adds to those of its checkpoint count as
    a head's. Raises `ModelUnfit` when nothing of the model is trained.
    """
    parts = [model] if only is None else only
    trained = [parameter for part in parts for parameter in part.parameters() if parameter.requires_grad]
    if not trained:
        remedy = "Give the encoder `train: all`, or use a method with a head of its own."
        raise ModelUnfit(type(model.encoder).__name__, "nothing of the model is trained", remedy)
    if config.encoder_learning_rate is None:
        return [{"params": trained}]
    encoders = [one for one in model.encoder.modules() if isinstance(one, Encoder)]
    slow = {id(parameter) for parameter in model.encoder.parameters()}
    slow -= {id(parameter) for one in encoders for parameter in one.added_weights()}
    groups: list[dict[str, Any]] = [
        {"params": [parameter for parameter in trained if id(parameter) not in slow]},
        {"params": [parameter for parameter in trained if id(parameter) in slow], "lr": config.encoder_learning_rate},
    ]
    return [group for group in groups if group["params"]]


def observed_pieces(part: Part, model: Model, length: int) -> Part:
    """Spans that have steps, cut into pieces of about that many; where values are missing, without ends at which all channels are."""
    pieces = part.pieces(length)
    if not bool((pieces.lengths > 0).all()):
        pieces = Part(pieces.collection, pieces.spans[pieces.lengths > 0])
    return pieces.observed() if model.info.missing else pieces


def has_company(batches: Batches) -> bool:
    """Whether some batch holds two sequences, so that one can be contrasted with another."""
    return any(len(batches.sampler.at(0, step)) > 1 for step in range(batches.steps(0)))


def check_company(batches: Batches) -> None:
    """Refuse training data of which no batch holds two sequences. Raises `DataInvalid`."""
    if batches.steps(0) and not has_company(batches):
        message = "no batch has two sequences, so that there is nothing to contrast one with"
        remedy = "Set `window:` to train on windows of long series, or raise `batch_size`."
        raise DataInvalid([Problem(message, path="train", remedy=remedy)])


def steps_by_size(part: Part) -> int:
    """TS2Vec's budget: 200 steps up to `SMALL` training values (of the array that series are filled up to), else 600."""
    values = len(part) * int(part.lengths.max()) * len(part.collection.channels)
    return 200 if values <= SMALL else 600


def shared_batch_size(batch_size: int, items: int, context: Context) -> int:
    """The batch size, reduced to the items there are and to a multiple of the processes.

    Raises `DataInvalid` when that leaves a process without any.
    """
    size = min(batch_size, items) // context.world_size * context.world_size
    if size == 0 and items > 0:
        given = f"{counted(items, 'sequence')} in batches of {batch_size} {worded(items, 'does', 'do')} not give"
        message = f"{given} each of {context.world_size} processes one"
        raise DataInvalid([Problem(message, path="train", remedy="Train in fewer processes, or on more data.")])
    return size


def build_model(method: Method[Any], info: DataInfo, *, seed: int) -> Model:
    """The untrained model of a method: what training starts from, and the control `random` (or `as_loaded`)."""
    with seeded(derive(seed, "build")):
        return method.build(info, generator=generator(seed, "build"))


def build_encoder(encoder: Configured, info: DataInfo, *, generator: torch.Generator) -> Encoder:
    """An encoder with weights drawn from the generator. Raises `ModelUnfit` when it cannot take such data."""
    with seeded(int(torch.randint(2**62, (), generator=generator))):
        built: Encoder = encoder.build(info)
    return built


def need_classes(info: DataInfo, what: str) -> None:
    """Refuse data that there is nothing to tell apart in. Raises `ModelUnfit` of `what` without two classes."""
    if info.label is None or len(info.classes) < 2:
        has = "no labels" if info.label is None else counted(len(info.classes), "class", "classes")
        raise ModelUnfit(what, f"the data have {has}", "Name a column of at least two classes with `label:`.")
