"""Steps between time stamps: the usual one, and those that differ from it."""

from __future__ import annotations

import warnings
from functools import lru_cache

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int
from torch import Tensor

from tswork.data.collection import Collection
from tswork.data.locating import named
from tswork.errors import TsworkWarning
from tswork.wording import counted, worded

SECOND = 10**9


def odd_steps(collection: Collection) -> tuple[int, Int[Tensor, "odd"]]:
    """The most frequent step within sequences in nanoseconds (a second where there is none), and the places of others.

    A place is that of the stamp before the step among all stamps. The collection has time stamps.
    """
    assert collection.times is not None
    spacing = collection.times.diff()
    inside = torch.ones(len(spacing), dtype=torch.bool)
    borders = collection.offsets[1:-1]
    inside[borders[(borders > 0) & (borders < len(collection.times))] - 1] = False
    usual = int(spacing[inside].mode().values) if bool(inside.any()) else SECOND
    return usual, torch.nonzero(inside & (spacing != usual)).flatten()


def sequences_at(collection: Collection, steps: Int[Tensor, "step"]) -> list[int]:
    """The sequences in which some steps of the packed values are."""
    rows = torch.unique(torch.searchsorted(collection.offsets, steps, right=True) - 1)
    return [int(row) for row in rows]


def told_steps(collection: Collection) -> str:
    """What is to be said of uneven time stamps; empty where every sequence has even steps or those of a calendar."""
    if collection.times is None or len(collection.times) < 3:
        return ""
    usual, odd = odd_steps(collection)
    of_calendar = lru_cache(_of_a_calendar)  # series of one table mostly share their stamps
    rows = [row for row in sequences_at(collection, odd) if not of_calendar(_stamps(collection, row))]
    if not rows:
        return ""
    steps = len(collection.times) - int((collection.lengths > 0).sum())
    told = f"{len(odd)} of {counted(steps, 'time step')} {worded(len(odd), 'differs', 'differ')} from the usual {usual / SECOND:g} s"
    return f"{told}, in {named(collection, rows)}; windows and horizons count rows"


def with_told_steps(collection: Collection) -> Collection:
    """The collection with a note of uneven time stamps, which is warned of."""
    told = told_steps(collection)
    if not told:
        return collection
    warnings.warn(told, TsworkWarning, stacklevel=3)
    return collection.replaced(notes=(*collection.notes, told))


def _stamps(collection: Collection, row: int) -> bytes:
    assert collection.times is not None
    first, last = (int(bound) for bound in collection.offsets[row : row + 2])
    return collection.times[first:last].numpy().tobytes()


def _of_a_calendar(stamps: bytes) -> bool:
    """Whether a sequence by itself has even steps, or those of months or working days; one step is even."""
    times = np.frombuffer(stamps, np.int64)
    return len(times) < 3 or pd.infer_freq(pd.DatetimeIndex(times)) is not None
