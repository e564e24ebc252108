"""Where something stands in a collection, in the words of its user: the sequence's id, the channel, the step or its time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool
from torch import Tensor

from tswork.data.collection import Collection
from tswork.data.faults import each
from tswork.errors import Problem
from tswork.wording import counted

SHOWN = 5


def called(collection: Collection, row: int) -> str:
    """A sequence by its id, else by its row."""
    return str(collection.table["id"].iloc[row]) if "id" in collection.table.columns else f"row {row}"


def named(collection: Collection, rows: Sequence[int]) -> str:
    """Some sequences by their ids: `a, b, c and 4 more`."""
    listed = ", ".join(called(collection, row) for row in rows[:SHOWN])
    return f"{listed} and {len(rows) - SHOWN} more" if len(rows) > SHOWN else listed


def when(collection: Collection, position: int) -> str:
    """A step of the packed values: its time where it has one, else its number inside its sequence."""
    if collection.times is not None:
        return str(np.datetime64(int(collection.times[position]), "ns").astype("datetime64[s]")).replace("T", " ")
    offsets = collection.offsets.numpy()
    return f"step {position - int(offsets[np.searchsorted(offsets, position, side='right') - 1])}"


def marked(collection: Collection, mask: Bool[Tensor, "time channel"], what: str) -> list[Problem]:
    """One problem a sequence and channel in which some values are marked: `3 values are <what> (the first at step 17)`."""
    if not bool(mask.any()):
        return []
    steps, channels = mask.nonzero(as_tuple=True)
    sequence = np.searchsorted(collection.offsets.numpy(), steps.numpy(), side="right") - 1
    pair = sequence * len(collection.channels) + channels.numpy()
    pairs, first, count = np.unique(pair, return_index=True, return_counts=True)

    def problem(index: int) -> Problem:
        row, channel = divmod(int(pairs[index]), len(collection.channels))
        found = counted(count[index], "value is", "values are")
        text = f"{found} {what} (the first at {when(collection, int(steps[first[index]]))})"
        return Problem(text, f"{called(collection, row)}, {collection.channels[channel]}")

    return list(each(np.arange(len(pairs)), problem, rest=f"channels with values that are {what}"))
