"""Series in CSV files, plain or gzipped, in three layouts.

    wide  one row a time step, one column a channel (ETT, weather, an own load curve)
    long  one row a time step of one of many series, which `id` names
    rows  one series a row: its id, then its values; trailing cells empty (M4)

In the layout `rows`, `continuation` names a file whose rows go on with the same series; it becomes the test part of
`split: {by: official}` through the table's `test_start`.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch
from pydantic import Field

from tswork.config import Config, FilePath
from tswork.data.collection import Collection
from tswork.data.files import find_file
from tswork.data.places import Places
from tswork.data.readers.base import Reader
from tswork.data.spec import DataOptions, DataSpec
from tswork.errors import DataInvalid, Location, Problem, did_you_mean
from tswork.registry import register

MAX_SHOWN = 20


class SeriesCsvConfig(Config):
    path: FilePath = Field(description="the CSV file")
    layout: Literal["wide", "long", "rows"] = Field(default="wide", description="how series stand in the file")
    separator: str = Field(default=",", min_length=1, max_length=1, description="between cells")
    date_format: str | None = Field(default=None, description="format of the time stamps (strptime); none: ISO 8601")
    id: str | None = Field(default=None, description="layout long: column that names the series")
    continuation: FilePath | None = Field(
        default=None, description="layout rows: file whose rows go on with the same series"
    )


@register("reader", "series_csv", version=1, config=SeriesCsvConfig)
class SeriesCsv(Reader[SeriesCsvConfig]):
    """Time series in CSV files: a column a channel, rows keyed by an id, or one series a row."""

    def files(self, spec: DataSpec, places: Places) -> Sequence[Path]:
        given = [self.config.path, *([self.config.continuation] if self.config.continuation else [])]
        return [find_file(path, places, card=spec.options.name) for path in given]

    def read(self, spec: DataSpec, places: Places) -> Collection:
        files = self.files(spec, places)
        if self.config.layout == "rows":
            return _read_rows(files, spec.options, self.config)
        frame = _read_table(files[0], self.config.separator)
        if self.config.layout == "wide":
            return _from_wide(frame, files[0], spec.options, self.config)
        return _from_long(frame, files[0], spec.options, self.config)


def _read_table(path: Path, separator: str) -> pd.DataFrame:
    """All cells as they stand; unreadable, empty and ragged files are refused."""
    try:
        frame = pd.read_csv(path, sep=separator, low_memory=False, float_precision="round_trip", encoding="utf-8-sig")
    except (EOFError, zlib.error, gzip.BadGzipFile, OSError) as error:
        raise _fault(path, None, f"is truncated or not gzip: {error}", "Get the file again.") from error
    except UnicodeDecodeError as error:
        raise _fault(path, None, "is not UTF-8 text", "Save it as UTF-8.") from error
    except pd.errors.EmptyDataError as error:
        raise _fault(path, 1, "is empty") from error
    except pd.errors.ParserError as error:
        ragged = list(_ragged(path, separator))
        raise (DataInvalid(ragged) if ragged else _fault(path, None, f"is not a CSV table: {error}")) from error
    if frame.empty:
        raise _fault(path, 2, "has a header and no rows")
    twice = [str(name) for name in frame.columns if str(name).endswith(".1") and str(name)[:-2] in frame.columns]
    if twice:
        raise DataInvalid(
            [Problem(f"the column {name[:-2]!r} stands twice", location=Location(str(path), 1)) for name in twice]
        )
    # pandas fills short rows without a word, so rows are counted where the last column has gaps.
    if frame.iloc[:, -1].isna().any():
        ragged = list(_ragged(path, separator))
        if ragged:
            raise DataInvalid(ragged)
    return frame


def _ragged(path: Path, separator: str) -> Iterator[Problem]:
    opened = gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="")
    with opened as file:
        reader = csv.reader(file, delimiter=separator)
        width = len(next(reader, []))
        found = 0
        for row in reader:
            if row and len(row) != width:
                found += 1
                if found <= MAX_SHOWN:
                    yield Problem(
                        f"has {len(row)} cells where the header has {width}",
                        location=Location(str(path), reader.line_num),
                    )
        if found > MAX_SHOWN:
            yield Problem(f"and {found - MAX_SHOWN} more rows of another width", location=Location(str(path)))


def _from_wide(frame: pd.DataFrame, path: Path, options: DataOptions, config: SeriesCsvConfig) -> Collection:
    problems: list[Problem] = []
    stamp = _time_column(frame, options, problems, path)
    times = _times(frame[stamp], path, config.date_format, problems) if stamp else None
    channels, targets = _channels(frame, options, [stamp] if stamp else [], problems, path)
    values = _numbers(frame, channels, options, path, problems)
    if times is not None:
        _check_order(times, path, problems, groups=None)
    if problems:
        raise DataInvalid(problems)
    ours = {theirs: our for our, theirs in options.columns.items()}
    return Collection(
        values=torch.from_numpy(values),
        offsets=torch.tensor([0, len(values)]),
        table=pd.DataFrame({"id": [path.name.split(".")[0]]}),
        channels=tuple(ours.get(name, name) for name in channels),
        times=torch.from_numpy(times) if times is not None else None,
        rate=options.rate,
        targets=targets,
        name=options.name,
    )


def _from_long(frame: pd.DataFrame, path: Path, options: DataOptions, config: SeriesCsvConfig) -> Collection:
    problems: list[Problem] = []
    key = options.columns.get(config.id or "id", config.id or "id")
    if key not in frame.columns:
        raise _fault(path, 1, f"has no column {key!r}", did_you_mean(key, map(str, frame.columns)))
    stamp = _time_column(frame, options, problems, path)
    times = _times(frame[stamp], path, config.date_format, problems) if stamp else None
    described = [name for name in (options.label, *options.groups) if name and name in frame.columns]
    channels, targets = _channels(frame, options, [key, *([stamp] if stamp else []), *described], problems, path)
    codes, names = pd.factorize(frame[key], sort=False)
    order = np.argsort(codes, kind="stable")
    values = _numbers(frame, channels, options, path, problems)[order]
    table = pd.DataFrame({"id": names})
    for column in described:
        per_series = frame[column].groupby(codes)
        if (per_series.nunique(dropna=False) > 1).any():
            problems.append(Problem(f"the column {column!r} changes within a series", location=Location(str(path))))
        table[column] = per_series.first().to_numpy()
    if times is not None:
        times = times[order]
        _check_order(times, path, problems, groups=codes[order])
    if problems:
        raise DataInvalid(problems)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(codes))])
    return Collection(
        values=torch.from_numpy(np.ascontiguousarray(values)),
        offsets=torch.from_numpy(offsets.astype(np.int64)),
        table=table,
        channels=channels,
        times=torch.from_numpy(times) if times is not None else None,
        rate=options.rate,
        label=options.label,
        groups=options.groups,
        targets=targets,
        name=options.name,
    )


def _read_rows(files: Sequence[Path], options: DataOptions, config: SeriesCsvConfig) -> Collection:
    tables = [_read_table(path, config.separator) for path in files]
    names = tables[0].iloc[:, 0].astype(str)
    problems: list[Problem] = []
    parts = [_row_values(table, path, problems) for table, path in zip(tables, files, strict=True)]
    if len(tables) == 2 and set(names) != set(tables[1].iloc[:, 0].astype(str)):
        other = set(names) ^ set(tables[1].iloc[:, 0].astype(str))
        problems.append(
            Problem(f"the two files do not name the same series: {sorted(other)[:5]}", location=Location(str(files[1])))
        )
    if problems:
        raise DataInvalid(problems)
    further = dict(zip(tables[1].iloc[:, 0].astype(str), parts[1], strict=True)) if len(parts) == 2 else {}
    series = [
        np.concatenate([first, further[name]]) if further else first
        for name, first in zip(names, parts[0], strict=True)
    ]
    table = pd.DataFrame({"id": names})
    if further:
        table["test_start"] = [len(first) for first in parts[0]]
    return Collection(
        values=torch.from_numpy(np.concatenate(series)[:, None]),
        offsets=torch.from_numpy(np.cumsum([0, *map(len, series)]).astype(np.int64)),
        table=table,
        channels=("value",),
        rate=options.rate,
        targets=("value",),
        name=options.name,
    )


def _row_values(table: pd.DataFrame, path: Path, problems: list[Problem]) -> list[np.ndarray]:
    numbers = table.iloc[:, 1:].apply(pd.to_numeric, errors="coerce")
    wrong = numbers.isna().to_numpy() & table.iloc[:, 1:].notna().to_numpy()
    for row, column in np.argwhere(wrong)[:MAX_SHOWN]:
        text = table.iloc[row, column + 1]
        problems.append(
            Problem(f"{text!r} is not a number", str(table.columns[column + 1]), Location(str(path), int(row) + 2))
        )
    values = numbers.to_numpy(np.float32)
    present = ~np.isnan(values)
    lengths = np.where(present.any(1), values.shape[1] - present[:, ::-1].argmax(1), 0)
    for row in np.flatnonzero(lengths == 0)[:MAX_SHOWN]:
        problems.append(Problem("is a series without values", location=Location(str(path), int(row) + 2)))
    return [values[row, :length] for row, length in enumerate(lengths)]


def _time_column(frame: pd.DataFrame, options: DataOptions, problems: list[Problem], path: Path) -> str | None:
    if options.time is None:
        return None
    name = options.columns.get(options.time, options.time)
    if name not in frame.columns:
        hint = did_you_mean(name, map(str, frame.columns))
        problems.append(Problem(f"has no time column {name!r}", location=Location(str(path), 1), remedy=hint))
        return None
    return name


def _channels(
    frame: pd.DataFrame, options: DataOptions, taken: Sequence[str], problems: list[Problem], path: Path
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Covariates before targets, in the order they are named or stand; without a target every channel is one."""
    available = [str(name) for name in frame.columns if name not in taken]
    theirs = [options.columns.get(name, name) for name in options.target]
    others = options.covariates if options.covariates is not None else options.channels
    wanted = [options.columns.get(name, name) for name in others] if others is not None else None
    for name in [*theirs, *(wanted or [])]:
        if name not in available:
            hint = did_you_mean(name, available)
            problems.append(Problem(f"has no column {name!r}", location=Location(str(path), 1), remedy=hint))
    if wanted is None:
        wanted = [] if theirs else available
    channels = [*(name for name in wanted if name not in theirs), *theirs]
    return tuple(name for name in channels if name in available), tuple(options.target)


