"""Manifests of Lhotse: a set of recordings and a set of supervisions, or a set of cuts, each JSON lines, plain or gzipped.

The path is a folder with `recordings.jsonl.gz` and `supervisions.jsonl.gz`, or with such pairs for parts
(`NAME_recordings_train.jsonl.gz`, `NAME_supervisions_train.jsonl.gz`). Every supervision is a row: a piece of its recording, with its
text, language, speaker and gender, and its `custom` fields as columns. Recordings that a command or an address gives, or that are to
be changed when they are read (`transforms`), and supervisions of some channels of a file are refused.
A folder without recordings may hold cuts (`cuts.jsonl.gz`, `cuts_train.jsonl.gz`), and a path that is one file is a set of cuts
(`lhotse_cuts`). Layout: lhotse.readthedocs.io, "Representing a corpus".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from tswork.config import ADDED_LATER
from tswork.data.faults import fault, refuse
from tswork.data.places import Places
from tswork.data.readers import lhotse_fields as fields
from tswork.data.readers.gathering import Gathered, read_each
from tswork.data.readers.layouts import Layout, LayoutConfig, by_part
from tswork.data.readers.lhotse_cuts import CUTS, RowsOf, add_cuts
from tswork.data.readers.listing import Listing
from tswork.data.spec import DataSpec
from tswork.data.tables import Table, read_json_lines
from tswork.errors import Problem
from tswork.registry import register

RECORDINGS, SUPERVISIONS = "recordings", "supervisions"
SUFFIXES = (".jsonl", ".jsonl.gz")


class LhotseConfig(LayoutConfig):
    rows: RowsOf = Field(
        default="cuts",
        description="of a set of cuts: a row for each cut, or for each of the supervisions in them",
        json_schema_extra=ADDED_LATER,
    )


@register("reader", "lhotse", version=1, config=LhotseConfig)
class Lhotse(Layout[LhotseConfig]):
    """Lhotse's recordings and supervisions, or cuts (JSON lines, plain or gzipped), custom fields as columns."""

    def listing(self, spec: DataSpec, places: Places) -> Listing:
        one = self.config.path.name.endswith(SUFFIXES)
        beginning = spec.file("path", places) if one else spec.folder("path", places)
        rows, faults = Gathered(), list[Problem]()
        cuts = _cut_files(beginning)
        if cuts:
            sources = list(cuts)
            for path, table in read_each(cuts, read_json_lines).items():
                faults += fields.misshapen(table) or add_cuts(rows, table, cuts[path], rows_of=self.config.rows)
        else:
            sources = []
            for recordings, supervisions, part in _pairs(beginning):
                sources += [recordings, supervisions]
                tables = read_each((recordings, supervisions), read_json_lines)
                shapes = [fault for table in tables.values() for fault in fields.misshapen(table)]
                faults += shapes or _added(rows, tables[recordings], tables[supervisions], part)
        refuse(faults)
        table = rows.table(beginning, columns=spec.options.columns)
        folder = beginning if beginning.is_dir() else beginning.parent
        return Listing(table, self.root(spec, places, folder), tuple(sources))


def _cut_files(beginning: Path) -> dict[Path, str | None]:
    """Files of cuts, with the part that each is called after; none where there are recordings, which are read then."""
    if beginning.is_file():
        return {beginning: None}
    found = sorted(path for path in beginning.iterdir() if path.name.endswith(SUFFIXES))
    if any(RECORDINGS in path.name for path in found):
        return {}
    return by_part(path for path in found if CUTS in path.name)


def _pairs(folder: Path) -> Iterator[tuple[Path, Path, str | None]]:
    """Files of recordings with the supervisions of the same name. Raises `DataInvalid` when there are none, or one lacks."""
    found = sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIXES))
    recordings = by_part(path for path in found if RECORDINGS in path.name)
    if not recordings:
        raise fault(folder, f"holds no {RECORDINGS}.jsonl or {RECORDINGS}.jsonl.gz, and no {CUTS}.jsonl")
    several = len(recordings) > 1
    for path, part in recordings.items():
        name = path.name.replace(RECORDINGS, SUPERVISIONS).removesuffix(".gz")
        other = next((one for one in found if one.name.removesuffix(".gz") == name), None)
        if other is None:
            raise fault(folder / name, f"there is no such file beside {path.name}")
        yield path, other, part if several or part else None


def _added(rows: Gathered, recordings: Table, supervisions: Table, part: str | None) -> list[Problem]:
    """The supervisions of some recordings as rows, and what is wrong with either."""
    known, wrong = _recordings(recordings)
    return [*wrong, *_add(rows, supervisions, known, part)]


class _File(NamedTuple):
    """Where a recording is, and its channels."""

    path: str
    channels: tuple[int, ...]


def _recordings(table: Table) -> tuple[dict[str, _File], list[Problem]]:
    """The file of each recording, and what is wrong with them."""
    known: dict[str, _File] = {}
    wrong: list[fields.Wrong] = []
    columns = zip(*(fields.cells(table, name) for name in ("id", "sources", "transforms")), strict=True)
    for row, (name, sources, transforms) in enumerate(columns):
        file, why = fields.file_of(fields.nested(sources))
        if file is None:
            wrong.append((row, "sources", why, fields.SAVE))
            continue
        known[str(name)] = _File(file, fields.channels_of(fields.nested(sources)))
        if why := fields.changes(fields.nested(transforms)):
            wrong.append((row, "transforms", why, fields.SAVE))
    return known, fields.told(table, wrong, rest="recordings that are not read")


def _add(rows: Gathered, table: Table, known: Mapping[str, _File], part: str | None) -> list[Problem]:
    """The supervisions of one file as rows; a problem for each whose recording is not there, or of which it is not the whole."""
    names = [str(name) for name in fields.cells(table, "recording_id")]
    own = [fields.custom(fields.nested(text)) for text in fields.cells(table, "custom")]
    kept = [name for name in ("id", "start", "duration", *fields.FIELDS) if name in table.columns]
    columns = {name: fields.cells(table, name) for name in kept}
    wrong: list[fields.Wrong] = []
    for row, (name, channel) in enumerate(zip(names, fields.cells(table, "channel"), strict=True)):
        file = known.get(name)
        if file is None:
            wrong.append((row, "recording_id", f"there is no recording {name!r}", ""))
        elif why := fields.left_channels(_numbers(channel), file.channels):
            wrong.append((row, "channel", why, fields.SAVE))
        else:
            said = {field: found[row] for field, found in columns.items()}
            rows.add({**own[row], **said, "path": file.path, **({"split": part} if part else {})}, table.at(row))
    return fields.told(table, wrong, rest="supervisions that are not read")


def _numbers(channel: Any) -> list[int]:
    """The channels of a supervision: a number or a list of them; none given: the first."""
    given = json.loads(channel) if isinstance(channel, str) else channel
    return [int(one) for one in (given if isinstance(given, list) else [given or 0])]
