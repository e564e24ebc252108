"""The interface of preparations: steps between reading and splitting, or fitted on training data only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

from tswork.config import Config
from tswork.data.collection import Collection, Part

C = TypeVar("C", bound=Config)


class Preparation(ABC, Generic[C]):
    """One step of `prepare:`; collections go in and come out, nothing is changed in place."""

    fitted: ClassVar[bool] = False
    """Whether `fit` must see the training part first; such steps come after all steps that change sequences."""

    def __init__(self, config: C) -> None:
        self.config = config

    def fit(self, train: Part) -> None:
        """Learn what the step needs from the training part alone."""

    @abstractmethod
    def apply(self, collection: Collection) -> Collection:
        """The prepared collection; table columns that name labels and groups are kept for every new sequence."""
