"""The interface of decoders: from one recording's file to its values, and to what its file tells without them.

A decoder is chosen by the suffix of the file. Formats that know a rate, names or a length in a header (medical records, sound)
give them in `outline` without reading values, so that checks and plans stay cheap.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np
from jaxtyping import Float32, Int16, Int64

from tswork.config import Config
from tswork.registry import Component, components

if TYPE_CHECKING:
    from tswork.data.spec import DataOptions

C = TypeVar("C", bound=Config)


@dataclass(frozen=True)
class Outline:
    """What is known of a recording: channels as the data block calls them, samples a second, time steps (None: not told),
    and the unit of each channel (empty: not told).

    A decoder that resamples and mixes tells what it gives, and in `file_rate` and `file_channels` what it found.
    """

    channels: tuple[str, ...]
    rate: float | None = None
    length: int | None = None
    units: tuple[str, ...] | None = None
    file_rate: float | None = None
    file_channels: int | None = None
    shortest: int = 0
    """Steps that a piece of it needs to be of use."""


@dataclass(frozen=True, eq=False)
class Recording:
    """One recording: float32 values, or int16 sound samples as they are (full scale 32768, scaled when a batch is drawn)."""

    values: Float32[np.ndarray, "time channel"] | Int16[np.ndarray, "time channel"]
    channels: tuple[str, ...]
    rate: float | None = None
    times: Int64[np.ndarray, "time"] | None = None
    """Stamps in nanoseconds since 1970, where the file has them."""
    units: tuple[str, ...] | None = None
    notes: Mapping[str, int] = field(default_factory=dict)
    """What its user should know, such as `samples beyond full scale were clipped`, and how often it was so."""
    file_rate: float | None = None
    file_channels: int | None = None
    shortest: int = 0
    kept: tuple[str, int] | None = None
    """The entry of the store that its values are mapped from, and the first step there."""

    @property
    def outline(self) -> Outline:
        """What is known of it."""
        found = (self.file_rate, self.file_channels, self.shortest)
        return Outline(self.channels, self.rate, len(self.values), self.units, *found)


class Decoder(ABC, Generic[C]):
    """Reads the files of some suffixes, one recording a file. `options` are those that every data block has."""

    suffixes: ClassVar[tuple[str, ...]]
    kept: ClassVar[tuple[str, ...] | None] = None
    """Options of the data block that values depend on, for a decoder whose recordings (one channel of int16) are decoded once
    and kept in the store; None: recordings are read from their files every time."""

    def __init__(self, config: C) -> None:
        self.config = config

    def companions(self, path: Path) -> Sequence[Path]:
        """Other files that belong to the recording and whose content counts as the recording's own. Raises `DataInvalid`."""
        return ()

    def names(self, options: DataOptions) -> tuple[str, ...]:
        """Channels of every recording, as the data block calls them; only of decoders whose recordings are kept."""
        return ()

    @abstractmethod
    def outline(self, path: Path, options: DataOptions) -> Outline:
        """Channels, and rate and length where they can be had without reading all values. Raises `DataInvalid`."""

    @abstractmethod
    def read(self, path: Path, options: DataOptions) -> Recording:
        """The whole recording. Raises `DataInvalid` with all faults of the file, each with its line where there are lines."""


def called(names: Sequence[str], options: DataOptions) -> tuple[str, ...]:
    """Names of channels as the data block calls them (`columns: {ours: theirs}`)."""
    ours = {theirs: our for our, theirs in options.columns.items()}
    return tuple(ours.get(name, name) for name in names)


def numbered(width: int) -> list[str]:
    """Names of channels that have none."""
    return [f"channel_{number}" for number in range(width)]


def decoders_by_suffix() -> dict[str, Component]:
    """All decoders that are there, by the suffixes they read."""
    known: dict[str, Component] = {}
    for component in components("decoder"):
        kind: Any = component.target
        known.update(dict.fromkeys(kind.suffixes, component))
    return known


def suffix_of(path: Path, known: Collection[str]) -> str:
    """The suffix of a file in small letters: the last two parts (`.csv.gz`) where that is a known one, else the last."""
    parts = path.name.lower().split(".")
    both = "." + ".".join(parts[-2:])
    return both if both in known else f".{parts[-1]}"
