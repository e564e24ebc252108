"""What a page needs of finished runs, small and plain: it stands in a file beside the page and outlives the store of runs.

A page is always written from these: results that come from the store pass through the same rounded form, so that a page from
its records equals the page from the store. Of the units stay the means that the test of a difference draws
(`tswork.metrics.clusters`); of a classification the items themselves, from which areas under curves are computed anew.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from pydantic import Field, model_validator

from tswork import registry
from tswork.config import Config, Many
from tswork.metrics.clusters import clusters, metrics_of
from tswork.protocols.base import make_rows
from tswork.tracking.reading import Judgement, MemberRun

DIGITS, CLUSTER_DIGITS, ITEM_DIGITS = 9, 7, 6
"""Significant digits of a result's figures, of the means its tests draw, and of the scores of single items."""
ITEM_KEYS = ("unit", "group", "truth", "level")
"""Columns of classified items that all rows share."""

Values = Many[float | None]


class RowRecord(Config):
    """The figures of one row."""

    row: str
    role: str
    values: dict[str, dict[str, float | None]] = Field(description="by metric, and by place (empty: the whole)")


class ClusterRecord(Config):
    """What rows that were judged on the same units have for the test of a difference; equal values stand once."""

    unit: Many[int] | int
    group: Many[str] | str
    size: Many[int] | int
    pieces: int
    means: dict[str, dict[str, Values]] = Field(description="by row and metric, one a cluster")

    @model_validator(mode="after")
    def _of_one_length(self) -> ClusterRecord:
        columns = [column for column in (self.unit, self.group, self.size) if isinstance(column, tuple)]
        lengths = {len(column) for column in columns} | {
            len(one) for row in self.means.values() for one in row.values()
        }
        if len(lengths) > 1:
            raise ValueError(f"columns of different lengths ({', '.join(map(str, sorted(lengths)))})")
        return self


Texts = Many[str | None]


class ItemRecord(Config):
    """Classified items at one place (a share of the labels), and what rows say of them; equal values stand once."""

    at: str
    keys: dict[str, Many[int] | Texts | int | str | None] = Field(
        description="unit, group, truth and level of each item"
    )
    rows: dict[str, dict[str, Values]] = Field(description="by row and column, one an item")

    @model_validator(mode="after")
    def _of_one_length(self) -> ItemRecord:
        lengths = {len(column) for column in self.keys.values() if isinstance(column, tuple)}
        lengths |= {len(column) for row in self.rows.values() for column in row.values()}
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
    clusters: Many[ClusterRecord]
    items: Many[ItemRecord] = ()


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
        """The results of some experiments, each stage key once."""
        chosen = set(experiments)
        found = [one for (experiment, _), one in self.results.items() if experiment in chosen]
        found.sort(key=lambda one: (-self.runs[one.run].started, one.run, one.stage))
        once: dict[str, ResultRecord] = {}
        for one in found:
            once.setdefault(one.key, one)
        return list(once.values())

    def hours(self, experiments: Iterable[str]) -> float:
        """What all runs of some experiments took by the clock."""
        chosen = set(experiments)
        return math.fsum(one.hours for one in self.runs.values() if one.experiment in chosen)


def record_of(one: Judgement) -> ResultRecord:
    """A judgement, rounded, with the means that its tests draw."""
    protocol: Any = registry.find("protocol", one.protocol).target
    units = one.units if one.units is not None and len(one.units) else None
    classified = units is not None and "truth" in units
    return ResultRecord(
        run=one.run_id,
        stage=one.stage,
        key=one.key,
        data=one.data,
        made=dict(one.made),
        rows=tuple(_row_records(one.rows)),
        clusters=()
        if units is None or classified
        else tuple(_cluster_records(clusters(units, kind=protocol.unit_kind))),
        items=tuple(_item_records(units)) if units is not None and classified else (),
    )


