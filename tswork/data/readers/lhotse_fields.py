"""What single lines of Lhotse's manifests say: the file of a recording, fields of their own, and why a recording cannot be read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from tswork.data.faults import each
from tswork.data.tables import Table
from tswork.errors import Problem
from tswork.wording import counted

FIELDS = ("text", "language", "speaker", "gender")
"""What a supervision says of its piece."""
SAVE = "Save it as a file (in Lhotse: `save_audio`)."
HARMLESS = frozenset({"Resample"})
"""Changes of a recording that need not be made: sound is brought to the data block's rate anyway."""

Wrong = tuple[int, str, str, str]
"""A row, a column, what is wrong there, and a remedy."""


def cells(table: Table, column: str) -> list[Any]:
    """A column row by row; None where it, or the whole column, is missing."""
    if column not in table.columns:
        return [None] * len(table)
    found = table.frame[column]
    return found.astype(object).where(found.notna(), None).tolist()


def nested(cell: Any) -> Any:
    """A block or a list, which a table holds as JSON text; None where there is none. Columns of other things: `misshapen`."""
    return json.loads(cell) if isinstance(cell, str) else None


def misshapen(table: Table) -> list[Problem]:
    """Rows in which a field that is read is something else than Lhotse writes there, also inside of blocks."""
    columns = {name: cells(table, name) for name in SHAPES if name in table.columns}
    wrong: list[Wrong] = []
    for row in range(len(table)):
        block = {name: _parsed(found[row]) if name in NESTED else found[row] for name, found in columns.items()}
        wrong += [(row, name, f"should be {what}", "") for name, what in _shape_faults(block)]
    return told(table, wrong, rest="fields of another kind")


def told(table: Table, wrong: Sequence[Wrong], *, rest: str) -> list[Problem]:
    """What is wrong in a table's rows, each with its place."""

    def problem(one: Wrong) -> Problem:
        row, column, message, remedy = one
        return Problem(message, column, table.at(row), remedy)

    return list(each(wrong, problem, rest=rest))


def _shape_faults(block: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names of fields that are wrong, and what they should be; the first of what is wrong inside of others."""
    for name, (fits, what) in SHAPES.items():
        value = block.get(name)
        if value is None:
            continue
        if not fits(value):
            yield name, what
            continue
        inside = [value] if isinstance(value, dict) else value if isinstance(value, list) and name in NESTED else []
        found = next((fault for one in inside if isinstance(one, dict) for fault in _shape_faults(one)), None)
        if found is not None and name != "custom":
            yield f"{name}.{found[0]}", found[1]


def _parsed(cell: Any) -> Any:
    """What a cell of JSON text holds; other cells as they are."""
    if not isinstance(cell, str):
        return cell
    try:
        return json.loads(cell)
    except ValueError:
        return cell


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _are_numbers(value: Any) -> bool:
    return all(map(_is_number, value)) if isinstance(value, list) else _is_number(value)


def _is_block(value: Any) -> bool:
    return isinstance(value, dict)


def _are_blocks(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_block, value))


SHAPES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "start": (_is_number, "a number"),
    "duration": (_is_number, "a number"),
    "channel": (_are_numbers, "a number, or a list of them"),
    "channels": (_are_numbers, "a number, or a list of them"),
    "sources": (_are_blocks, "a list of blocks"),
    "transforms": (_are_blocks, "a list of blocks"),
    "supervisions": (_are_blocks, "a list of blocks"),
    "recording": (_is_block, "a block"),
    "custom": (_is_block, "a block"),
}
"""What Lhotse writes into the fields that are read."""
NESTED = ("channel", "sources", "transforms", "supervisions", "recording", "custom")
"""Those of them that a table holds as JSON text."""


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
