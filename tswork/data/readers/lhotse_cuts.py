"""Cuts of Lhotse (`MonoCut`): pieces of recordings that bring recording and supervisions with them.

A row is a cut, with the fields of its one supervision and the custom fields of both; or, with `rows: supervisions`, each supervision,
which begins where the cut does plus its own start, and ends with the cut at the latest. Cuts of several sources, mixed or padded ones,
those of one channel of several, and recordings that are to be changed when they are read (`transforms`) are refused.
Layout: lhotse.readthedocs.io, "Cuts".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from tswork.data.readers import lhotse_fields as fields
from tswork.data.readers.gathering import Gathered
from tswork.data.readers.listing import PATH
from tswork.data.tables import Table
from tswork.errors import Problem
from tswork.wording import counted

CUTS = "cuts"
MONO = ("MonoCut", "Cut")
"""The second is what the first was called before version 0.8 of Lhotse."""

RowsOf = Literal["cuts", "supervisions"]


@dataclass(frozen=True)
class _Cut:
    """One line of a manifest of cuts."""

    row: int
    kind: Any
    id: Any
    start: float
    duration: float
    supervisions: list[dict[str, Any]]
    recording: dict[str, Any]
    own: dict[str, Any]

    def fault(self, rows_of: RowsOf) -> tuple[str, str, str] | None:
        """Column, message and remedy of what is wrong with it."""
        if self.kind not in MONO:
            return "type", f"is a {self.kind or 'line without a type'}, and only MonoCut is read", fields.SAVE
        if not self.recording:
            return "recording", "has no recording", "Make the cuts from recordings, not from features alone."
        file, why = fields.file_of(self.recording.get("sources"))
        if file is None:
            return "sources", why, fields.SAVE
        if why := fields.changes(self.recording.get("transforms")):
            return "transforms", why, fields.SAVE
        every = fields.channels_of(self.recording["sources"])
        if why := fields.left_channels(every[:1], every):
            return "channel", why, fields.SAVE
        if rows_of == "cuts" and len(self.supervisions) > 1:
            text = f"has {counted(len(self.supervisions), 'supervision')}, and a row has one"
            return "supervisions", text, "Give `rows: supervisions`, and each of them is a row."
        return None

    def rows(self, rows_of: RowsOf) -> Iterator[dict[str, Any]]:
        """Its rows, without a part."""
        path = fields.file_of(self.recording.get("sources"))[0]
        if rows_of == "cuts":
            said = self.supervisions[0] if self.supervisions else {}
            yield {**self._said(said), "id": self.id, PATH: path, "start": self.start, "duration": self.duration}
            return
        for said in self.supervisions:
            start = max(0.0, float(said.get("start") or 0.0))
            stop = min(self.duration, float(said.get("start") or 0.0) + float(said.get("duration") or 0.0))
            piece = {"start": self.start + start, "duration": stop - start}
            yield {**self._said(said), "id": said.get("id"), PATH: path, **piece}

    def _said(self, supervision: dict[str, Any]) -> dict[str, Any]:
        said = {name: supervision[name] for name in fields.FIELDS if supervision.get(name) is not None}
        return {**self.own, **fields.custom(supervision.get("custom")), **said}


def add_cuts(rows: Gathered, table: Table, part: str | None, *, rows_of: RowsOf) -> list[Problem]:
    """The cuts of one file as rows; a problem for each that cannot be one."""
    wrong: list[fields.Wrong] = []
    for cut in _cuts(table):
        fault = cut.fault(rows_of)
        if fault is not None:
            wrong.append((cut.row, *fault))
            continue
        for row in cut.rows(rows_of):
            rows.add({**row, **({"split": part} if part else {})}, table.at(cut.row))
    return fields.told(table, wrong, rest="cuts that are not read")


def _cuts(table: Table) -> Iterator[_Cut]:
    names = ("type", "id", "start", "duration", "supervisions", "recording", "custom")
    columns = zip(*(fields.cells(table, name) for name in names), strict=True)
    for row, (kind, name, start, duration, supervisions, recording, own) in enumerate(columns):
        yield _Cut(
            row,
            kind,
            name,
            float(start or 0.0),
            float(duration or 0.0),
            fields.nested(supervisions) or [],
            fields.nested(recording) or {},
            fields.custom(fields.nested(own)),
        )
