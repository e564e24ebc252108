"""Recordings in files of their own, named by a manifest: a CSV or JSON lines with one row a recording.

The column `path` is relative to the manifest's folder, then to the places of data files; the suffix of each file chooses its
decoder. All other columns become the collection's table. With `cut`, the columns `start` and `stop` take a piece out of each
recording, and pieces of one recording stay together in a split.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
import pandas as pd
import torch
from pydantic import Field

from tswork.config import Config, Configured, FilePath, Many, Uses
from tswork.data.backends import INT16_SCALE
from tswork.data.cells import typed
from tswork.data.channels import column_problems, renaming_problems
from tswork.data.collection import Collection
from tswork.data.faults import MAX_SHOWN, each, fault, refuse
from tswork.data.files import find_file
from tswork.data.leaks import ORIGIN
from tswork.data.places import Places
from tswork.data.readers.agreement import Common, agree
from tswork.data.readers.base import Reader
from tswork.data.readers.cutting import cut_rows
from tswork.data.readers.decoders.base import Decoder, Outline, Recording, decoders_by_suffix, suffix_of
from tswork.data.readers.remarks import gathered
from tswork.data.spec import DataOptions, DataSpec
from tswork.data.tables import Form, Table, read_json_lines, read_table
from tswork.errors import DataInvalid, Problem, did_you_mean
from tswork.registry import Component, register

PATH = "path"
JSON_LINES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")

T = TypeVar("T")


class ManifestConfig(Config):
    path: FilePath = Field(description="the manifest: a CSV (.csv, .csv.gz) or JSON lines (.jsonl, .jsonl.gz)")
    separator: str = Field(default=",", min_length=1, max_length=1, description="between cells of the manifest")
    decoders: Many[Annotated[Configured, Uses("decoder")]] = Field(
        default=(), description="decoders with options; others are used with their defaults"
    )
    cut: Literal["seconds", "steps"] | None = Field(
        default=None,
        description="unit of the columns start and stop, which cut a piece out of each recording; none: whole",
    )
    suffix: str = Field(
        default="",
        pattern=r"^(\.\w+)*$",
        description="added to every path, where the manifest leaves it out, such as .hea",
    )


@register("reader", "manifest", version=1, config=ManifestConfig)
class Manifest(Reader[ManifestConfig]):
    """Recordings in files of their own, one row of a manifest each; the suffix chooses the decoder."""

    def files(self, spec: DataSpec, places: Places) -> Sequence[Path]:
        rows = self._rows(spec, places)
        decoders = self._decoders(rows)
        beside, faults = _each_file(rows, lambda file, name: decoders[name].companions(file))
        refuse(faults)
        files = (one for file in dict.fromkeys(rows.files) for one in (file, *beside[file]))
        return [rows.table.path, *dict.fromkeys(files)]

    def used(self, spec: DataSpec, places: Places) -> Sequence[Component]:
        return self._rows(spec, places).components

    def inspect(self, spec: DataSpec, places: Places) -> None:
        rows = self._rows(spec, places)
        decoders = self._decoders(rows)
        outlines, faults = _each_file(rows, lambda file, name: decoders[name].outline(file, spec.options))
        *_, differing = self._agreed(rows, outlines, spec.options)
        lacking = column_problems(["id", *rows.table.columns], spec.options, rows.table.head)
        refuse([*faults, *differing, *lacking])

    def read(self, spec: DataSpec, places: Places) -> Collection:
        rows = self._rows(spec, places)
        decoders = self._decoders(rows)
        recordings, faults = _each_file(rows, lambda file, name: _finite(decoders[name].read(file, spec.options), file))
        outlines = {file: recording.outline for file, recording in recordings.items()}
        common, starts, stops, differing = self._agreed(rows, outlines, spec.options)
        refuse([*faults, *differing, *_unstamped(rows, recordings, spec.options)])
        pieces = [
            _piece(recordings[file], common, start, stop)
            for file, start, stop in zip(rows.files, starts, stops, strict=True)
        ]
        notes = gathered([(path, recordings[file].notes) for path, file in zip(rows.paths, rows.files, strict=True)])
        return _packed(pieces, self._table(rows, starts, stops), common, spec.options).replaced(notes=notes)

    def _rows(self, spec: DataSpec, places: Places) -> _Rows:
        """The manifest with the file and the decoder of every row. Raises `DataInvalid` with all that is wrong with them."""
        path = spec.file("path", places)
        if path.name.endswith(JSON_LINES):
            table = read_json_lines(path, columns=spec.options.columns)
        else:
            table = read_table(path, Form(self.config.separator), text="all", columns=spec.options.columns)
        if PATH not in table.columns:
            remedy = f"{did_you_mean(PATH, table.columns)} Name it with `columns: {{path: THEIRS}}`."
            raise DataInvalid([Problem("has no column 'path'", location=table.head, remedy=remedy)])
        moved = places.moved(path.parent)
        return _Rows.of(table, moved, suffix=self.config.suffix, repeated=self.config.cut is not None)

    def _decoders(self, rows: _Rows) -> dict[str, Decoder[Any]]:
        given = {one.name: one.build() for one in self.config.decoders}
        return {one.name: given.get(one.name) or one.target(one.config()) for one in rows.components}

    def _agreed(
        self, rows: _Rows, outlines: Mapping[Path, Outline], options: DataOptions
    ) -> tuple[Common, list[int], list[int], list[Problem]]:
        """What the recordings have in common, where each row starts and stops, and what is wrong with either."""
        known = [(row, outlines[file]) for row, file in enumerate(rows.files) if file in outlines]
        if not known:
            return Common((), None), [], [], []
        common, faults = agree(known, options, rows.problem)
        if len(known) == len(rows.files):
            names = {name for outline in outlines.values() for name in outline.channels} | set(rows.table.columns)
            faults += renaming_problems(sorted(names), options, rows.table.head)
        lengths = [outlines[file].length if file in outlines else None for file in rows.files]
        if self.config.cut is None:
            return common, [0] * len(lengths), [length or 0 for length in lengths], faults
        starts, stops, wrong = cut_rows(rows.table, self.config.cut, common.rate, lengths, rows.problem)
        return common, starts, [stop or 0 for stop in stops], [*faults, *wrong]

    def _table(self, rows: _Rows, starts: Sequence[int], stops: Sequence[int]) -> pd.DataFrame:
        """The manifest's columns; `id` is the path (and the piece) where the manifest has no ids of its own."""
        frame = rows.table.frame
        others = {name: typed(frame[name]) for name in frame.columns if name != PATH}
        ids = rows.paths
        if self.config.cut is not None:
            ids = [f"{path}:{start}-{stop}" for path, start, stop in zip(rows.paths, starts, stops, strict=True)]
            others.setdefault(ORIGIN, pd.Series(rows.paths))
        return pd.DataFrame({"id": ids, **others})


