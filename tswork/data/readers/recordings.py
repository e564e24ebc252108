"""What readers of recordings in files of their own share, whatever lists them: a manifest, or a published layout.

The listing is one canonical table (`tswork.data.readers.listing`). The suffix of each file chooses its decoder, what the store
keeps decoded comes from there, recordings have to agree in channels and rate, rows may be pieces of recordings, and all other
columns become the collection's table.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import pandas as pd
import torch
from pydantic import Field

from tswork.config import ADDED_LATER, NOT_KEYED, Config, Configured, Many, Uses
from tswork.data.cells import typed, typed_names
from tswork.data.channels import column_problems, renaming_problems
from tswork.data.collection import Collection
from tswork.data.decoded import Wanted, read_decoded
from tswork.data.faults import each, fault, refuse, some
from tswork.data.leaks import ORIGIN
from tswork.data.places import Places
from tswork.data.readers.agreement import Common, agree
from tswork.data.readers.base import FileOutline, Reader
from tswork.data.readers.canonical import ID
from tswork.data.readers.cutting import PIECES, Unit, cut_rows
from tswork.data.readers.decoders.base import Decoder, Outline, Recording
from tswork.data.readers.listing import PATH, Listing, Rows, line_of
from tswork.data.readers.packing import packed, piece_of
from tswork.data.readers.remarks import gathered
from tswork.data.spec import DataOptions, DataSpec
from tswork.data.tables import Table
from tswork.errors import DataInvalid, Problem
from tswork.registry import Component
from tswork.store import Store
from tswork.wording import counted, worded


class RecordingsConfig(Config):
    """Options of every reader of recordings in files of their own."""

    decoders: Many[Annotated[Configured, Uses("decoder")]] = Field(
        default=(), description="decoders with options; others are used with their defaults"
    )
    strict_paths: bool = Field(
        default=False,
        json_schema_extra=NOT_KEYED,
        description="refuse files outside the folder of the recordings and the data roots (absolute paths, `..`, links)",
    )
    skip_bad: bool = Field(
        default=False,
        json_schema_extra=ADDED_LATER,
        description="leave out recordings that cannot be used instead of refusing all; `tswork run --skip-bad` sets it",
    )


R = TypeVar("R", bound=RecordingsConfig)


class Recordings(Reader[R]):
    """Recordings in files of their own, whatever lists them; the suffix of each file chooses its decoder."""

    tells_rows = True

    @abstractmethod
    def listing(self, spec: DataSpec, places: Places) -> Listing:
        """The canonical table of the recordings, and the files that it was read from. Raises `DataInvalid`."""

    def located(self, spec: DataSpec, places: Places) -> tuple[Table, list[Path]]:
        """The rows of the listing and the file of each. Raises `DataInvalid` when one is not there, unless it is left out."""
        rows = self._rows(spec, places)
        refuse(rows.faults)
        return rows.table, rows.files

    def cut_unit(self, table: Table) -> Unit | None:
        """The unit in which rows are pieces of their recordings; None: they are whole recordings."""
        return "seconds" if set(table.columns) >= PIECES else None

    def outlines(self, spec: DataSpec, places: Places) -> Sequence[FileOutline]:
        rows = self._rows(spec, places)
        decoders = self._decoders(rows)
        found, _ = rows.each_file(lambda file, name: decoders[name].outline(file, spec.options))
        ids: list[str | None] = list(rows.paths) if self.cut_unit(rows.table) is None else [None] * len(rows)
        if ID in rows.table.columns:
            own = rows.table.frame[ID]
            ids = [str(cell) if there else one for cell, there, one in zip(own, own.notna(), ids, strict=True)]
        return [FileOutline(one, file, found.get(file)) for one, file in zip(ids, rows.files, strict=True)]

    def files(self, spec: DataSpec, places: Places) -> Sequence[Path]:
        return self._all_files(self._rows(spec, places), spec.options)

    def check_columns(self, spec: DataSpec, places: Places) -> None:
        rows = self._rows(spec, places)
        faults = column_problems(["id", *rows.table.columns], spec.options, rows.table.head)
        try:
            self._all_files(rows, spec.options)
        except DataInvalid as fault:
            faults = [*fault.problems, *faults]
        refuse(faults)

    def _all_files(self, rows: Rows, options: DataOptions) -> Sequence[Path]:
        """All files that are read. Raises `DataInvalid` when one is not there, and then with what headers tell, too."""
        decoders = self._decoders(rows)
        if rows.faults:  # it ends here, so that headers may be looked at as well
            _, broken = rows.each_file(lambda file, name: decoders[name].outline(file, options))
            raise DataInvalid([*rows.faults, *rows.placed_all(broken)])
        beside, broken = rows.each_file(lambda file, name: decoders[name].companions(file))
        rows, faults = self._without_broken(rows, broken)
        refuse(faults)
        files = (one for file in dict.fromkeys(rows.files) for one in (file, *beside[file]))
        return [*rows.sources, *dict.fromkeys(files)]

    def used(self, spec: DataSpec, places: Places) -> Sequence[Component]:
        return self._rows(spec, places).components

    def inspect(self, spec: DataSpec, places: Places) -> None:
        rows = self._rows(spec, places)
        decoders = self._decoders(rows)
        outlines, broken = rows.each_file(lambda file, name: decoders[name].outline(file, spec.options))
        rows, faults = self._without_broken(rows, broken)
        agreed = self._agreed(rows, outlines, spec.options)
        lacking = column_problems(["id", *rows.table.columns], spec.options, rows.table.head)
        refuse([*rows.faults, *faults, *agreed.faults, *lacking])

    def read(self, spec: DataSpec, places: Places) -> Collection:
        rows = self._rows(spec, places)
        recordings, broken = self._recordings(rows, spec, places)
        rows, faults = self._without_broken(rows, broken)
        outlines = {file: recording.outline for file, recording in recordings.items()}
        agreed = self._agreed(rows, outlines, spec.options)
        refuse([*rows.faults, *faults, *agreed.faults, *_unstamped(rows, recordings, spec.options)])
        rows, pieces = agreed.rows, agreed.pieces(recordings)
        notes = gathered([(path, recordings[file].notes) for path, file in zip(rows.paths, rows.files, strict=True)])
        collection = packed(pieces, self._table(agreed), agreed.common, spec.options, Store(places.store))
        return collection.replaced(notes=(*rows.notes, *notes, *_left_out(rows)), left_out=rows.left_out)

    def _rows(self, spec: DataSpec, places: Places) -> Rows:
        """The listing with the file and the decoder of every row. Raises `DataInvalid` with all that is wrong with them."""
        listing = _with_labels(self.listing(spec, places), spec.options)
        return Rows.of(
            listing,
            spec.options,
            places,
            repeated=self.cut_unit(listing.table) is not None,
            strict=self.config.strict_paths,
            skip_bad=self.config.skip_bad,
        )

    def _decoders(self, rows: Rows) -> dict[str, Decoder[Any]]:
        given = {one.name: one.build() for one in self.config.decoders}
        return {one.name: given.get(one.name) or one.target(one.config()) for one in rows.components}

    def _recordings(
        self, rows: Rows, spec: DataSpec, places: Places
    ) -> tuple[dict[Path, Recording], dict[Path, Sequence[Problem]]]:
        """The recordings of all files and the faults of those that are refused; what is decoded once comes from the store."""
        decoders = self._decoders(rows)
        kept = {one.name: one for one in rows.components if decoders[one.name].kept is not None}
        pairs = dict(zip(rows.files, rows.names, strict=True)).items()
        wanted = [Wanted(file, kept[name], decoders[name]) for file, name in pairs if name in kept]
        known, refused = read_decoded(wanted, spec.options, places) if wanted else ({}, {})

        def look(file: Path, name: str) -> Recording:
            if file in refused:
                raise DataInvalid(refused[file])
            return known[file] if file in known else _finite(decoders[name].read(file, spec.options), file)

        return rows.each_file(look)

    def _without_broken(self, rows: Rows, broken: Mapping[Path, Sequence[Problem]]) -> tuple[Rows, list[Problem]]:
        """Rows whose files can be used where others are left out; else all rows, and what is wrong with files."""
        return (rows.without_files(broken), []) if self.config.skip_bad else (rows, rows.placed_all(broken))

    def _agreed(self, rows: Rows, outlines: Mapping[Path, Outline], options: DataOptions) -> _Agreed:
        """What the recordings have in common, where each row starts and stops, and what is wrong with either."""
        known = [(row, outlines[file]) for row, file in enumerate(rows.files) if file in outlines]
        if not known:
            return _Agreed(rows, Common((), None), [], [], [])
        common, faults = agree(known, options, rows.problem)
        if len(known) == len(rows):
            names = {name for outline in outlines.values() for name in outline.channels} | set(rows.table.columns)
            faults += renaming_problems(sorted(names), options, rows.table.head)
        told = [outlines.get(file, Outline(())) for file in rows.files]
        lengths = [one.length for one in told]
        unit = self.cut_unit(rows.table)
        if unit is None:
            return _Agreed(rows, common, [0] * len(rows), [length or 0 for length in lengths], faults)
        starts, stops, wrong, columns = cut_rows(
            rows.table,
            unit,
            common.rate,
            lengths,
            file_rates=[one.file_rate for one in told],
            shortest=[one.shortest for one in told],
        )
        faults += columns
        if wrong and self.config.skip_bad:
            keep = [row for row in range(len(rows)) if row not in wrong]
            rows, starts, stops = rows.without(wrong), [starts[row] for row in keep], [stops[row] for row in keep]
            wrong = {}
        told_wrong = [(row, text, "") for row, text in wrong.items()]
        faults += each(told_wrong, lambda one: rows.problem(*one), rest="pieces that do not fit their recordings")
        ends = [stop or 0 for stop in stops]
        fit = not columns and not wrong
        faults += _repeated(rows, starts, ends) if fit and ID not in rows.table.columns else []
        return _Agreed(rows, common, starts, ends, faults)

    def _table(self, agreed: _Agreed) -> pd.DataFrame:
        """The columns of the listing; `id` is the path (and the piece) of rows without an id of their own."""
        rows, frame = agreed.rows, agreed.rows.table.frame
        others = {name: typed(frame[name]) for name in frame.columns if name not in (PATH, ID)}
        ids = pd.Series(rows.paths)
        if self.cut_unit(rows.table) is not None:
            pieces = zip(rows.paths, agreed.starts, agreed.stops, strict=True)
            ids = pd.Series([f"{path}:{start}-{stop}" for path, start, stop in pieces])
            others.setdefault(ORIGIN, pd.Series(rows.paths))
        if ID in frame.columns:
            own = typed_names(frame[ID])
            ids = own if not own.isna().any() else own.astype(object).where(own.notna(), ids)
        return pd.DataFrame({ID: ids, **others})


def table_alone(spec: DataSpec, places: Places) -> Collection | None:
    """The table of a listing with the label and the groups of a data block, and no values; None where there is no such table."""
    reader = spec.reader.build()
    if not isinstance(reader, Recordings):
        return None
    try:
        frame = reader.listing(spec, places).table.frame
    except DataInvalid:
        return None
    if column_problems([ID, *map(str, frame.columns)], spec.options):
        return None
    columns = {str(name): typed(frame[name]) for name in frame.columns if name != PATH}
    table = pd.DataFrame({ID: frame[PATH], **columns})
    empty = torch.zeros(len(table) + 1, dtype=torch.int64)
    return Collection(torch.zeros(0, 1), empty, table, ("sound",), label=spec.options.label, groups=spec.options.groups)


@dataclass(frozen=True)
class _Agreed:
    """Rows that are read, what their recordings have in common, where each row starts and stops, and what is wrong."""

    rows: Rows
    common: Common
    starts: list[int]
    stops: list[int]
    faults: list[Problem]

    def pieces(self, recordings: Mapping[Path, Recording]) -> list[Recording]:
        """The piece of each row with the common channels."""
        where = zip(self.rows.files, self.starts, self.stops, strict=True)
        return [piece_of(recordings[file], self.common, start, stop) for file, start, stop in where]


def _with_labels(listing: Listing, options: DataOptions) -> Listing:
    """A listing without the rows that have no label, where those are to be left out: their files need not even be there.

    Raises `DataInvalid` when none is left.
    """
    table, label = listing.table, options.label
    if options.unlabelled != "drop" or label is None or label not in table.columns:
        return listing
    there = table.frame[label].notna().to_numpy()
    if there.all():
        return listing
    if not there.any():
        raise DataInvalid([Problem("no row has a label", label, table.head, "Name another column with `label:`.")])
    paths = table.frame[PATH].astype(str)[~there].tolist()
    text = f"unlabelled leaves out {len(paths):,} of {len(table):,} recordings without a label: {some(paths)}"
    return replace(listing, table=table.only(np.flatnonzero(there).tolist()), notes=(*listing.notes, text))


def _left_out(rows: Rows) -> tuple[str, ...]:
    """The note of rows that were left out."""
    if not rows.left_out:
        return ()
    names = some([f"{path or 'a row without a path'} ({why})" for _, path, why in rows.left_out])
    count = len(rows.left_out)
    every = count + len(rows)
    return (f"skip_bad leaves out {count:,} of {every:,} {worded(every, 'recording')} that cannot be used: {names}",)


def _finite(recording: Recording, file: Path) -> Recording:
    """The recording itself. Raises `DataInvalid` when some values are infinite."""
    if recording.values.dtype != np.int16 and bool(np.isinf(recording.values).any()):
        infinite = np.argwhere(np.isinf(recording.values))
        step, channel = infinite[0].tolist()
        text = f"{counted(len(infinite), 'value is', 'values are')} infinite (the first at step {step} of {recording.channels[channel]!r})"
        raise fault(file, text)
    return recording


def _repeated(rows: Rows, starts: Sequence[int], stops: Sequence[int]) -> Iterator[Problem]:
    """Rows without ids that name a piece of a recording again."""
    first: dict[tuple[Path, int, int], int] = {}
    pieces = enumerate(zip(rows.files, starts, stops, strict=True))
    pairs = [(row, first[piece]) for row, piece in pieces if first.setdefault(piece, row) != row]

    def problem(pair: tuple[int, int]) -> Problem:
        text = f"is the piece of {line_of(rows.table, pair[1])} again"
        return rows.problem(pair[0], text, "Remove one of the two.")

    yield from each(pairs, problem, rest="pieces that are named again")


def _unstamped(rows: Rows, recordings: Mapping[Path, Recording], options: DataOptions) -> list[Problem]:
    if options.time is None:
        return []
    without = [row for row, file in enumerate(rows.files) if file in recordings and recordings[file].times is None]
    text = f"has no time stamps, and `time: {options.time}` asks for them"
    return list(each(without, lambda row: rows.problem(row, text, ""), rest="recordings without time stamps"))