def judgement_of(one: ResultRecord) -> Judgement:
    """A record as comparisons take it."""
    lines = [
        (row.row, row.role, metric, at, math.nan if value is None else value)
        for row in one.rows
        for metric, values in row.values.items()
        for at, value in values.items()
    ]
    frames = [_frame(row, drawn, means) for drawn in one.clusters for row, means in drawn.means.items() if means]
    frames += [_item_frame(row, of, columns) for of in one.items for row, columns in of.rows.items()]
    units = pd.concat(frames, ignore_index=True) if frames else None
    return Judgement(one.run, one.stage, one.data, one.key, one.made, make_rows(lines), units)


def _frame(row: str, drawn: ClusterRecord, means: Mapping[str, Values]) -> pd.DataFrame:
    frame = pd.DataFrame({name: [math.nan if one is None else one for one in values] for name, values in means.items()})
    columns = {"unit": drawn.unit, "group": drawn.group, "size": drawn.size}
    plain: dict[str, Any] = {
        name: list(column) if isinstance(column, tuple) else column for name, column in columns.items()
    }
    return frame.assign(row=row, at="", pieces=drawn.pieces, **plain)


def _row_records(rows: pd.DataFrame) -> Iterator[RowRecord]:
    for (row, role), frame in rows.groupby(["row", "role"], sort=False):
        values: dict[str, dict[str, float | None]] = {}
        for metric, at, value in frame[["metric", "at", "value"]].itertuples(index=False):
            values.setdefault(str(metric), {})[str(at)] = _rounded(float(value), DIGITS)
        yield RowRecord(row=str(row), role=str(role), values=values)


def _cluster_records(found: pd.DataFrame) -> Iterator[ClusterRecord]:
    """Rows that were judged on the same units stand together."""
    together: dict[tuple[Any, ...], dict[str, dict[str, Values]]] = {}
    for row, frame in found.groupby("row", sort=False):
        layout = (
            _once([int(value) for value in frame["unit"]]),
            _once([str(value) for value in frame["group"]]),
            _once([int(value) for value in frame["size"]]),
            int(frame["pieces"].iloc[0]),
        )
        there = [name for name in metrics_of(frame) if not frame[name].isna().all()]
        means = {name: tuple(_rounded(float(value), CLUSTER_DIGITS) for value in frame[name]) for name in there}
        together.setdefault(layout, {})[str(row)] = means
    for (unit, group, size, pieces), rows in together.items():
        yield ClusterRecord(unit=unit, group=group, size=size, pieces=pieces, means=rows)


def _item_records(units: pd.DataFrame) -> Iterator[ItemRecord]:
    """Rows that judged the same items at the same place stand together."""
    keys = [name for name in ITEM_KEYS if name in units]
    together: dict[tuple[Any, ...], dict[str, dict[str, Values]]] = {}
    for (at, row), frame in units.groupby(["at", "row"], sort=False):
        layout = tuple(_once([None if pd.isna(value) else value for value in frame[name].tolist()]) for name in keys)
        named = [str(name) for name in frame if name not in (*keys, "at", "row") and not frame[name].isna().all()]
        columns = {name: tuple(_rounded(float(value), ITEM_DIGITS) for value in frame[name]) for name in named}
        together.setdefault((str(at), len(frame), layout), {})[str(row)] = columns
    for (at, _, layout), rows in together.items():
        yield ItemRecord(at=at, keys=dict(zip(keys, layout, strict=True)), rows=rows)


def _item_frame(row: str, of: ItemRecord, columns: Mapping[str, Values]) -> pd.DataFrame:
    frame = pd.DataFrame(
        {name: [math.nan if one is None else one for one in column] for name, column in columns.items()}
    )
    keys: dict[str, Any] = {name: list(one) if isinstance(one, tuple) else one for name, one in of.keys.items()}
    return frame.assign(at=of.at, row=row, **keys)


def _once(values: Sequence[Any]) -> Any:
    """A column, or its value where all are equal."""
    return values[0] if len(set(values)) == 1 else tuple(values)


def _rounded(value: float, digits: int) -> float | None:
    """A number to so many significant digits; None for what is not finite."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None
