"""What lists recordings, in one canonical form: a table with a row a recording, and the file and decoder of every row.

| column | meaning |
| --- | --- |
| `path` | the file: relative to the listing's folder, below a data root, or absolute; `{root}` stands for the folder |
| `id` | unique; by default the path |
| `split` | train, validation or test, for `split: {by: official}` |
| `start`, `duration` | seconds of a piece inside the file; else the whole file |

Every other column (`label`, `speaker`, `location`, `item`, `text`, `lat`, `lon`, ...) is kept as it is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from tswork.data.faults import each, refuse
from tswork.data.files import find_file
from tswork.data.places import Places
from tswork.data.readers.canonical import table_problems
from tswork.data.readers.decoders.base import decoders_by_suffix, suffix_of
from tswork.data.spec import DataOptions
from tswork.data.tables import Table
from tswork.errors import DataInvalid, Location, Problem
from tswork.registry import Component

PATH = "path"
ID = "id"
ROOT = "{root}/"


@dataclass(frozen=True, eq=False)
class Placed(Table):
    """A table whose rows come from several files, or from lines that do not follow one another."""

    places: Sequence[Location] = ()

    def at(self, row: int) -> Location:
        """Where a row stands."""
        return self.places[int(row)]


@dataclass
class Gathered:
    """Rows of a listing with the place of each, before they become a table."""

    rows: list[Mapping[str, Any]] = field(default_factory=list)
    places: list[Location] = field(default_factory=list)

    def add(self, row: Mapping[str, Any], place: Location) -> None:
        """One more row."""
        self.rows.append(row)
        self.places.append(place)

    def table(self, path: Path, *, columns: Mapping[str, str]) -> Table:
        """All rows as a table, columns renamed (`our name: name there`); cells that a row lacks are missing.

        Raises `DataInvalid` when there are no rows.
        """
        if not self.rows:
            raise DataInvalid([Problem("lists no recordings", location=Location(str(path)))])
        frame = pd.DataFrame(self.rows).rename(columns={theirs: ours for ours, theirs in columns.items()})
        return Placed(path, frame, list, self.places)


@dataclass(frozen=True, eq=False)
class Listing:
    """The canonical table of a set of recordings, the folder its relative paths start from, and the files it was read from."""

    table: Table
    folder: Path
    sources: tuple[Path, ...]
    suffix: str = ""
    """What every path lacks at its end."""


@dataclass(frozen=True)
class Rows:
    """A listing with the file of every row and the name of its decoder."""

    table: Table
    paths: list[str]
    files: list[Path]
    names: list[str]
    components: tuple[Component, ...]
    sources: tuple[Path, ...] = ()

    @staticmethod
    def of(listing: Listing, options: DataOptions, places: Places, *, repeated: bool) -> Rows:
        """Finds all files in the listing's folder or below the data roots; `repeated`: several rows may name one file.

        Raises `DataInvalid` for files that are not there, that no decoder reads, or that are named twice, and for what is wrong
        with the table (ids, words of the column `split`, classes that nothing trains).
        """
        table, moved = listing.table, places.moved(listing.folder)
        cells = table.frame[PATH]
        paths = ["" if missing else str(cell).strip() for cell, missing in zip(cells, cells.isna(), strict=True)]
        known = decoders_by_suffix()
        files: list[Path] = []
        names: list[str] = []
        first: dict[Path, int] = {}
        faults: list[tuple[int, str, str]] = []
        for row, text in enumerate(paths):
            file, fault = _find(f"{text.removeprefix(ROOT)}{listing.suffix}" if text else "", moved)
            if file is None:
                faults.append((row, fault, ""))
                continue
            ending = suffix_of(file, known)
            if ending not in known:
                faults.append(
                    (row, f"no decoder reads files ending in {ending!r}", f"Known: {', '.join(sorted(known))}.")
                )
                continue
            if first.setdefault(file, row) != row and not repeated:
                again = f"names the recording of line {table.at(first[file]).line} again"
                faults.append((row, again, "Remove one of the two, or give `cut:` to read pieces of recordings."))
            files.append(file)
            names.append(known[ending].name)
        used = {one.name: one for one in known.values() if one.name in set(names)}
        rows = Rows(table, paths, files, names, tuple(used.values()), listing.sources)
        told = each(faults, lambda one: rows.problem(*one), rest="rows with such faults")
        refuse([*told, *table_problems(table, options)])
        return rows

    def problem(self, row: int, message: str, remedy: str) -> Problem:
        """A problem of one recording, placed at its row."""
        return Problem(message, self.paths[row] or PATH, self.table.at(row), remedy)

    def placed(self, row: int, problem: Problem) -> Problem:
        """A decoder's problem: where it has a line of its own it stays there, else it stands at the recording's row."""
        if problem.location is not None and problem.location.line is not None:
            return problem
        path = ", ".join(one for one in (self.paths[row], problem.path) if one)
        return Problem(problem.message, path, self.table.at(row), problem.remedy)


def _find(text: str, places: Places) -> tuple[Path | None, str]:
    """The file of a row, or what is wrong with it."""
    if not text:
        return None, "the row names no file"
    beside = os.path.join(places.beside, text)
    if os.path.isfile(beside):
        return Path(beside), ""
    try:
        return find_file(Path(text), places), ""
    except DataInvalid as fault:
        if any("environment" in one.message or "folder" in one.message for one in fault.problems):
            return None, fault.problems[0].message
        return None, "there is no such file beside the manifest or below a data root"
