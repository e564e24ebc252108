"""What a page needs of finished runs, small and plain: it stands in a file beside the page and outlives the store of runs.

A page is always written from these: results that come from the store pass through the same rounded form, so that a page from
its records equals the page from the store. Of the units stay the means that the test of a difference draws
(`tswork.metrics.clusters`).
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from pydantic import Field, model_validator

from tswork.config import Config, Many
from tswork.metrics.clusters import KEYS, clusters, has_scores
from tswork.protocols.base import make_rows, protocol_named
from tswork.tracking.reading import Judgement, MemberRun

DIGITS, CLUSTER_DIGITS = 9, 7
"""Significant digits of a result's figures and of the scores of items, whose order counts, and of the means its tests draw."""

Values = Many[float | int | str | None]


class RowRecord(Config):
    """The figures of one row."""

    row: str
    role: str
    values: dict[str, dict[str, float | None]] = Field(description="by metric, and by place (empty: the whole)")


class UnitRecord(Config):
    """What rows that were judged on the same units have for the test of a difference; equal values stand once."""

    at: str = Field(default="", description="place in the results; empty: the whole")
    unit: Many[int] | int
    group: Many[str] | str
    size: Many[int] | int | None = Field(default=None, description="units of a cluster; none: these are the units")
    pieces: int | None = Field(default=None, description="of a block of clusters; none: these are the units")
    columns: dict[str, dict[str, Values]] = Field(description="by row: means, or what was said of each unit")

    @model_validator(mode="after")
    def _of_one_length(self) -> UnitRecord:
        columns = [column for column in (self.unit, self.group, self.size) if isinstance(column, tuple)]
        lengths = {len(column) for column in columns}
        lengths |= {len(values) for of_row in self.columns.values() for values in of_row.values()}
        if len(lengths) > 1:
            raise ValueError(f"columns of different lengths ({', '.join(map(str, sorted(lengths)))})")
        return self


class ResultRecord(Config):
    """One protocol stage of one member."""

    run: str = Field(description="the run it comes from")
    stage: str
    key: str = Field(description="the stage's key")
    data: str
    made: dict[str, Any] = Field(description="protocol and version, judged methods, data and their digest, seed")
    rows: Many[RowRecord]
    units: Many[UnitRecord]


@dataclass(frozen=True)
class Records:
    """Runs by their id, and results by experiment and stage key."""

    runs: Mapping[str, MemberRun] = field(default_factory=dict)
    results: Mapping[tuple[str, str], ResultRecord] = field(default_factory=dict)

    def union(self, other: Records) -> Records:
        """Both; what stands in both is taken from here."""
        return Records({**other.runs, **self.runs}, {**other.results, **self.results})

    @property
    def experiments(self) -> set[str]:
        """Names of the experiments that runs belong to."""
        return {one.experiment for one in self.runs.values()}

    def newest_first(self, experiments: Iterable[str]) -> list[ResultRecord]:
        """The results of some experiments, each stage key once; what was judged again, with other options too, has its newest alone."""
        once: dict[str, ResultRecord] = {}
        for one in self._latest(experiments).values():
            once.setdefault(one.key, one)
        return list(once.values())

    def hours(self, experiments: Iterable[str]) -> float:
        """What the runs of some experiments took by the clock: of members with a result, and not those that newer results replaced."""
        latest = self._latest(set(experiments))
        finished = {(experiment, member) for experiment, member, *_ in latest}
        current = self._current_runs(latest.values())
        return math.fsum(one.hours for one in current.values() if (one.experiment, one.member) in finished)

    def without_replaced(self) -> Records:
        """Those that pages are written from: no result that a newer one replaced, and no run of which none is left."""
        latest = list(self._latest(self.experiments).values())
        results = {(self.runs[one.run].experiment, one.key): one for one in latest}
        return Records(self._current_runs(latest), results)

    def _current_runs(self, latest: Iterable[ResultRecord]) -> dict[str, MemberRun]:
        """All runs but those whose results are all among the replaced ones."""
        replaced = {one.run for one in self.results.values()} - {one.run for one in latest}
        return {run: one for run, one in self.runs.items() if run not in replaced}

    def _latest(self, experiments: Iterable[str]) -> dict[tuple[Any, ...], ResultRecord]:
        """The newest result of each stage of a member on the same data with the same seed, the newest of all first."""
        chosen = set(experiments)
        found = [one for (experiment, _), one in self.results.items() if experiment in chosen]
        found.sort(key=lambda one: (-self.runs[one.run].started, one.run, one.stage))
        latest: dict[tuple[Any, ...], ResultRecord] = {}
        for one in found:
            run = self.runs[one.run]
            latest.setdefault((run.experiment, run.member, one.stage, one.made["digest"], one.made["seed"]), one)
        return latest


def headline(one: ResultRecord) -> str:
    """The metric of a result's protocol that counts where none is named."""
    return protocol_named(one.made["protocol"]["uses"]).headline


