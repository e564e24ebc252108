"""The interface of readers: from files to a collection."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from tswork.config import Config
from tswork.data.collection import Collection
from tswork.data.places import Places
from tswork.data.readers.decoders.base import Outline
from tswork.registry import Component

if TYPE_CHECKING:
    from tswork.data.spec import DataSpec

C = TypeVar("C", bound=Config)


@dataclass(frozen=True)
class FileOutline:
    """The file of a sequence, and what is known of it from outside (None: it cannot be read)."""

    id: str | None
    """The id of the sequence; None: it is a piece whose id is not known before it is cut."""
    file: Path
    outline: Outline | None


class Reader(ABC, Generic[C]):
    """Reads one layout of files. `spec` carries the options that all readers share (label, groups, target, ...)."""

    tells_rows: ClassVar[bool] = False
    """`inspect` tells of every file that is empty or cannot be read, at the row that names it."""

    def __init__(self, config: C) -> None:
        self.config = config

    @abstractmethod
    def files(self, spec: DataSpec, places: Places) -> Sequence[Path]:
        """All files whose content decides the result, in a fixed order, without reading their values.

        Raises `DataInvalid` when one cannot be found.
        """

    def told(self, spec: DataSpec, places: Places) -> object:
        """What decides the result beside the contents of the files, as plain data: names that become labels, other blocks."""
        return None

    def outlines(self, spec: DataSpec, places: Places) -> Sequence[FileOutline]:
        """The file of every sequence and what its header tells without its values, of readers that read files a sequence."""
        return ()

    def inspect(self, spec: DataSpec, places: Places) -> None:
        """Refuse what is wrong and can be seen without reading values: files, names of columns, headers.

        Raises `DataInvalid` with all of it.
        """
        self.files(spec, places)

    def check_columns(self, spec: DataSpec, places: Places) -> None:
        """The same as far as files of which there may be thousands need not be opened: what a pipeline file is checked by."""
        self.inspect(spec, places)

    def used(self, spec: DataSpec, places: Places) -> Sequence[Component]:
        """Components that the files themselves ask for (decoders); their versions count in the digest of the files."""
        return ()

    @abstractmethod
    def read(self, spec: DataSpec, places: Places) -> Collection:
        """The collection, with all of its faults refused at once as `DataInvalid`."""
