"""Cells of a table as numbers and time stamps; what is neither is told with its line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float32, Int64

from tswork.data.faults import each
from tswork.data.tables import Form, Table
from tswork.errors import Problem

DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
WHOLE_NUMBER = re.compile(r"[+-]?\d+")
LEADING_ZERO = r"[+-]?0\d.*"
EXACT = 2.0**53
"""From here on floating point leaves out whole numbers."""
PLAIN = Form()
DATE_FORMATS = tuple(
    f"{day}{time}"
    for day in ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d-%m-%Y")
    for time in (" %H:%M", " %H:%M:%S", "")
)
"""What dates are looked for as where they are not ISO 8601."""


def typed(column: pd.Series[Any]) -> pd.Series[Any]:
    """A text column as numbers where every cell is one and stays what it is; names such as `03` stay text.

    Whole numbers that floating point would round, and so make equal (ids of 20 digits, of 17 beside an empty cell), stay as they are.
    """
    present = column.dropna()
    if pd.api.types.is_numeric_dtype(column) or present.empty or present.astype(str).str.fullmatch(LEADING_ZERO).any():
        return column
    read = pd.to_numeric(column, errors="coerce")
    if int(read.notna().sum()) < len(present) or np.isinf(read).any() or _rounded(present, read).any():
        return column
    return read


def typed_names(column: pd.Series[Any]) -> pd.Series[Any]:
    """The same of a column whose cells tell things apart: text where two of them, such as `1.1` and `1.10`, are one number."""
    read = typed(column)
    return read if read.nunique() == column.nunique() else column


def _rounded(texts: pd.Series[Any], read: pd.Series[Any]) -> pd.Series[bool]:
    """Which whole numbers are not what they were read as."""
    if not pd.api.types.is_float_dtype(read):
        return pd.Series(False, index=texts.index)
    large = read[texts.index].abs() >= EXACT
    return large & texts.astype(str).str.strip().str.fullmatch(WHOLE_NUMBER.pattern).astype(bool)


def with_points(frame: pd.DataFrame) -> pd.DataFrame:
    """A table of texts with points for commas in columns that hold numbers with a decimal comma and nothing else."""
    found = frame.copy(deep=False)
    for name in frame.columns:
        cells = frame[name].dropna().astype(str).str.strip()
        commas = cells.str.fullmatch(DECIMAL_COMMA)
        if commas.any() and (commas | cells.str.fullmatch(WHOLE_NUMBER)).all():
            found[name] = frame[name].str.replace(",", ".", regex=False)
    return found


def numbers(
    table: Table, names: Sequence[str], faults: list[Problem], *, form: Form = PLAIN
) -> Float32[np.ndarray, "row column"]:
    """Columns as float32; text, infinities and numbers beyond single precision are added to the faults."""
    columns = []
    for name in names:
        column = table.frame[name]
        if not pd.api.types.is_numeric_dtype(column):
            read = pd.to_numeric(column, errors="coerce")
            wrong = np.flatnonzero(read.isna() & column.notna())
            faults += _not_numbers(table, name, wrong, form)
            column = read
        columns.append(column.to_numpy(np.float64))
    values = np.stack(columns, axis=1) if columns else np.zeros((len(table), 0))
    infinite = np.argwhere(np.abs(values) > np.finfo(np.float32).max)
    faults += each(
        infinite, lambda cell: Problem("is infinite", names[cell[1]], table.at(cell[0])), rest="infinite cells"
    )
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def stamps(table: Table, name: str, date_format: str | None, faults: list[Problem]) -> Int64[np.ndarray, "row"]:
    """A column of dates as nanoseconds since 1970 (in UTC where they tell their offset); what is no date is a fault.

    Dates that all stand in one other format are one fault, whose remedy is that format.
    """
    column = table.frame[name]
    parsed = pd.to_datetime(column, format=date_format or "ISO8601", errors="coerce", utc=True)
    wrong = np.flatnonzero(parsed.isna())
    other = None if date_format or not len(wrong) else date_format_of(column.dropna())
    remedy = "" if date_format else "Give its format as `date_format: '%d.%m.%Y %H:%M'`."

    def problem(row: int) -> Problem:
        return Problem(f"{_shown(column.iloc[row])} is not a date", name, table.at(row), remedy)

    if other:
        first = int(np.flatnonzero(column.notna())[0])
        told = f"holds dates such as {_shown(column.iloc[first])}, which are not ISO 8601"
        faults.append(Problem(told, name, table.at(first), f"Give `date_format: '{other}'`."))
        wrong, remedy = np.flatnonzero(column.isna()), ""
    faults += each(wrong, problem, rest=f"cells of {name!r} that are not dates")
    return np.asarray(parsed.dt.tz_localize(None).to_numpy("datetime64[ns]").astype(np.int64))


def date_format_of(cells: pd.Series[Any]) -> str | None:
    """The one of `DATE_FORMATS` in which all cells are dates, best such that rise, in the most regular steps; None: none."""
    fitting: dict[str, tuple[bool, int]] = {}
    for date_format in DATE_FORMATS:
        read = pd.to_datetime(cells.astype(str), format=date_format, errors="coerce")
        if len(read) and read.notna().all():
            fitting[date_format] = (not read.is_monotonic_increasing, int(read.diff().nunique()))
    return min(fitting, key=lambda one: fitting[one], default=None)


def order_faults(
    table: Table,
    times: Int64[np.ndarray, "row"],
    *,
    rows: Int64[np.ndarray, "row"] | None = None,
    series: Int64[np.ndarray, "row"] | None = None,
) -> Iterator[Problem]:
    """Stamps that do not rise within their series; `rows` says in which row of the table each stamp stands."""
    steps = np.diff(times)
    same = np.ones(len(steps), bool) if series is None else series[1:] == series[:-1]
    before = "the row before it" if series is None else "the row before it of the same series"

    def problem(position: int) -> Problem:
        place = table.at(position + 1 if rows is None else int(rows[position + 1]))
        if steps[position] == 0:
            remedy = "Keep one row a time; where clocks went back, give times with their offset from UTC."
            return Problem(f"repeats the time of {before}", location=place, remedy=remedy)
        return Problem(f"is earlier than {before}", location=place, remedy="Sort the rows by time.")

    yield from each(np.flatnonzero((steps <= 0) & same), problem, rest="rows that are not later than the row before")


def _not_numbers(table: Table, name: str, rows: Int64[np.ndarray, "row"], form: Form) -> Iterator[Problem]:
    """Cells that are no numbers; a column without any is told once."""
    column = table.frame[name]

    def problem(row: int) -> Problem:
        cell = column.iloc[row]
        comma = isinstance(cell, str) and DECIMAL_COMMA.fullmatch(cell.strip())
        option = form.option("decimal: ','")
        remedy = f"It has a decimal comma: give {option}." if comma else ""
        return Problem(f"{_shown(cell)} is not a number", name, table.at(row), remedy)

    if len(rows) > 1 and len(rows) == int(column.notna().sum()):
        first = problem(int(rows[0]))
        remedy = first.remedy or "Choose other columns with `channels:`; time stamps are named with `time:`."
        yield Problem(f"holds no numbers (the first: {_shown(column.iloc[rows[0]])})", name, first.location, remedy)
    else:
        yield from each(rows, problem, rest=f"cells of {name!r} that are not numbers")


def _shown(cell: Any) -> str:
    return "an empty cell" if pd.isna(cell) else repr(cell)
