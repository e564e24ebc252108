"""The units of a protocol summed up to what its test of a difference draws: pieces of time, or whole groups.

A test over time draws blocks of neighbouring forecast starts. A block is made of `PIECES` equal pieces and begins at any
piece, so that the mean of every piece is all that the test has to know; with blocks of no more starts than that, a piece is
one start. A test over groups (patient, speaker, item) has to know the mean and the size of every group. What is kept of a
result for later tables is therefore small, and its tests are those of the units themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from tswork.wording import counted

PIECES = 8
"""Pieces of a block: at this spacing its beginnings show all but the whole variance of overlapping blocks."""

KEYS = ("row", "at", "seed", "unit", "group", "size", "pieces")
"""Columns of units and clusters that are no metrics."""

SCORED = ("truth", "level", "predicted", "score/", "score.", "averaged")
"""How columns begin that hold what a classifier said of each item: areas and F1 are no means of any column."""


def clusters(units: pd.DataFrame, *, kind: str, horizon: int | None = None, block: int | None = None) -> pd.DataFrame:
    """Means over what is drawn together, for each row (and seed) of some units; clusters themselves stay as they are.

    Of the units those of the whole (`at` empty) are taken; where there are only units of several horizons, their means
    over the horizons, for the starts that all horizons have. `kind="time"` cuts the starts into pieces where there are at
    least two blocks of them (of `block` starts; default: by the horizon, which is the longest there unless given), and
    takes whole groups elsewhere, as does `kind="group"`.

    Columns: row and seed where the units have them, unit (the first start of a piece; 0 of a group), group (of pieces:
    which groups they hold), size (units in it), pieces (of a block; 0 of a group), and each metric's mean. What a classifier
    said of an item has no mean and is left out.
    """
    if "pieces" in units:
        return units
    longest = longest_horizon(units) if horizon is None else horizon
    whole = _whole(units) if "at" in units else units
    keys = [name for name in ("row", "seed") if name in whole]
    if not keys:
        return _of_row(whole, kind, longest, block)
    found = []
    for names, frame in whole.groupby(keys, sort=False):
        columns: dict[str, Any] = dict(zip(keys, names, strict=True))
        found.append(_of_row(frame, kind, longest, block).assign(**columns))
    return pd.concat(found, ignore_index=True)


def metrics_of(units: pd.DataFrame) -> list[str]:
    """The columns that are metrics."""
    return [str(name) for name in units if name not in KEYS and not str(name).startswith(SCORED)]


def has_scores(columns: Iterable[object]) -> bool:
    """Whether units with these columns hold scores, so that a test may need the items themselves."""
    return any(str(name).startswith(SCORED) for name in columns)


def longest_horizon(units: pd.DataFrame) -> int:
    """The longest horizon among the units' `at`; 1 where there is none."""
    ats = [str(at) for at in units["at"].unique()] if "at" in units else []
    return max((int(at[1:]) for at in ats if at[:1] == "h" and at[1:].isdigit()), default=1)


def block_length(times: int, horizon: int) -> int:
    """Starts of a block: at least the horizon, four of them where that leaves ten blocks."""
    return max(horizon, min(4 * horizon, times // 10))


def _whole(units: pd.DataFrame) -> pd.DataFrame:
    """Units of the whole, or the mean over horizons of those units that all horizons have."""
    whole = units[units["at"] == ""]
    if len(whole) or not len(units):
        return whole
    keys = [name for name in ("row", "seed", "group", "unit") if name in units]
    grouped = units.groupby(keys, sort=False)
    means = grouped[metrics_of(units)].mean()
    return means[grouped.size() == units["at"].nunique()].reset_index()


def _of_row(units: pd.DataFrame, kind: str, horizon: int, block: int | None) -> pd.DataFrame:
    times, order = np.unique(units["unit"].to_numpy(), return_inverse=True)
    length = block_length(len(times), horizon) if block is None else block
    names = metrics_of(units)
    if kind != "time" or len(times) < 2 * length:
        grouped = units[names].groupby(units["group"].astype(str).to_numpy())
        means = grouped.mean().assign(size=grouped.size())
        return means.rename_axis("group").reset_index().assign(unit=0, pieces=0)
    pieces = min(PIECES, length)
    count = len(times) * pieces // length
    of_time = np.arange(len(times)) * count // len(times)
    first = times[np.searchsorted(of_time, np.arange(count))]
    grouped = units[names].groupby(of_time[order.reshape(-1)])
    means = grouped.mean().assign(size=grouped.size())
    return means.reset_index(drop=True).assign(unit=first, group=_together(units["group"]), pieces=pieces)


def _together(group: pd.Series) -> str:
    """A name for all groups of a row, so that rows judged on other series are not taken for pairs."""
    names = sorted(group.astype(str).unique())
    return names[0] if len(names) == 1 else f"{counted(len(names), 'group')}, {names[0]} to {names[-1]}"
