"""A rehearsal memory as files: the table as Parquet, and beside it what it belongs to and a digest of all of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from tswork.data.collection import Collection
from tswork.data.faults import fault
from tswork.data.memory import Memory
from tswork.errors import did_you_mean
from tswork.store import key_of

FORMAT = 1
TABLE = "memory.parquet"
ABOUT = "memory.json"
AGAIN = "Copy the whole folder again, or fill the memory again."


def save_memory(folder: Path, memory: Memory) -> None:
    """Write a memory into a folder, which is created."""
    folder.mkdir(parents=True, exist_ok=True)
    memory.table.to_parquet(folder / TABLE, index=False)
    (folder / ABOUT).write_text(json.dumps(_about(memory), indent=1, sort_keys=True))


def load_memory(folder: Path, collection: Collection) -> Memory:
    """The memory of a folder, of the same collection.

    Raises `DataInvalid` when a file is missing or was altered, or when the memory is of another collection.
    """
    about = _read_about(folder / ABOUT)
    column = about.get("column")
    if about.get("collection") != collection.digest:
        raise fault(folder / ABOUT, "it is the memory of another collection", "Fill it again from this one.")
    if column not in collection.table.columns:
        hint = did_you_mean(str(column), map(str, collection.table.columns))
        raise fault(folder / ABOUT, f"the collection has no column {column!r}", hint)
    try:
        table = pd.read_parquet(folder / TABLE)
        spans, task, rank = (
            torch.from_numpy(table[names].to_numpy("int64", copy=True))
            for names in (["sequence", "start", "stop"], "task", "rank")
        )
        memory = Memory(collection, str(column), spans, task, rank, seen=int(about["seen"]))
        found = _about(memory)
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise fault(folder / TABLE, f"it cannot be read ({error})", AGAIN) from error
    if found != about:
        raise fault(folder / TABLE, "its content was altered after it was written", AGAIN)
    return memory


def _about(memory: Memory) -> dict[str, Any]:
    about = {
        "format": FORMAT,
        "column": memory.column,
        "collection": memory.collection.digest,
        "seen": memory.seen,
        "samples": len(memory),
    }
    return {**about, "digest": key_of({**about, "table": memory.table.to_dict("list")})}


def _read_about(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(path.read_text())
    except FileNotFoundError:
        raise fault(path, "there is no such file, so this is not a saved memory", AGAIN) from None
    except ValueError as error:
        raise fault(path, f"it is not JSON ({error})", AGAIN) from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise fault(path, f"it is not a memory of format {FORMAT}", "Use the tswork that wrote it, or fill it again.")
    return about