def only(one: ResultRecord, metrics: Container[str]) -> ResultRecord:
    """A record with what tests of these metrics have to know: their columns, and scores of items where one is no mean of a column.

    A classifier's scores are by far the most of a record, and no test of an accuracy reads them.
    """
    shown = {metric for row in one.rows for metric in row.values if metric in metrics}
    units = []
    for unit in one.units:
        names = {name for columns in unit.columns.values() for name in columns}
        chosen = names if shown - names and has_scores(names) else names & shown
        columns = {
            row: {name: values for name, values in of_row.items() if name in chosen}
            for row, of_row in unit.columns.items()
        }
        units.append(unit.model_copy(update={"columns": columns}))
    return one.model_copy(update={"units": tuple(units)})


def record_of(one: Judgement, *, places: Sequence[str] = ()) -> ResultRecord:
    """A judgement, rounded, with what its tests have to know: as a whole, and at some places (`h24`, `10%`).

    That is the means over what they draw; where areas or F1 can be tested, the units themselves.
    """
    return ResultRecord(
        run=one.run_id,
        stage=one.stage,
        key=one.key,
        data=one.data,
        made=dict(one.made),
        rows=tuple(_row_records(one.rows)),
        units=tuple(_unit_records(one, places)),
    )


def judgement_of(one: ResultRecord) -> Judgement:
    """A record as comparisons take it."""
    lines = [
        (row.row, row.role, metric, at, math.nan if value is None else value)
        for row in one.rows
        for metric, values in row.values.items()
        for at, value in values.items()
    ]
    frames = [_frame(row, units, columns) for units in one.units for row, columns in units.columns.items() if columns]
    units = pd.concat(frames, ignore_index=True) if frames else None
    return Judgement(one.run, one.stage, one.data, one.key, one.made, make_rows(lines), units)


def _frame(row: str, units: UnitRecord, columns: Mapping[str, Values]) -> pd.DataFrame:
    frame = pd.DataFrame(
        {name: [math.nan if one is None else one for one in values] for name, values in columns.items()}
    )
    of_units = {"unit": units.unit, "group": units.group, "size": units.size, "pieces": units.pieces}
    plain: dict[str, Any] = {
        name: list(column) if isinstance(column, tuple) else column
        for name, column in of_units.items()
        if column is not None
    }
    return frame.assign(row=row, at=units.at, **plain)


def _row_records(rows: pd.DataFrame) -> Iterator[RowRecord]:
    for (row, role), frame in rows.groupby(["row", "role"], sort=False):
        values: dict[str, dict[str, float | None]] = {}
        for metric, at, value in frame[["metric", "at", "value"]].itertuples(index=False):
            values.setdefault(str(metric), {})[str(at)] = _rounded(float(value), DIGITS)
        yield RowRecord(row=str(row), role=str(role), values=values)


def _unit_records(one: Judgement, places: Sequence[str]) -> Iterator[UnitRecord]:
    if one.units is None or one.units.empty:
        return
    if has_scores(one.units):
        for at, frame in one.units.groupby("at", sort=False):
            yield from _alike(frame, str(at))
        return
    kind = protocol_named(one.protocol).unit_kind
    for at in dict.fromkeys(("", *places)):
        there = one.units if at == "" else one.units[one.units["at"] == at]
        if len(there):
            yield from _alike(clusters(there, kind=kind), at)


def _alike(units: pd.DataFrame, at: str) -> Iterator[UnitRecord]:
    """Rows that were judged on the same units stand together."""
    together: dict[tuple[Any, ...], dict[str, dict[str, Values]]] = {}
    names = [str(name) for name in units if name not in KEYS]
    drawn = "pieces" in units
    for row, frame in units.groupby("row", sort=False):
        layout = (
            _once([int(value) for value in frame["unit"]]),
            _once([str(value) for value in frame["group"]]),
            _once([int(value) for value in frame["size"]]) if drawn else None,
            int(frame["pieces"].iloc[0]) if drawn else None,
        )
        there = {
            name: _values(frame[name], DIGITS if has_scores([name]) else CLUSTER_DIGITS)
            for name in names
            if not frame[name].isna().all()
        }
        together.setdefault(layout, {})[str(row)] = there
    for (unit, group, size, pieces), rows in together.items():
        yield UnitRecord(at=at, unit=unit, group=group, size=size, pieces=pieces, columns=rows)


def _values(column: pd.Series, digits: int) -> Values:
    """Numbers rounded, whole ones as such; anything else as text."""
    if pd.api.types.is_integer_dtype(column) or pd.api.types.is_bool_dtype(column):
        return tuple(int(value) for value in column)
    if pd.api.types.is_float_dtype(column):
        return tuple(_rounded(float(value), digits) for value in column)
    return tuple(None if value is None else str(value) for value in column)


def _once(values: Sequence[Any]) -> Any:
    """A column, or its value where all are equal."""
    return values[0] if len(set(values)) == 1 else tuple(values)


def _rounded(value: float, digits: int) -> float | None:
    """A number to so many significant digits; None for what is not finite."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None
