"""What integer codes in files mean: values in physical units, and names in place of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Shaped

from tswork.data.faults import each, refuse
from tswork.errors import Location, Problem, did_you_mean
from tswork.wording import counted

Given = str | float
"""A number, or the name of an array that holds it."""
Arrays = Mapping[str, np.ndarray]


def in_units(
    codes: Shaped[np.ndarray, "case time channel"],
    arrays: Arrays,
    path: Path,
    *,
    scale: Given = 1.0,
    gain: Given = 1.0,
    offset: Given = 0.0,
) -> np.ndarray:
    """`code * scale / gain + offset`; codes stay as they are where nothing is to be done.

    Each is a number or the name of an array of one number, one a channel, or (case, channel). Raises `DataInvalid` with all
    arrays of another shape or without numbers, and for a gain of 0.
    """
    faults: list[Problem] = []
    factor, divisor, added = (
        _spread(key, given, codes.shape, arrays, path, faults)
        for key, given in (("scale", scale), ("gain", gain), ("offset", offset))
    )
    if (np.asarray(divisor) == 0).any():
        faults.append(Problem("codes cannot be divided by 0", "data.gain", Location(str(path))))
    refuse(faults)
    values = codes if _is(factor, 1) else codes * factor
    values = values if _is(divisor, 1) else values / divisor
    return values if _is(added, 0) else values + added


def with_names(
    table: pd.DataFrame, names: Mapping[str, Sequence[str] | str], arrays: Arrays, path: Path
) -> pd.DataFrame:
    """The table with names in place of the codes 0, 1, ... in some columns.

    `names` holds, for each column, the names in order or the name of the array that has them. Raises `DataInvalid` with every
    column that is not there and every code that has no name.
    """
    place, faults, named = Location(str(path)), list[Problem](), {}
    for column, given in names.items():
        key = f"data.names.{column}"
        known = [str(name) for name in arrays[given].ravel()] if isinstance(given, str) else [*given]
        if column not in table.columns:
            hint = did_you_mean(column, map(str, table.columns))
            faults.append(Problem(f"there is no column {column!r}", key, place, hint))
            continue
        codes = pd.to_numeric(table[column], errors="coerce").to_numpy(np.float64, na_value=np.nan)
        fits = (codes >= 0) & (codes < len(known)) & (codes == np.floor(codes))
        other = pd.unique(table[column][~fits])

        def nameless(code: Any, key: str = key, count: int = len(known)) -> Problem:
            text = f"{code!r} has no name; {counted(count, 'name is that', 'names are those')} of 0 to {count - 1}"
            return Problem(text, key, place)

        faults += each([*other.tolist()], nameless, rest=f"codes of {column!r} without a name")
        if fits.all():
            named[column] = pd.Series([known[code] for code in codes.astype(int)], dtype=str)
    refuse(faults)
    return table.assign(**named)


def _spread(
    key: str, given: Given, shape: tuple[int, ...], arrays: Arrays, path: Path, faults: list[Problem]
) -> np.ndarray | float:
    """A number, or an array that fits codes of (case, time, channel)."""
    if not isinstance(given, str):
        return float(given)
    found, (cases, _, width) = arrays[given], shape
    place = Location(str(path))
    if found.dtype.kind not in "fiub":
        faults.append(Problem(f"{given!r} holds {found.dtype.name}, not numbers", f"data.{key}", place))
    elif found.size == 1:
        return found.astype(np.float64).reshape(())
    elif found.shape == (width,):
        return found.astype(np.float64)
    elif found.shape in ((cases, width), (cases, 1)):
        return found.astype(np.float64)[:, None, :]
    else:
        text = f"{given!r} has the shape {found.shape}; one number, {width} (one a channel), or ({cases}, {width}) are expected"
        faults.append(Problem(text, f"data.{key}", place))
    return 1.0


def _is(given: np.ndarray | float, neutral: int) -> bool:
    return np.ndim(given) == 0 and bool(given == neutral)
