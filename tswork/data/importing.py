"""From a published layout to a manifest: one CSV in the canonical form, which a person can look at, mend and add columns to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tswork.data.faults import refuse
from tswork.data.places import Places
from tswork.data.readers.cutting import PIECES
from tswork.data.readers.layouts import Layout
from tswork.data.readers.listing import PATH
from tswork.data.spec import DataSpec
from tswork.disk import make_folder
from tswork.errors import Location, Problem, did_you_mean
from tswork.registry import components

FIRST = ("id", PATH, "split", "label", "speaker", "location", "start", "stop", "duration")
"""Columns that stand first, in this order."""


@dataclass(frozen=True)
class Imported:
    """A manifest that was written."""

    path: Path
    rows: int
    columns: tuple[str, ...]
    cut: str
    """What the data block has to say beside the path; empty: nothing."""


def layouts() -> dict[str, str]:
    """The readers of published layouts by name, and what they read."""
    return {one.name: one.summary for one in components("reader") if _is_layout(one.target)}


def write_manifest(layout: str, path: Path, out: Path, *, options: Mapping[str, Any], places: Places) -> Imported:
    """Write the recordings of a layout as a manifest; paths are relative to it where they lie below its folder.

    Raises `DataInvalid` when the layout is not known, the manifest is there already, or the set has faults.
    """
    problems = []
    if layout not in layouts():
        problems.append(Problem(f"no layout is called {layout!r}", remedy=did_you_mean(layout, layouts())))
    if out.exists():
        problems.append(
            Problem("there is such a file already", location=Location(str(out)), remedy="Choose another name.")
        )
    refuse(problems)
    spec = DataSpec.parse({"reader": layout, "path": str(path.absolute()), **options})
    reader: Layout[Any] = spec.reader.build()
    table, files = reader.located(spec, places)
    folder = out.absolute().parent
    frame = table.frame.assign(**{PATH: [_shown(file, folder) for file in files]}).dropna(axis="columns", how="all")
    columns = [*(name for name in FIRST if name in frame), *(name for name in frame.columns if name not in FIRST)]
    make_folder(folder)
    frame[columns].to_csv(out, index=False)
    unit = reader.cut_unit(table)
    told = unit is None or (unit == "seconds" and set(columns) >= PIECES)  # what a manifest takes for seconds by itself
    return Imported(out, len(frame), tuple(map(str, columns)), "" if told else f"cut: {unit}")


def _shown(file: Path, folder: Path) -> str:
    whole = file.absolute()
    return os.path.relpath(whole, folder) if whole.is_relative_to(folder) else str(whole)


def _is_layout(target: object) -> bool:
    return isinstance(target, type) and issubclass(target, Layout)
