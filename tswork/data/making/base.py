"""The interface of makers: data sets that are computed, with a ground truth that real ones lack."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tswork.config import Config
from tswork.data.collection import Collection

C = TypeVar("C", bound=Config)


@dataclass(frozen=True, eq=False)
class Made:
    """A data set that was made, and what is known of it because it was; plain data that JSON can hold."""

    collection: Collection
    truth: Mapping[str, Any]


class Maker(ABC, Generic[C]):
    """Makes one kind of data set. Equal options give equal values."""

    def __init__(self, config: C) -> None:
        self.config = config

    @abstractmethod
    def make(self) -> Made:
        """The set. Sound is int16 with one channel; the table has a unique column `id`."""