def _numbers(
    frame: pd.DataFrame, channels: Sequence[str], options: DataOptions, path: Path, problems: list[Problem]
) -> np.ndarray:
    columns = []
    for name in channels:
        column = frame[name]
        if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
            numbers = pd.to_numeric(column, errors="coerce")
            wrong = np.flatnonzero(numbers.isna() & column.notna())
            for row in wrong[:MAX_SHOWN]:
                problems.append(
                    Problem(f"{column.iloc[row]!r} is not a number", name, Location(str(path), int(row) + 2))
                )
            if len(wrong) > MAX_SHOWN:
                problems.append(
                    Problem(f"and {len(wrong) - MAX_SHOWN} more cells that are not numbers", name, Location(str(path)))
                )
            column = numbers
        columns.append(column.to_numpy(np.float64))
    values = np.stack(columns, axis=1) if columns else np.zeros((len(frame), 0))
    if not columns:
        problems.append(Problem("no column is left to be a channel", location=Location(str(path), 1)))
    for row, column in np.argwhere(np.isinf(values))[:MAX_SHOWN]:
        problems.append(Problem("is infinite", channels[column], Location(str(path), int(row) + 2)))
    if options.missing == "refuse":
        for row, column in np.argwhere(np.isnan(values))[:MAX_SHOWN]:
            problems.append(Problem("is missing", channels[column], Location(str(path), int(row) + 2)))
    return values.astype(np.float32)


