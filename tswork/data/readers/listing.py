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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from tswork.data.faults import MAX_SHOWN, each, once, refuse
from tswork.data.files import find_file
from tswork.data.places import Places
from tswork.data.readers.canonical import table_problems
from tswork.data.readers.decoders.base import decoders_by_suffix, suffix_of
from tswork.data.spec import DataOptions
from tswork.data.tables import Table
from tswork.errors import DataInvalid, Location, Problem
from tswork.registry import Component
from tswork.wording import counted

PATH = "path"
ROOT = "{root}/"

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Listing:
    """The canonical table of a set of recordings, the folder its relative paths start from, and the files it was read from."""

    table: Table
    folder: Path
    sources: tuple[Path, ...]
    suffix: str = ""
    """What every path lacks at its end."""
    notes: tuple[str, ...] = ()
    """What its reader left out or decided and whoever uses the set should know."""


@dataclass(frozen=True)
class Rows:
    """A listing with the file of every row and the name of its decoder."""

    table: Table
    paths: list[str]
    files: list[Path]
    names: list[str]
    components: tuple[Component, ...]
    sources: tuple[Path, ...] = ()
    left_out: tuple[tuple[str, str, str], ...] = ()
    """Of rows that are left out: where each stands, the path it names, and what is wrong with it."""
    faults: tuple[Problem, ...] = ()
    """What is wrong with rows that are not here and were not to be left out."""
    notes: tuple[str, ...] = ()
    """Those of the listing."""

    @staticmethod
    def of(
        listing: Listing,
        options: DataOptions,
        places: Places,
        *,
        repeated: bool,
        strict: bool = False,
        skip_bad: bool = False,
    ) -> Rows:
        """Finds all files in the listing's folder or below the data roots; `repeated`: several rows may name one file.

        Files that are not there, that no decoder reads, that are named twice, or with `strict` that lie elsewhere become `faults`,
        or with `skip_bad` are left out. Raises `DataInvalid` when no row is left, and with all of them for what is wrong with the
        table (ids, words of the column `split`, classes that nothing trains).
        """
        table, moved = listing.table, places.moved(listing.folder)
        cells = table.frame[PATH]
        paths = ["" if missing else str(cell).strip() for cell, missing in zip(cells, cells.isna(), strict=True)]
        known = decoders_by_suffix()
        files: list[Path] = []
        names: list[str] = []
        first: dict[Path, int] = {}
        faults: dict[int, tuple[str, str]] = {}
        for row, text in enumerate(paths):
            file, fault = _find(f"{text.removeprefix(ROOT)}{listing.suffix}" if text else "", moved)
            remedy = ""
            ending = suffix_of(file, known) if file is not None else ""
            if file is not None and strict and not _inside(file, moved):
                fault = f"lies outside {listing.folder} and the data roots, which `strict_paths` forbids"
            elif file is not None and ending not in known:
                fault, remedy = f"no decoder reads files ending in {ending!r}", f"Known: {', '.join(sorted(known))}."
            elif file is not None and first.setdefault(file, row) != row and not repeated:
                fault = f"names the recording of {line_of(table, first[file])} again"
                remedy = "Remove one of the two, or give `cut:` to read pieces of recordings."
            if fault:
                faults[row] = (fault, remedy)
            files.append(file or Path())
            names.append(known[ending].name if ending in known else "")
        used = {one.name: one for one in known.values() if one.name in set(names)}
        rows = Rows(table, paths, files, names, tuple(used.values()), listing.sources, notes=listing.notes)
        wrong = [] if skip_bad else rows.row_problems(faults)
        others = table_problems(table, options)
        refuse([*wrong, *others] if others or (wrong and len(faults) == len(rows)) else [])
        found = rows.without({row: fault for row, (fault, _) in faults.items()})
        return found if skip_bad else replace(found, left_out=(), faults=tuple(wrong))

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.files)

    def row_problems(self, faults: Mapping[int, tuple[str, str]]) -> list[Problem]:
        """Problems of rows, from what is wrong and how to mend it."""
        told = [(row, *said) for row, said in faults.items()]
        return list(each(told, lambda one: self.problem(*one), rest="rows with such faults"))

    def without(self, bad: Mapping[int, str]) -> Rows:
        """The rows without some, which are left out for a reason. Raises `DataInvalid` when none is left."""
        if not bad:
            return self
        told = [(_line(self.table.at(row)), self.paths[row], why) for row, why in sorted(bad.items())]
        kept = [row for row in range(len(self)) if row not in bad]
        if not kept:
            first = min(bad)
            remedy = f"The first of them: {self.problem(first, bad[first], '')}"
            text = "no recording is left: none can be used"
            raise DataInvalid([Problem(text, location=self.table.head, remedy=remedy)])
        names = [self.names[row] for row in kept]
        return replace(
            self,
            table=self.table.only(kept),
            paths=[self.paths[row] for row in kept],
            files=[self.files[row] for row in kept],
            names=names,
            components=tuple(one for one in self.components if one.name in set(names)),
            left_out=(*self.left_out, *told),
        )

    def without_files(self, broken: Mapping[Path, Sequence[Problem]]) -> Rows:
        """The rows without those that name a file that cannot be used."""
        bad = {row: _reason(broken[file]) for row, file in enumerate(self.files) if file in broken}
        return self.without(bad)

    def each_file(self, look: Callable[[Path, str], T]) -> tuple[dict[Path, T], dict[Path, Sequence[Problem]]]:
        """What `look` sees in every file (named by its decoder), and the faults of those that it refuses."""
        seen: dict[Path, T] = {}
        broken: dict[Path, Sequence[Problem]] = {}
        for file, name in dict(zip(self.files, self.names, strict=True)).items():
            try:
                seen[file] = look(file, name)
            except DataInvalid as fault:
                broken[file] = fault.problems
        return seen, broken

    def placed_all(self, broken: Mapping[Path, Sequence[Problem]]) -> list[Problem]:
        """The faults of files at the first row of each; of very many files they are counted."""
        row_of = {file: row for row, file in reversed(list(enumerate(self.files)))}
        ordered = sorted(broken, key=lambda file: row_of[file])
        shown = ordered if len(ordered) == len(row_of) else ordered[:MAX_SHOWN]
        faults = once(
            [self.placed(row_of[file], problem) for file in shown for problem in broken[file]],
            of=len(row_of),
            what="recordings",
        )
        if len(faults) > MAX_SHOWN:
            return [*faults[:MAX_SHOWN], Problem(f"and {counted(len(faults) - MAX_SHOWN, 'more fault')} of recordings")]
        if len(ordered) > len(shown):
            faults.append(Problem(f"and {counted(len(ordered) - len(shown), 'more recording')} that cannot be read"))
        return faults

    def problem(self, row: int, message: str, remedy: str) -> Problem:
        """A problem of one recording, placed at its row."""
        return Problem(message, self.paths[row] or PATH, self.table.at(row), remedy)

    def placed(self, row: int, problem: Problem) -> Problem:
        """A decoder's problem: where it has a line of its own it stays there, else it stands at the recording's row."""
        if problem.location is not None and problem.location.line is not None:
            return problem
        path = ", ".join(one for one in (self.paths[row], problem.path) if one)
        return Problem(problem.message, path, self.table.at(row), problem.remedy)


def _line(place: Location) -> str:
    name = Path(place.file).name
    return name if place.line is None else f"{name}:{place.line}"


def _reason(problems: Sequence[Problem]) -> str:
    return "; ".join(str(replace(one, location=None, remedy="")) for one in problems)


def _inside(file: Path, places: Places) -> bool:
    """Whether a file, links followed, lies below the listing's folder or a data root."""
    real = file.resolve()
    return any(real.is_relative_to(folder.resolve()) for folder in (places.beside, *places.data_folders))


def line_of(table: Table, row: int) -> str:
    """Where another row stands, in a few words."""
    line = table.at(row).line
    return f"line {line}" if line is not None else "another row"


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
        missing = "there is no such file beside the manifest or below a data root"
        slashes = "\\" in text and _find(text.replace("\\", "/"), places)[0] is not None
        return None, f"{missing}, but there is one with '/' in place of '\\'" if slashes else missing
