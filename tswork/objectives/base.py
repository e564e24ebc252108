"""The interfaces of objectives: of two views of a batch, and of one set of vectors with their classes.

A paper that changes only the loss adds one file here: its pure function, a config, and a class that calls the function. It is
registered as `objective` where it takes two views (the method `contrastive`; the class says what it needs: frames or vectors,
labels, a queue, batches of its own make-up), as `labelled_objective` where it takes vectors and classes (`supervised`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Generic, Literal, TypeVar

from jaxtyping import Float, Int
from torch import Tensor, nn

from tswork.config import Config
from tswork.data.collection import Part
from tswork.data.samplers import Sampler

C = TypeVar("C", bound=Config)

Divisor = Callable[[Int[Tensor, ""]], Tensor]
"""What a sum over so many is divided by. Several processes may share the number (`tswork.training.distributed.of_all`)."""


def at_least_one(count: Int[Tensor, ""]) -> Tensor:
    """The number itself, and 1 for none, so that an empty mean is 0."""
    return count.clamp(min=1)


class Objective(ABC, Generic[C]):
    """A loss of two views of a batch."""

    level: ClassVar[Literal["sequence", "frame"]] = "sequence"
    """Whether it compares one vector a sequence, `(batch, dim)`, or every frame, `(batch, frame, dim)`."""
    takes_queue: ClassVar[bool] = False
    """Whether it can use further negatives."""
    needs_labels: ClassVar[bool] = False
    """Whether it is told the class of each sequence."""

    def __init__(self, config: C) -> None:
        self.config = config

    @abstractmethod
    def __call__(
        self,
        z1: Float[Tensor, "batch *frame_dim"],
        z2: Float[Tensor, "batch *frame_dim"],
        *,
        lengths: Int[Tensor, "batch"] | None = None,
        labels: Int[Tensor, "batch"] | None = None,
        negatives: Float[Tensor, "queue dim"] | None = None,
    ) -> Float[Tensor, ""]:
        """The loss, in float32 or wider whatever the type of the views and also under autocast.

        `lengths` are the real frames of each sequence, for the level `frame` (None: all are real); `labels` its class (-1:
        unknown), where `needs_labels`; `negatives` the queue, where `takes_queue`.
        """

    def sampler(self, part: Part, *, label: str | None, batch_size: int, seed: int) -> Sampler | None:
        """Which sequences make up a batch, for an objective that cares (so many of a class, pairs of a patient); None: any."""
        return None


@dataclass(frozen=True)
class LabelledLoss:
    """A loss, and what is recorded beside it: shares of pairs, triplets or anchors that count."""

    loss: Float[Tensor, ""]
    observed: Mapping[str, Float[Tensor, ""]] = field(default_factory=dict)


class LabelledObjective(ABC, Generic[C]):
    """A loss of vectors and their classes; vectors of one class, whatever clip or view they come from, are positives."""

    def __init__(self, config: C) -> None:
        self.config = config

    def class_weights(self, classes: int, dim: int) -> nn.Module | None:
        """What it trains itself, drawn from torch's global generator; None: nothing."""
        return None

    @abstractmethod
    def __call__(
        self, z: Float[Tensor, "row dim"], labels: Int[Tensor, "row"], *, weights: nn.Module | None = None
    ) -> LabelledLoss:
        """The loss, in float32 or wider whatever the type of the vectors and also under autocast.

        Rows of unknown class (-1) take no part. Without anything to compare the loss is 0, with a gradient of zeros. `weights`
        is what `class_weights` gave.
        """