def _times(column: pd.Series, path: Path, form: str | None, problems: list[Problem]) -> np.ndarray:
    """Stamps as nanoseconds since 1970; unparsable ones are told row by row."""
    parsed = pd.to_datetime(column, format=form or "ISO8601", errors="coerce", utc=True)
    for row in np.flatnonzero(parsed.isna())[:MAX_SHOWN]:
        remedy = "" if form else "Give its format as `date_format: '%d.%m.%Y %H:%M'`."
        problems.append(
            Problem(f"{column.iloc[row]!r} is not a date", str(column.name), Location(str(path), int(row) + 2), remedy)
        )
    stamps = parsed.dt.tz_localize(None).to_numpy("datetime64[ns]").astype(np.int64)
    return np.asarray(stamps)


def _check_order(times: np.ndarray, path: Path, problems: list[Problem], *, groups: np.ndarray | None) -> None:
    if problems:
        return  # unparsable stamps are told already
    steps = np.diff(times)
    same = np.ones(len(steps), bool) if groups is None else groups[1:] == groups[:-1]
    back = np.flatnonzero((steps <= 0) & same)
    for row in back[:MAX_SHOWN]:
        what = "repeats the time of" if steps[row] == 0 else "is earlier than"
        line = int(row) + 3 if groups is None else None
        problems.append(
            Problem(f"{what} the row before it", location=Location(str(path), line), remedy="Sort the rows by time.")
        )


def _fault(path: Path, line: int | None, message: str, remedy: str = "") -> DataInvalid:
    return DataInvalid([Problem(message, location=Location(str(path), line), remedy=remedy)])
