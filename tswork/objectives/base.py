"""The interface of objectives that the method `contrastive` takes: two views in, a loss out.

A paper that changes only the loss adds one file here: its pure function, a config, and a class registered as `objective`
that says what it needs (frames or vectors, labels, a queue, batches of its own make-up) and calls the function.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, Literal, TypeVar

from jaxtyping import Float, Int
from torch import Tensor

from tswork.config import Config
from tswork.data.collection import Part
from tswork.data.samplers import Sampler

C = TypeVar("C", bound=Config)


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
