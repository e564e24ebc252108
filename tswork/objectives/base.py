"""The interface of objectives that the method `contrastive` takes: two views in, a loss out.

A paper that changes only the loss adds one file here: its pure function, a config, and a class registered as `objective`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, Literal, TypeVar

from jaxtyping import Float, Int
from torch import Tensor

from tswork.config import Config

C = TypeVar("C", bound=Config)


class Objective(ABC, Generic[C]):
    """A loss of two views of a batch."""

    level: ClassVar[Literal["sequence", "frame"]] = "sequence"
    """Whether it compares one vector a sequence, `(batch, dim)`, or every frame, `(batch, frame, dim)`."""
    takes_queue: ClassVar[bool] = False
    """Whether it can use further negatives."""
    needs_labels: ClassVar[bool] = False

    def __init__(self, config: C) -> None:
        self.config = config

    @abstractmethod
    def __call__(
        self,
        z1: Float[Tensor, "batch *frame_dim"],
        z2: Float[Tensor, "batch *frame_dim"],
        *,
        labels: Int[Tensor, "batch"] | None = None,
        negatives: Float[Tensor, "queue dim"] | None = None,
    ) -> Float[Tensor, ""]:
        """The loss, at least in float32."""
