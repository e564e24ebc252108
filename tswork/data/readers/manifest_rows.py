"""The rows of a manifest: the file and the decoder of each, and rows that are left out because they cannot be used."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from tswork.data.faults import MAX_SHOWN, each, refuse
from tswork.data.files import find_file
from tswork.data.places import Places
from tswork.data.readers.decoders.base import decoders_by_suffix, suffix_of
from tswork.data.readers.listing import PATH, ROOT, Listing, line_of
from tswork.data.tables import Table
from tswork.errors import DataInvalid, Problem
from tswork.registry import Component

T = TypeVar("T")


@dataclass(frozen=True)
class Finding:
    """How files of rows are found."""

    repeated: bool = False
    """Several rows may name one file."""
    strict: bool = False
    """Files have to lie below the manifest's folder or a data root."""
    skip_bad: bool = False
    """Rows whose file cannot be used are left out."""


@dataclass(frozen=True)
class Rows:
    """A manifest with the file of every row and the name of its decoder."""

    table: Table
    paths: list[str]
    files: list[Path]
    names: list[str]
    components: tuple[Component, ...]
    left_out: tuple[tuple[str, str, str], ...] = ()
    """Of rows that are left out: where they stand, the path they name, and what is wrong with it."""
    sources: tuple[Path, ...] = ()
    """The files that the rows were read from."""

    @staticmethod
    def of(listing: Listing, places: Places, how: Finding, more: Sequence[Problem] = ()) -> Rows:
        """Finds all files in the listing's folder or below the data roots.

        Raises `DataInvalid` for files that are not there, that no decoder reads, that are named twice, or that lie elsewhere,
        unless such rows are to be left out; with `more` that is wrong with the table.
        """
        table, places = listing.table, places.moved(listing.folder)
        cells = table.frame[PATH]
        paths = ["" if missing else str(cell).strip() for cell, missing in zip(cells, cells.isna(), strict=True)]
        known = decoders_by_suffix()
        files: list[Path] = []
        names: list[str] = []
        first: dict[Path, int] = {}
        faults: dict[int, tuple[str, str]] = {}
        for row, text in enumerate(paths):
            file, fault = _find(f"{text.removeprefix(ROOT)}{listing.suffix}" if text else "", places)
            remedy = ""
            ending = suffix_of(file, known) if file is not None else ""
            if file is not None and how.strict and not _inside(file, places):
                fault = "lies outside the manifest's folder and the data roots, which `strict_paths` forbids"
            elif file is not None and ending not in known:
                fault, remedy = f"no decoder reads files ending in {ending!r}", f"Known: {', '.join(sorted(known))}."
            elif file is not None and first.setdefault(file, row) != row and not how.repeated:
                fault = f"names the recording of {line_of(table, first[file])} again"
                remedy = "Remove one of the two, or give `cut:` to read pieces of recordings."
            if fault:
                faults[row] = (fault, remedy)
            files.append(file or Path())
            names.append(known[ending].name if ending in known else "")
        used = {one.name: one for one in known.values() if one.name in set(names)}
        rows = Rows(table, paths, files, names, tuple(used.values()), sources=listing.sources)
        if how.skip_bad:
            refuse(more)
            return rows.without({row: fault for row, (fault, _) in faults.items()})
        told = [(row, *said) for row, said in faults.items()]
        refuse([*each(told, lambda one: rows.problem(*one), rest="rows with such faults"), *more])
        return rows

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.files)

    def without(self, bad: Mapping[int, str]) -> Rows:
        """The rows without some, which are left out for a reason. Raises `DataInvalid` when none is left."""
        if not bad:
            return self
        told = [(str(self.table.at(row)), self.paths[row], why) for row, why in sorted(bad.items())]
        kept = [row for row in range(len(self)) if row not in bad]
        if not kept:
            remedy = f"The first of them: {self.problem(min(bad), bad[min(bad)], '')}"
            raise DataInvalid(
                [Problem("no recording is left: none can be used", location=self.table.head, remedy=remedy)]
            )
        paths, files, names = ([of[row] for row in kept] for of in (self.paths, self.files, self.names))
        used = tuple(one for one in self.components if one.name in set(names))
        left_out = (*self.left_out, *told)
        return Rows(self.table.only(kept), paths, files, names, used, left_out, self.sources)  # type: ignore[arg-type]

    def of_files(self, files: Collection[Path]) -> list[int]:
        """Rows that name one of some files."""
        return [row for row, file in enumerate(self.files) if file in files]

    def problem(self, row: int, message: str, remedy: str) -> Problem:
        """A problem of one recording, placed at its row."""
        return Problem(message, self.paths[row] or PATH, self.table.at(row), remedy)

    def placed(self, row: int, problem: Problem) -> Problem:
        """A decoder's problem: where it has a line of its own it stays there, else it stands at the recording's row."""
        if problem.location is not None and problem.location.line is not None:
            return problem
        path = ", ".join(one for one in (self.paths[row], problem.path) if one)
        return Problem(problem.message, path, self.table.at(row), problem.remedy)

    def placed_all(self, broken: Mapping[Path, Sequence[Problem]]) -> list[Problem]:
        """The faults of files at the first row of each; of very many files they are counted."""
        row_of = {file: row for row, file in reversed(list(enumerate(self.files)))}
        ordered = sorted(broken, key=lambda file: row_of[file])
        faults = [self.placed(row_of[file], problem) for file in ordered[:MAX_SHOWN] for problem in broken[file]]
        if len(ordered) > MAX_SHOWN:
            faults.append(Problem(f"and {len(ordered) - MAX_SHOWN} more recordings that cannot be read"))
        return faults

    def without_files(self, broken: Mapping[Path, Sequence[Problem]]) -> Rows:
        """The rows without those that name a file that cannot be used."""
        return self.without({row: _reason(broken[self.files[row]]) for row in self.of_files(broken.keys())})

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


def _reason(problems: Sequence[Problem]) -> str:
    return "; ".join(str(replace(one, location=None, remedy="")) for one in problems)


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


def _inside(file: Path, places: Places) -> bool:
    """Whether a file, links followed, lies below the manifest's folder or a data root."""
    real = file.resolve()
    return any(real.is_relative_to(folder.resolve()) for folder in (places.beside, *places.data_folders))
