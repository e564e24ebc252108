"""Tables that come from several files, or from no table at all, whose rows still know where they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from tswork.data.faults import refuse
from tswork.data.tables import Table, frame_of
from tswork.errors import DataInvalid, Location, Problem

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class _Placed(Table):
    """A table of rows that were gathered one by one."""

    places: Sequence[Location] = ()

    @property
    def head(self) -> Location:
        """What the rows were gathered from."""
        return Location(str(self.path))

    def at(self, row: int) -> Location:
        """Where a row stands."""
        return self.places[int(row)]

    def only(self, rows: Sequence[int]) -> Table:
        """Some of the rows, which still stand where they stood."""
        frame = self.frame.iloc[list(rows)].reset_index(drop=True)
        return _Placed(self.path, frame, list, [self.places[row] for row in rows])


@dataclass(frozen=True, eq=False)
class _Chained(Table):
    """A table of rows of other tables."""

    pieces: Sequence[Table] = ()
    origins: Sequence[tuple[int, int]] = ()

    @property
    def head(self) -> Location:
        """Where the names of the columns stand: in the one table, else in several below a folder."""
        return self.pieces[0].head if len(self.pieces) == 1 else Location(str(self.path))

    def at(self, row: int) -> Location:
        """Where a row stands in the file it comes from."""
        piece, inside = self.origins[int(row)]
        return self.pieces[piece].at(inside)

    def only(self, rows: Sequence[int]) -> Table:
        """Some of the rows, which still stand where they stood."""
        frame = self.frame.iloc[list(rows)].reset_index(drop=True)
        return _Chained(self.path, frame, list, self.pieces, [self.origins[row] for row in rows])


@dataclass
class Gathered:
    """Rows with the place of each, before they become a table."""

    rows: list[Mapping[str, Any]] = field(default_factory=list)
    places: list[Location] = field(default_factory=list)

    def add(self, row: Mapping[str, Any], place: Location) -> None:
        """One more row."""
        self.rows.append(row)
        self.places.append(place)

    def table(self, path: Path, *, columns: Mapping[str, str]) -> Table:
        """All rows as a table, columns renamed (`our name: name there`); a cell that a row lacks is missing.

        Raises `DataInvalid` when there are no rows.
        """
        frame = frame_of(self.rows).rename(columns={theirs: ours for ours, theirs in columns.items()})
        return _Placed(path, _some(frame, path), list, self.places)


def read_each(paths: Iterable[Path], read: Callable[[Path], T]) -> dict[Path, T]:
    """What is read from every file. Raises `DataInvalid` with the faults of all of them."""
    found: dict[Path, T] = {}
    faults: list[Problem] = []
    for path in paths:
        try:
            found[path] = read(path)
        except DataInvalid as fault:
            faults += fault.problems
    refuse(faults)
    return found


def chained(path: Path, pieces: Sequence[tuple[Table, pd.DataFrame]]) -> Table:
    """Rows of several tables one after another: of each table a frame of some of its rows, whose index are their numbers.

    Raises `DataInvalid` when there are no rows.
    """
    frames = [frame for _, frame in pieces]
    origins = [(number, int(row)) for number, frame in enumerate(frames) for row in frame.index]
    whole = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    return _Chained(path, _some(whole, path), list, [table for table, _ in pieces], origins)


def _some(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    if frame.empty:
        raise DataInvalid([Problem("lists no recordings", location=Location(str(path)))])
    return frame
