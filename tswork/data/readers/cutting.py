"""Pieces of recordings: where each row of a manifest starts and stops inside its file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from tswork.data.faults import each
from tswork.data.tables import Table
from tswork.errors import Problem

SLACK_SECONDS = 0.01
"""A piece may end this much after its recording: times in manifests are rounded."""


def cut_rows(
    table: Table,
    unit: Literal["seconds", "steps"],
    rate: float | None,
    lengths: Sequence[int | None],
    shortest: Sequence[int],
) -> tuple[list[int], list[int | None], dict[int, str], list[Problem]]:
    """First step and the one after the last of each row, from its columns `start` and `stop`, rows in which these do not fit,
    and what is wrong with the columns.

    `shortest` are the steps that a piece needs. An empty `start` is the beginning, an empty `stop` the end; a stop is None while
    the length of the file is not known.
    """
    faults: list[Problem] = []
    if not {"start", "stop"} & set(table.columns):
        return [], [], {}, [Problem("has neither a column 'start' nor 'stop'", "data.cut", table.head)]
    if unit == "seconds" and rate is None:
        return (
            [],
            [],
            {},
            [Problem("cutting in seconds needs a rate", "data.cut", remedy="Give `rate:`, or cut in steps.")],
        )
    scale = rate if unit == "seconds" and rate is not None else 1.0
    slack = int(SLACK_SECONDS * scale) if unit == "seconds" else 0
    start, stop = (_numbers(table, name, faults) for name in ("start", "stop"))
    begins = np.nan_to_num(np.round(start * scale)).astype(np.int64)
    ends: list[int | None] = []
    wrong: dict[int, str] = {}
    for row, length in enumerate(lengths):
        end = length if np.isnan(stop[row]) else round(float(stop[row]) * scale)
        if end is not None and length is not None and length < end <= length + slack:
            end = length
        ends.append(end)
        if begins[row] < 0:
            wrong[row] = f"starts at {start[row]:g} {unit}"
        elif end is not None and end <= begins[row]:
            wrong[row] = f"stops at {end / scale:g} {unit}, not after its start at {begins[row] / scale:g}"
        elif end is not None and length is not None and end > length:
            wrong[row] = f"stops at {stop[row]:g} {unit}, and the recording has {length / scale:g}"
        elif end is not None and end - begins[row] < shortest[row]:
            wrong[row] = f"has {end - begins[row]} steps, and the shortest that can be used has {shortest[row]}"
    return begins.tolist(), ends, wrong, faults


def _numbers(table: Table, name: str, faults: list[Problem]) -> np.ndarray:
    if name not in table.columns:
        return np.full(len(table), np.nan)
    column = table.frame[name]
    read = pd.to_numeric(column, errors="coerce")
    wrong = np.flatnonzero(read.isna() & column.notna())
    faults += each(
        wrong,
        lambda row: Problem(f"{column.iloc[row]!r} is not a number", name, table.at(row)),
        rest=f"cells of {name!r} that are not numbers",
    )
    return read.to_numpy(np.float64)
