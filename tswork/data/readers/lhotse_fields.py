"""What single lines of Lhotse's manifests say: the file of a recording, fields of their own, and why a recording cannot be read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from tswork.data.tables import Table
from tswork.wording import counted

FIELDS = ("text", "language", "speaker", "gender")
"""What a supervision says of its piece."""
SAVE = "Save it as a file (in Lhotse: `save_audio`)."
HARMLESS = frozenset({"Resample"})
"""Changes of a recording that need not be made: sound is brought to the data block's rate anyway."""


def cells(table: Table, column: str) -> list[Any]:
    """A column row by row; None where it, or the whole column, is missing."""
    if column not in table.columns:
        return [None] * len(table)
    found = table.frame[column]
    return found.astype(object).where(found.notna(), None).tolist()


def nested(cell: Any) -> Any:
    """A block or a list, which a table holds as JSON text; None where there is none."""
    return json.loads(cell) if isinstance(cell, str) else None


def custom(block: Any) -> dict[str, Any]:
    """Custom fields; what is nested in them becomes JSON text."""
    inside = (dict, list)
    return {
        key: json.dumps(value) if isinstance(value, inside) else value
        for key, value in (block or {}).items()
        if isinstance(value, inside) or not pd.isna(value)
    }


def changes(transforms: Any) -> str:
    """Why a recording with these cannot be read as it stands in its file; empty: it can."""
    names = [str(one.get("name")) for one in transforms or []]
    return f"is to be changed when it is read ({', '.join(names)})" if set(names) - HARMLESS else ""


def channels_of(sources: Any) -> tuple[int, ...]:
    """The channels of a recording's one file."""
    return tuple(sources[0].get("channels") or (0,))


def left_channels(chosen: Sequence[int], every: Sequence[int]) -> str:
    """Why a piece of some of a file's channels cannot be read; empty: it is of all."""
    if set(every) <= set(chosen):
        return ""
    has = "one channel" if len(chosen) == 1 else counted(len(chosen), "channel")
    return f"is {has} of a file of {len(every)}, and channels are mixed when they are read"


def file_of(sources: Any) -> tuple[str | None, str]:
    """The file of a recording, or why it has none that is read."""
    sources = sources or []
    source = sources[0] if len(sources) == 1 and isinstance(sources[0], dict) else None
    if source is None:
        return None, f"has {counted(len(sources), 'source')}, and one is read"
    if source.get("type") != "file":
        return None, f"comes from a {source.get('type')}, and only files are read"
    return str(source.get("source")), ""
