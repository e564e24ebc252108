"""Series in CSV files, plain or gzipped, in three layouts.

    wide  one row a time step, one column a channel (ETT, weather, an own load curve)
    long  one row a time step of one of many series, which `id` names
    rows  one series a row: its id, then its values; trailing cells empty (M4)

In the layout `rows`, `continuation` names a file whose rows go on with the same series; it becomes the test part of
`split: {by: official}` through the table's `test_start`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int64
from pydantic import Field

from tswork.config import Config, FilePath
from tswork.data.cells import numbers, order_faults, stamps, typed, typed_names
from tswork.data.channels import choose_channels, column_problems, renaming_problems
from tswork.data.collection import Collection
from tswork.data.faults import each, refuse, some
from tswork.data.places import Places
from tswork.data.readers.base import Reader
from tswork.data.spec import DataOptions, DataSpec
from tswork.data.tables import Form, Table, read_header, read_table
from tswork.data.time_steps import with_told_steps
from tswork.errors import DataInvalid, Location, Problem, did_you_mean
from tswork.registry import register


class SeriesCsvConfig(Config):
    path: FilePath = Field(description="the CSV file")
    layout: Literal["wide", "long", "rows"] = Field(default="wide", description="how series stand in the file")
    separator: str = Field(default=",", min_length=1, max_length=1, description="between cells")
    decimal: Literal[".", ","] = Field(default=".", description="decimal point or comma")
    header: bool = Field(default=True, description="whether the first line names the columns")
    date_format: str | None = Field(default=None, description="format of the time stamps (strptime); none: ISO 8601")
    id: str | None = Field(default=None, description="layouts long and rows: column that names the series")
    continuation: FilePath | None = Field(
        default=None, description="layout rows: file whose rows go on with the same series"
    )


@register("reader", "series_csv", version=1, config=SeriesCsvConfig)
class SeriesCsv(Reader[SeriesCsvConfig]):
    """Time series in CSV files: a column a channel, rows keyed by an id, or one series a row."""

    def files(self, spec: DataSpec, places: Places) -> Sequence[Path]:
        keys = ["path", *(["continuation"] if self.config.continuation else [])]
        return [spec.file(key, places) for key in keys]

    def inspect(self, spec: DataSpec, places: Places) -> None:
        path = self.files(spec, places)[0]
        ours = {theirs: our for our, theirs in spec.options.columns.items()}
        names = [ours.get(name, name) for name in read_header(path, self._form)]
        roles = _Roles.of(names, spec.options, self.config, Location(str(path), 1))
        if roles.problems:
            raise DataInvalid(roles.problems)

    def read(self, spec: DataSpec, places: Places) -> Collection:
        options, files = spec.options, self.files(spec, places)
        names = (options.time, self.config.id or "id", options.label, *options.groups)
        text = [name for name in names if name is not None]
        tables = [read_table(path, self._form, text=text, columns=options.columns) for path in files]
        roles = _Roles.of(tables[0].columns, options, self.config, tables[0].head)
        if roles.problems:
            raise DataInvalid(roles.problems)
        if self.config.layout == "wide":
            return with_told_steps(self._wide(tables[0], roles, options))
        if self.config.layout == "long":
            return with_told_steps(self._long(tables[0], roles, options))
        return self._rows(tables, roles, options)

    @property
    def _form(self) -> Form:
        return Form(self.config.separator, self.config.decimal, self.config.header)

    def _wide(self, table: Table, roles: _Roles, options: DataOptions) -> Collection:
        faults: list[Problem] = []
        times = stamps(table, roles.stamp, self.config.date_format, faults) if roles.stamp else None
        if times is not None and not faults:
            faults += order_faults(table, times)
        values = numbers(table, roles.channels, faults, form=self._form)
        refuse(faults)
        name = table.path.name.split(".")[0]
        return _packed(values, np.array([0, len(values)]), pd.DataFrame({"id": [name]}), roles, options, times)

    def _long(self, table: Table, roles: _Roles, options: DataOptions) -> Collection:
        faults: list[Problem] = []
        key = table.frame[roles.key]
        nameless = np.flatnonzero(key.isna())
        faults += each(
            nameless,
            lambda row: Problem("names no series", str(roles.key), table.at(row)),
            rest="rows without a series",
        )
        codes, names = pd.factorize(key, sort=False)
        named = codes >= 0
        order = np.argsort(codes, kind="stable")
        times = stamps(table, roles.stamp, self.config.date_format, faults) if roles.stamp else None
        values = numbers(table, roles.channels, faults, form=self._form)
        rows = pd.DataFrame({"id": typed_names(pd.Series(names))})
        for column in roles.described:
            per_series = table.frame.loc[named, column].groupby(codes[named])
            changing = per_series.nunique(dropna=False) > 1
            if changing.any():
                text = f"changes within the series {some(list(names[np.flatnonzero(changing)]))}"
                faults.append(Problem(text, column, Location(str(table.path))))
            rows[column] = typed(per_series.first().reset_index(drop=True))
        if times is not None and not faults:
            times = times[order]
            faults += order_faults(table, times, rows=order, series=codes[order])
        refuse(faults)
        return _packed(values[order], np.cumsum([0, *np.bincount(codes)]), rows, roles, options, times)

    def _rows(self, tables: Sequence[Table], roles: _Roles, options: DataOptions) -> Collection:
        faults: list[Problem] = []
        names = [_row_names(table, roles.key) for table in tables]
        parts = [
            _row_values(table, [one for one in table.columns if one not in roles.taken], self._form, faults)
            for table in tables
        ]
        for table, given in zip(tables, names, strict=True):
            faults += _named_again(table, given)
        if len(tables) == 2 and set(names[0]) != set(names[1]):
            other = sorted(set(names[0]) ^ set(names[1]))
            place = Location(str(tables[1].path))
            faults.append(Problem(f"the two files do not name the same series: {some(other)}", location=place))
        refuse(faults)
        rows = pd.DataFrame({"id": typed_names(names[0])})
        for column in roles.described:
            rows[column] = typed(tables[0].frame[column])
        series = parts[0]
        if len(parts) == 2:
            rows["test_start"] = [len(first) for first in parts[0]]
            further = dict(zip(names[1], parts[1], strict=True))
            series = [np.concatenate([first, further[name]]) for name, first in zip(names[0], parts[0], strict=True)]
        offsets = np.cumsum([0, *map(len, series)])
        return _packed(np.concatenate(series)[:, None], offsets, rows, roles, options, None)


@dataclass(frozen=True)
class _Roles:
    """What each column of a file is for."""

    stamp: str | None
    key: str | None
    described: tuple[str, ...]
    """Label and group columns that the file itself holds."""
    channels: tuple[str, ...]
    problems: list[Problem]

    @property
    def taken(self) -> set[str | None]:
        """Columns that are no channels."""
        return {self.stamp, self.key, *self.described}

    @staticmethod
    def of(names: Sequence[str], options: DataOptions, config: SeriesCsvConfig, head: Location) -> _Roles:
        problems = renaming_problems(names, options, head)
        if config.layout != "wide":
            problems += column_problems(["id", *names], options, head)
        elif options.label or options.groups:
            at = "data.label" if options.label else "data.groups"
            remedy = "Name the series in a column (`layout: long`), or the recordings in a manifest."
            problems.append(Problem("the file holds one series, which has no label or groups", at, head, remedy))
        named = [name for name in names if name]
        if options.time is not None and options.time not in named:
            remedy = did_you_mean(options.time, named)
            problems.append(Problem(f"has no time column {options.time!r}", "data.time", head, remedy))
        wanted = [name for name in (options.label, *options.groups) if name]
        described = tuple(name for name in wanted if name in named) if config.layout != "wide" else ()
        key = config.id
        if key is None and config.layout == "long":
            key = "id"
        if key is None and config.layout == "rows" and named[0] not in described:
            key = named[0]
        if key is not None and key not in named:
            problems.append(
                Problem(f"has no column {key!r} that names the series", "data.id", head, did_you_mean(key, named))
            )
        taken = {options.time, *([key] if config.layout == "long" else []), *described}
        available = ["value"] if config.layout == "rows" else [name for name in named if name not in taken]
        channels, missing = choose_channels(available, options, place=head)
        stamp = None if config.layout == "rows" else options.time
        return _Roles(stamp, key, described, tuple(channels), [*problems, *missing])


def _packed(
    values: np.ndarray,
    offsets: Int64[np.ndarray, "bound"],
    rows: pd.DataFrame,
    roles: _Roles,
    options: DataOptions,
    times: np.ndarray | None,
) -> Collection:
    return Collection(
        values=torch.from_numpy(np.ascontiguousarray(values)),
        offsets=torch.from_numpy(offsets),
        table=rows,
        channels=roles.channels,
        times=torch.from_numpy(times) if times is not None else None,
        rate=options.rate,
        targets=tuple(options.target),
        name=options.name,
    )


def _row_names(table: Table, key: str | None) -> pd.Series[str]:
    """The names of the series, numbered where no column holds them."""
    return table.frame[key].astype(str) if key else pd.Series(range(len(table))).astype(str)


def _named_again(table: Table, names: pd.Series[str]) -> Iterator[Problem]:
    again = np.flatnonzero(names.duplicated())
    yield from each(
        again, lambda row: Problem("names a series again", location=table.at(row)), rest="rows that name a series again"
    )


def _row_values(table: Table, names: Sequence[str], form: Form, faults: list[Problem]) -> list[np.ndarray]:
    values = numbers(table, names, faults, form=form)
    present = ~np.isnan(values)
    lengths = np.where(present.any(1), values.shape[1] - present[:, ::-1].argmax(1), 0)
    empty = np.flatnonzero(lengths == 0)
    faults += each(
        empty, lambda row: Problem("is a series without values", location=table.at(row)), rest="series without values"
    )
    return [row[:length] for row, length in zip(values, lengths, strict=True)]
