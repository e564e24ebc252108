"""Manifests of Lhotse: a set of recordings and a set of supervisions, each JSON lines, plain or gzipped.

The path is a folder with `recordings.jsonl.gz` and `supervisions.jsonl.gz`, or with such pairs for parts
(`NAME_recordings_train.jsonl.gz`, `NAME_supervisions_train.jsonl.gz`). Every supervision is a row: a piece of its recording, with its
text, language, speaker and gender, and its `custom` fields as columns. Recordings that a command or an address gives are refused.
Layout: lhotse.readthedocs.io, "Representing a corpus".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from tswork.data.faults import each, fault, refuse
from tswork.data.places import Places
from tswork.data.readers.gathering import Gathered
from tswork.data.readers.layouts import Layout, LayoutConfig, by_part
from tswork.data.readers.listing import Listing
from tswork.data.spec import DataSpec
from tswork.data.tables import Table, read_json_lines
from tswork.errors import Problem
from tswork.registry import register

RECORDINGS, SUPERVISIONS = "recordings", "supervisions"
FIELDS = ("id", "start", "duration", "text", "language", "speaker", "gender")


class LhotseConfig(LayoutConfig):
    pass


@register("reader", "lhotse", version=1, config=LhotseConfig)
class Lhotse(Layout[LhotseConfig]):
    """Lhotse's recordings and supervisions (JSON lines, plain or gzipped), custom fields as columns."""

    def listing(self, spec: DataSpec, places: Places) -> Listing:
        folder = spec.folder("path", places)
        rows, sources = Gathered(), []
        faults: list[Problem] = []
        for recordings, supervisions, part in _pairs(folder):
            sources += [recordings, supervisions]
            known, wrong = _recordings(read_json_lines(recordings))
            faults += wrong
            faults += _add(rows, read_json_lines(supervisions), known, part)
        refuse(faults)
        table = rows.table(folder, columns=spec.options.columns)
        return Listing(table, self.root(spec, places, folder), tuple(sources))


def _pairs(folder: Path) -> Iterator[tuple[Path, Path, str | None]]:
    """Files of recordings with the supervisions of the same name. Raises `DataInvalid` when there are none, or one lacks."""
    found = sorted(path for path in folder.iterdir() if path.name.endswith((".jsonl", ".jsonl.gz")))
    recordings = by_part(path for path in found if RECORDINGS in path.name)
    if not recordings:
        raise fault(folder, f"holds no {RECORDINGS}.jsonl or {RECORDINGS}.jsonl.gz")
    several = len(recordings) > 1
    for path, part in recordings.items():
        name = path.name.replace(RECORDINGS, SUPERVISIONS).removesuffix(".gz")
        other = next((one for one in found if one.name.removesuffix(".gz") == name), None)
        if other is None:
            raise fault(folder / name, f"there is no such file beside {path.name}")
        yield path, other, part if several or part else None


def _recordings(table: Table) -> tuple[dict[str, str], list[Problem]]:
    """The file of each recording, and what is wrong with them."""
    known: dict[str, str] = {}
    wrong: list[tuple[int, str]] = []
    for row, (name, text) in enumerate(zip(_cells(table, "id"), _cells(table, "sources"), strict=True)):
        sources = json.loads(text) if isinstance(text, str) else []
        source = sources[0] if len(sources) == 1 and isinstance(sources[0], dict) else None
        if source is None:
            wrong.append((row, f"has {len(sources)} sources, and one is read"))
        elif source.get("type") != "file":
            wrong.append((row, f"comes from a {source.get('type')}, and only files are read"))
        else:
            known[str(name)] = str(source.get("source"))

    def problem(one: tuple[int, str]) -> Problem:
        return Problem(one[1], "sources", table.at(one[0]), "Save it as a file (in Lhotse: `save_audio`).")

    return known, list(each(wrong, problem, rest="recordings that are no files"))


def _add(rows: Gathered, table: Table, known: Mapping[str, str], part: str | None) -> list[Problem]:
    """The supervisions of one file as rows; a problem for each whose recording is not there."""
    names = [str(name) for name in _cells(table, "recording_id")]
    custom = [_custom(text) for text in _cells(table, "custom")]
    fields = {field: _cells(table, field) for field in FIELDS if field in table.columns}
    lost = []
    for row, name in enumerate(names):
        if name not in known:
            lost.append(row)
            continue
        own = {field: cells[row] for field, cells in fields.items()}
        rows.add({**custom[row], **own, "path": known[name], **({"split": part} if part else {})}, table.at(row))

    def problem(row: int) -> Problem:
        return Problem(f"there is no recording {names[row]!r}", "recording_id", table.at(row))

    return list(each(lost, problem, rest="supervisions without a recording"))


def _cells(table: Table, column: str) -> list[Any]:
    if column not in table.columns:
        return [None] * len(table)
    cells = table.frame[column]
    return cells.astype(object).where(cells.notna(), None).tolist()


def _custom(text: Any) -> dict[str, Any]:
    """Custom fields of a supervision; what is nested in them becomes JSON text."""
    found = json.loads(text) if isinstance(text, str) else {}
    nested = (dict, list)
    return {
        key: json.dumps(value) if isinstance(value, nested) else value
        for key, value in found.items()
        if isinstance(value, nested) or not pd.isna(value)
    }
