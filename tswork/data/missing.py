"""Missing values (NaN): refused with their places, or interpolated inside each sequence."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float32, Int64

from tswork.data.collection import Collection
from tswork.data.faults import each
from tswork.data.locating import called, marked
from tswork.errors import Problem


def missing_problems(collection: Collection) -> list[Problem]:
    """A problem for every channel of a sequence that lacks values."""
    if not collection.values.is_floating_point():
        return []
    return marked(collection, torch.isnan(collection.values), "missing")


def interpolated(collection: Collection) -> tuple[Collection, list[Problem]]:
    """The collection with missing values filled, and a problem for every channel of a sequence that has no value at all.

    Linear between the values before and after, by time stamps where there are any, else by steps; the nearest value at both
    ends. Nothing is carried from one sequence to another. Like every filling it reads values from after the gap, so near a
    cut in time a training part may hold a trace of what comes next.
    """
    if not collection.values.is_floating_point() or not bool(torch.isnan(collection.values).any()):
        return collection, []
    offsets = collection.offsets.numpy()
    positions = np.arange(len(collection.values)) if collection.times is None else collection.times.numpy()
    values = collection.values.numpy().copy()
    empty: list[tuple[int, int]] = []
    for channel in range(values.shape[1]):
        values[:, channel], nothing = _filled(values[:, channel], offsets, positions)
        empty += [(row, channel) for row in nothing.tolist()]

    def problem(where: tuple[int, int]) -> Problem:
        path = f"{called(collection, where[0])}, {collection.channels[where[1]]}"
        return Problem("all values are missing", path, remedy="Leave out the channel or the sequence.")

    problems = list(each(empty, problem, rest="channels without any value"))
    return collection.replaced(values=torch.from_numpy(values)), problems


def _filled(
    column: Float32[np.ndarray, "time"], offsets: Int64[np.ndarray, "bound"], positions: Int64[np.ndarray, "time"]
) -> tuple[Float32[np.ndarray, "time"], Int64[np.ndarray, "empty"]]:
    """One channel without gaps, and the sequences that have no value in it."""
    present = ~np.isnan(column)
    steps = np.arange(len(column))
    before = np.maximum.accumulate(np.where(present, steps, -1))
    after = np.minimum.accumulate(np.where(present, steps, len(column))[::-1])[::-1]
    gaps = np.flatnonzero(~present)
    owner = np.searchsorted(offsets, gaps, side="right") - 1
    left, right = before[gaps], after[gaps]
    has_left, has_right = left >= offsets[owner], right < offsets[owner + 1]
    left, right = np.where(has_left, left, right), np.where(has_right, right, left)
    known = has_left | has_right
    gaps, left, right, nothing = gaps[known], left[known], right[known], np.unique(owner[~known])
    width = np.maximum(positions[right] - positions[left], 1)
    share = np.where(right > left, (positions[gaps] - positions[left]) / width, 0.0)
    filled = column.copy()
    filled[gaps] = column[left] + share * (column[right] - column[left])
    return filled, nothing
