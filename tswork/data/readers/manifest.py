"""Recordings in files of their own, named by a manifest: a CSV or JSON lines with one row a recording.

The column `path` is relative to the manifest's folder, then to the places of data files; the suffix of each file chooses its
decoder. All other columns become the collection's table, `id` (by default the path) is unique. Columns `start` and `duration`
(seconds), or with `cut` also `start` and `stop`, take a piece out of each recording, and pieces of one recording stay together in
a split. Readers of published layouts (`kaldi`, `audiofolder`, ...) turn these into the same table and share everything else.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
import pandas as pd
import torch
from pydantic import Field

from tswork.config import NOT_KEYED, Config, Configured, FilePath, Folder, Many, Uses
from tswork.data.backends import INT16_SCALE
from tswork.data.cells import typed
from tswork.data.channels import column_problems, renaming_problems
from tswork.data.collection import Collection
from tswork.data.faults import MAX_SHOWN, each, fault, refuse
from tswork.data.leaks import ORIGIN
from tswork.data.places import Places
from tswork.data.readers.agreement import Common, agree
from tswork.data.readers.base import Reader
from tswork.data.readers.cutting import PIECES, Unit, cut_rows
from tswork.data.readers.decoders.base import Decoder, Outline, Recording
from tswork.data.readers.listing import ID, PATH, Listing, Rows
from tswork.data.readers.remarks import gathered
from tswork.data.spec import DataOptions, DataSpec
from tswork.data.tables import Form, Table, read_json_lines, read_table
from tswork.errors import DataInvalid, Problem, did_you_mean
from tswork.registry import Component, register

JSON_LINES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")

T = TypeVar("T")


class RecordingsConfig(Config):
    """Options of every reader of recordings in files of their own."""

    decoders: Many[Annotated[Configured, Uses("decoder")]] = Field(
        default=(), description="decoders with options; others are used with their defaults"
    )


R = TypeVar("R", bound=RecordingsConfig)


class Recordings(Reader[R]):
    """Recordings in files of their own, whatever lists them; the suffix of each file chooses its decoder."""

    @abstractmethod
    def listing(self, spec: DataSpec, places: Places) -> Listing:
        """The canonical table of the recordings, and the files that it was read from. Raises `DataInvalid`."""

    def cut_unit(self, table: Table) -> Unit | None:
        """The unit in which rows are pieces of their recordings; None: they are whole recordings."""
        return "seconds" if set(table.columns) >= PIECES else None

    def outlines(self, spec: DataSpec, places: Places) -> Iterator[tuple[str, Outline]]:
        """The name of each file and what its header tells, without reading values; files that cannot be read are left out."""
        rows = self._rows(spec, places)
        decoders = self._decoders(rows)
        found, _ = _each_file(rows, lambda file, name: decoders[name].outline(file, spec.options))
        yield from ((file.name, found[file]) for file in rows.files if file in found)

    def files(self, spec: DataSpec, places: Places) -> Sequence[Path]:
        rows = self._rows(spec, places)
        decoders = self._decoders(rows)
        beside, faults = _each_file(rows, lambda file, name: decoders[name].companions(file))
        refuse(faults)
        files = (one for file in dict.fromkeys(rows.files) for one in (file, *beside[file]))
        return [*rows.sources, *dict.fromkeys(files)]

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

    def _rows(self, spec: DataSpec, places: Places) -> Rows:
        """The listing with the file and the decoder of every row. Raises `DataInvalid` with all that is wrong with them."""
        listing = self.listing(spec, places)
        repeated = self.cut_unit(listing.table) is not None
        return Rows.of(listing, spec.options, places, repeated=repeated)

    def _decoders(self, rows: Rows) -> dict[str, Decoder[Any]]:
        given = {one.name: one.build() for one in self.config.decoders}
        return {one.name: given.get(one.name) or one.target(one.config()) for one in rows.components}

    def _agreed(
        self, rows: Rows, outlines: Mapping[Path, Outline], options: DataOptions
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
        unit = self.cut_unit(rows.table)
        if unit is None:
            return common, [0] * len(lengths), [length or 0 for length in lengths], faults
        told = [outlines[file].file_rate if file in outlines else None for file in rows.files]
        starts, stops, wrong = cut_rows(rows.table, unit, common.rate, lengths, rows.problem, file_rates=told)
        ends = [stop or 0 for stop in stops]
        again = _repeated(rows, starts, ends) if not wrong and ID not in rows.table.columns else []
        return common, starts, ends, [*faults, *wrong, *again]

    def _table(self, rows: Rows, starts: Sequence[int], stops: Sequence[int]) -> pd.DataFrame:
        """The columns of the listing; `id` is the path (and the piece) of rows without an id of their own."""
        frame = rows.table.frame
        others = {name: typed(frame[name]) for name in frame.columns if name not in (PATH, ID)}
        ids = pd.Series(rows.paths)
        if self.cut_unit(rows.table) is not None:
            ids = pd.Series(
                [f"{path}:{start}-{stop}" for path, start, stop in zip(rows.paths, starts, stops, strict=True)]
            )
            others.setdefault(ORIGIN, pd.Series(rows.paths))
        if ID in frame.columns:
            own = typed(frame[ID])
            ids = own if not own.isna().any() else own.astype(object).where(own.notna(), ids)
        return pd.DataFrame({ID: ids, **others})


class ManifestConfig(RecordingsConfig):
    path: FilePath = Field(description="the manifest: a CSV (.csv, .csv.gz) or JSON lines (.jsonl, .jsonl.gz)")
    separator: str = Field(default=",", min_length=1, max_length=1, description="between cells of the manifest")
    cut: Literal["seconds", "steps", "none"] | None = Field(
        default=None,
        description="unit of the columns start and stop or duration, which cut a piece out of each recording (`none`:"
        " whole recordings); without it seconds, where the manifest has both start and duration",
    )
    suffix: str = Field(
        default="",
        pattern=r"^(\.\w+)*$",
        description="added to every path, where the manifest leaves it out, such as .hea",
    )
    root: Folder | None = Field(
        default=None,
        json_schema_extra=NOT_KEYED,
        description="folder that relative paths start from, and that {root} stands for; none: that of the manifest",
    )


@register("reader", "manifest", version=2, config=ManifestConfig)
class Manifest(Recordings[ManifestConfig]):
    """Recordings in files of their own, one row of a manifest each; the suffix chooses the decoder."""

    def listing(self, spec: DataSpec, places: Places) -> Listing:
        path = spec.file("path", places)
        if path.name.endswith(JSON_LINES):
            table = read_json_lines(path, columns=spec.options.columns)
        else:
            table = read_table(path, Form(self.config.separator), text="all", columns=spec.options.columns)
        if PATH not in table.columns:
            remedy = f"{did_you_mean(PATH, table.columns)} Name it with `columns: {{path: THEIRS}}`."
            raise DataInvalid([Problem("has no column 'path'", location=table.head, remedy=remedy)])
        folder = path.parent if self.config.root is None else spec.folder("root", places)
        return Listing(table, folder, (path,), suffix=self.config.suffix)

    def cut_unit(self, table: Table) -> Unit | None:
        if self.config.cut is None:
            return super().cut_unit(table)
        return None if self.config.cut == "none" else self.config.cut


def _each_file(rows: Rows, look: Callable[[Path, str], T]) -> tuple[dict[Path, T], list[Problem]]:
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


def _repeated(rows: Rows, starts: Sequence[int], stops: Sequence[int]) -> Iterator[Problem]:
    """Rows without ids that name a piece of a recording again."""
    first: dict[tuple[Path, int, int], int] = {}
    pieces = enumerate(zip(rows.files, starts, stops, strict=True))
    pairs = [(row, first[piece]) for row, piece in pieces if first.setdefault(piece, row) != row]

    def problem(pair: tuple[int, int]) -> Problem:
        text = f"is the piece of line {rows.table.at(pair[1]).line} again"
        return rows.problem(pair[0], text, "Remove one of the two.")

    yield from each(pairs, problem, rest="pieces that are named again")


def _unstamped(rows: Rows, recordings: Mapping[Path, Recording], options: DataOptions) -> list[Problem]:
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