@dataclass(frozen=True)
class _Rows:
    """A manifest with the file of every row and the name of its decoder."""

    table: Table
    paths: list[str]
    files: list[Path]
    names: list[str]
    components: tuple[Component, ...]

    @staticmethod
    def of(table: Table, places: Places, *, suffix: str, repeated: bool) -> _Rows:
        """Finds all files beside the manifest or below the data roots; `repeated`: several rows may name one file.

        Raises `DataInvalid` for files that are not there, that no decoder reads, or that are named twice.
        """
        cells = table.frame[PATH]
        paths = ["" if missing else str(cell).strip() for cell, missing in zip(cells, cells.isna(), strict=True)]
        known = decoders_by_suffix()
        files: list[Path] = []
        names: list[str] = []
        first: dict[Path, int] = {}
        faults: list[tuple[int, str, str]] = []
        for row, text in enumerate(paths):
            file, fault = _find(f"{text}{suffix}" if text else "", places)
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
        rows = _Rows(table, paths, files, names, tuple(used.values()))
        refuse(list(each(faults, lambda one: rows.problem(*one), rest="rows with such faults")))
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


def _each_file(rows: _Rows, look: Callable[[Path, str], T]) -> tuple[dict[Path, T], list[Problem]]:
    """What `look` sees in every file (named by its decoder), and the faults of those that it refuses."""
    seen: dict[Path, T] = {}
    broken: dict[Path, list[Problem]] = {}
    for row, (file, name) in enumerate(zip(rows.files, rows.names, strict=True)):
        if file in seen or file in broken:
            continue
        try:
            seen[file] = look(file, name)
        except DataInvalid as fault:
            broken[file] = [rows.placed(row, problem) for problem in fault.problems]
    faults = [problem for problems in list(broken.values())[:MAX_SHOWN] for problem in problems]
    if len(broken) > MAX_SHOWN:
        faults.append(Problem(f"and {len(broken) - MAX_SHOWN} more recordings that cannot be read"))
    return seen, faults


def _finite(recording: Recording, file: Path) -> Recording:
    """The recording itself. Raises `DataInvalid` when some values are infinite."""
    if recording.values.dtype != np.int16 and bool(np.isinf(recording.values).any()):
        infinite = np.argwhere(np.isinf(recording.values))
        step, channel = infinite[0].tolist()
        text = f"{len(infinite)} values are infinite (the first at step {step} of {recording.channels[channel]!r})"
        raise fault(file, text)
    return recording


def _unstamped(rows: _Rows, recordings: Mapping[Path, Recording], options: DataOptions) -> list[Problem]:
    if options.time is None:
        return []
    without = [row for row, file in enumerate(rows.files) if file in recordings and recordings[file].times is None]
    text = f"has no time stamps, and `time: {options.time}` asks for them"
    return list(each(without, lambda row: rows.problem(row, text, ""), rest="recordings without time stamps"))


def _piece(recording: Recording, common: Common, start: int, stop: int) -> Recording:
    """A piece of a recording with the common channels, in their order."""
    values = recording.values[start:stop]
    if recording.channels != common.channels:
        values = values[:, [recording.channels.index(name) for name in common.channels]]
    times = recording.times[start:stop] if recording.times is not None else None
    return Recording(values, common.channels, common.rate, times)


def _packed(pieces: Sequence[Recording], table: pd.DataFrame, common: Common, options: DataOptions) -> Collection:
    """All pieces one after another; sound beside other values becomes numbers between -1 and 1."""
    kinds = {piece.values.dtype for piece in pieces}
    mixed = len(kinds) > 1
    values = [
        piece.values * np.float32(INT16_SCALE) if mixed and piece.values.dtype == np.int16 else piece.values
        for piece in pieces
    ]
    times = [piece.times for piece in pieces if piece.times is not None]
    return Collection(
        values=torch.from_numpy(np.concatenate(values)),
        offsets=torch.from_numpy(np.cumsum([0, *(len(piece.values) for piece in pieces)])),
        table=table,
        channels=common.channels,
        times=torch.from_numpy(np.concatenate(times)) if times else None,
        rate=common.rate,
        targets=tuple(options.target),
        name=options.name,
    )
