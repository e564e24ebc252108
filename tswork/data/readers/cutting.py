"""Pieces of recordings: where each row of a manifest starts and stops inside its file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from tswork.data.faults import each
from tswork.data.tables import Table
from tswork.errors import Problem
from tswork.wording import counted

SLACK_SECONDS = 0.01
"""A piece may end this much after its recording: times in manifests are rounded."""
PIECES = frozenset(("start", "duration"))
"""Columns that say of a listing that its rows are pieces of recordings, in seconds."""

Unit = Literal["seconds", "steps"]


def cut_rows(
    table: Table,
    unit: Unit,
    rate: float | None,
    lengths: Sequence[int | None],
    *,
    file_rates: Sequence[float | None] = (),
    shortest: Sequence[int] = (),
) -> tuple[list[int], list[int | None], dict[int, str], list[Problem]]:
    """First step and the one after the last of each row, from its columns `start` and `stop` or `duration`; rows in which they
    do not fit the recording; and the faults of the columns.

    An empty `start` is the beginning, an empty `stop` the end; a stop is None while the length of the file is not known. Steps
    are those of the file: where a decoder brought it from `file_rates` to another rate, they are brought along. `shortest` are the
    steps that each piece needs.
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
    scales = _scales(unit, rate, file_rates, len(lengths))
    start, stop = _bounds(table, faults)
    begins = np.nan_to_num(np.round(start * scales)).astype(np.int64)
    ends: list[int | None] = []
    wrong: dict[int, str] = {}
    for row, length in enumerate(lengths):
        scale = float(scales[row])
        slack = int(SLACK_SECONDS * scale) if unit == "seconds" else 0
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
        elif end is not None and shortest and end - begins[row] < shortest[row]:
            wrong[row] = (
                f"has {counted(end - begins[row], 'step')}, and the shortest that can be used has {shortest[row]}"
            )
    return begins.tolist(), ends, wrong, faults


def _scales(unit: Unit, rate: float | None, file_rates: Sequence[float | None], rows: int) -> np.ndarray:
    """Steps of a recording as it is read that one unit of each row stands for."""
    if unit == "seconds":
        assert rate is not None
        return np.full(rows, rate)
    told = [rate / own if own and rate else 1.0 for own in file_rates]
    return np.array(told) if told else np.ones(rows)


def _bounds(table: Table, faults: list[Problem]) -> tuple[np.ndarray, np.ndarray]:
    """Where each row starts and stops, in its own unit; `duration` counts where there is no column `stop`."""
    start = _numbers(table, "start", faults)
    if "stop" in table.columns:
        return start, _numbers(table, "stop", faults)
    return start, np.nan_to_num(start) + _numbers(table, "duration", faults)


def _numbers(table: Table, name: str, faults: list[Problem]) -> np.ndarray:
    if name not in table.columns:
        return np.full(len(table), np.nan)
    column = table.frame[name]
    read = pd.to_numeric(column, errors="coerce")
    read = read.where(np.isfinite(read))
    wrong = np.flatnonzero(read.isna() & column.notna())
    remedy = "" if "stop" in table.columns else "Where it tells no piece of the recording, give `cut: none`."
    faults += each(
        wrong,
        lambda row: Problem(f"{column.iloc[row]!r} is not a number", name, table.at(row), remedy),
        rest=f"cells of {name!r} that are not numbers",
    )
    return read.to_numpy(np.float64)
