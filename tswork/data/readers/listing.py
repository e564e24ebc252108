"""What lists recordings, in one canonical form: a table with a row a recording.

| column | meaning |
| --- | --- |
| `path` | the file: relative to the listing's folder, below a data root, or absolute; `{root}` stands for the folder |
| `id` | unique; by default the path |
| `split` | train, validation or test, for `split: {by: official}` |
| `start`, `duration` | seconds of a piece inside the file; else the whole file |

Every other column (`label`, `speaker`, `location`, `item`, `text`, `lat`, `lon`, ...) is kept as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tswork.data.tables import Table

PATH = "path"
ID = "id"
ROOT = "{root}/"


@dataclass(frozen=True, eq=False)
class Listing:
    """The canonical table of a set of recordings, the folder its relative paths start from, and the files it was read from."""

    table: Table
    folder: Path
    sources: tuple[Path, ...]
    suffix: str = ""
    """What every path lacks at its end."""


def line_of(table: Table, row: int) -> str:
    """Where another row stands, in a few words."""
    line = table.at(row).line
    return f"line {line}" if line is not None else "another row"
