"""A classification table as it fills: metrics of items and of groups, units, predictions, and what is confused with what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from tswork.data.collection import Part
from tswork.data.grouping import group_units
from tswork.methods.embedding import embedding_table
from tswork.metrics import classification
from tswork.protocols.base import ROW_COLUMNS, Heads, Result, make_rows
from tswork.protocols.group_level import GroupLevel


@dataclass(frozen=True, eq=False)
class _Judged:
    """What one probe said of all test items."""

    row: str
    role: str
    head: str
    at: str
    predicted: Int[np.ndarray, "item"]
    scores: Float[np.ndarray, "item class"]
    metrics: Mapping[str, float]


class ClassTable:
    """Judges what probes say of the test items; tables of classes, groups and confusion are those of the first probe.

    Metrics of groups (patients, speakers) stand behind those of items, with the name of the group column behind a dot, where
    each group has one class. With several `at` (shares of the labels) there is also a row for their mean, whose `at` is empty.
    `averaged` is the number of classes that macro figures are divided by; none: of those that occur.
    """

    def __init__(
        self,
        test: Part,
        truth: Int[np.ndarray, "item"],
        classes: tuple[str, ...],
        first: str,
        *,
        averaged: int | None = None,
    ) -> None:
        self.classes = classes
        self._averaged = averaged
        self._truth, self._first = truth, first
        self._test = test
        self._groups = GroupLevel.of_part(test, truth)
        self._judged: list[_Judged] = []
        self._missing: list[tuple[str, str, str]] = []
        levels = ("", f".{self._groups.name}") if self._groups is not None else ("",)
        self._metrics = [metric + level for level in levels for metric in classification.METRICS]

    def add(
        self,
        row: str,
        role: str,
        head: str,
        predicted: Int[np.ndarray, "item"],
        scores: Float[np.ndarray, "item class"],
        *,
        at: str = "",
    ) -> None:
        """Judge one probe of one row."""
        metrics = classification.measures(self._truth, predicted, scores, averaged=self._averaged)
        if self._groups is not None:
            mean = self._groups.scores(scores)
            decided = mean.argmax(axis=1)
            of_groups = classification.measures(self._groups.truth, decided, mean, averaged=self._averaged)
            metrics |= {f"{metric}.{self._groups.name}": value for metric, value in of_groups.items()}
        self._judged.append(_Judged(row, role, head, at, predicted, scores, metrics))

    def add_missing(self, row: str, role: str, *, at: str) -> None:
        """A row that could not be had: all its figures are NaN."""
        self._missing.append((row, role, at))

    def result(self, heads: Heads) -> Result:
        """Everything gathered so far."""
        firsts = [one for one in self._judged if one.head == self._first]
        tables = {
            "classes": [classification.per_class(self._counts(one), self.classes) for one in firsts],
            "confusion": [self._pairs(one) for one in firsts],
        }
        if self._groups is not None:
            tables["groups"] = [self._groups.table(one.predicted, one.scores, self.classes) for one in firsts]
        return Result(
            rows=self._rows(),
            units=self._units(),
            predictions=self._predictions(),
            tables={name: _stacked(frames, firsts) for name, frames in tables.items()},
            heads=heads,
        )

    def _rows(self) -> pd.DataFrame:
        lines = [
            (one.row, one.role, self._named(metric, one.head), one.at, value)
            for one in self._judged
            for metric, value in one.metrics.items()
        ]
        lines += [(row, role, metric, at, float("nan")) for row, role, at in self._missing for metric in self._metrics]
        rows = make_rows(lines)
        if not rows["at"].any():
            return rows
        mean = rows.groupby(["row", "role", "metric"], sort=False)["value"].agg(_mean_of_all).reset_index()
        return pd.concat([rows, mean.assign(at="")[list(ROW_COLUMNS)]], ignore_index=True)

    def _named(self, metric: str, head: str) -> str:
        """`accuracy` of the first probe, `accuracy.knn` of another one; the group column comes last."""
        if head == self._first:
            return metric
        base, _, level = metric.partition(".")
        return ".".join([base, head, *([level] if level else [])])

    def _units(self) -> pd.DataFrame:
        """Test items with what a test of a difference needs: hits, and for other metrics truth, prediction and scores."""
        items = np.arange(len(self._truth))
        group = resampled_together(self._test)
        frames: dict[tuple[str, str], pd.DataFrame] = {}
        for one in self._judged:
            empty = pd.DataFrame({"row": one.row, "at": one.at, "unit": items, "group": group, "truth": self._truth})
            frame = frames.setdefault((one.row, one.at), empty)
            suffix = "" if one.head == self._first else f".{one.head}"
            frame[f"accuracy{suffix}"] = (one.predicted == self._truth).astype(float)
            frame[f"predicted{suffix}"] = one.predicted
            for number in range(len(self.classes)):
                frame[f"score{suffix}/{number}"] = one.scores[:, number]
        if self._groups is not None:
            for frame in frames.values():
                frame["level"] = np.array(self._groups.names, dtype=object)[self._groups.of]
        units = pd.concat(list(frames.values()), ignore_index=True)
        return units if self._averaged is None else units.assign(averaged=self._averaged)

    def _predictions(self) -> pd.DataFrame:
        names = np.array(self.classes, dtype=object)
        items = item_columns(self._test) | {"truth": names[self._truth]}
        frames = [
            pd.DataFrame({"row": one.row, "head": one.head, "at": one.at, **items, "predicted": names[one.predicted]})
            for one in self._judged
        ]
        return _without_empty_at(pd.concat(frames, ignore_index=True))

    def _counts(self, one: _Judged) -> Int[np.ndarray, "c c"]:
        return classification.confusion(self._truth, one.predicted, len(self.classes))

    def _pairs(self, one: _Judged) -> pd.DataFrame:
        count = len(self.classes)
        return pd.DataFrame(
            {
                "truth": np.repeat(self.classes, count),
                "predicted": np.tile(self.classes, count),
                "count": self._counts(one).reshape(-1),
            }
        )


def _stacked(frames: list[pd.DataFrame], judged: list[_Judged]) -> pd.DataFrame:
    """One table a probe, under one another, with the row it belongs to in front."""
    labelled = []
    for frame, one in zip(frames, judged, strict=True):
        labelled.append(pd.concat([pd.DataFrame({"row": one.row, "at": one.at}, index=frame.index), frame], axis=1))
    return _without_empty_at(pd.concat(labelled, ignore_index=True))


def _without_empty_at(frame: pd.DataFrame) -> pd.DataFrame:
    return frame if frame["at"].any() else frame.drop(columns="at")


def _mean_of_all(values: pd.Series) -> float:
    """The mean; NaN where one is missing."""
    return float(values.mean(skipna=False))


def resampled_together(part: Part) -> np.ndarray:
    """The group of each item: its value of the only group column, else a number that tells what belongs together.

    Segments of one recording belong together also where no group was named, or where its group is not known.
    """
    groups, table = part.collection.groups, part.table
    units = group_units(part.collection)[part.spans[:, 0]].numpy().astype(str).astype(object)
    if len(groups) != 1:
        return units
    known = table[groups[0]].notna().to_numpy()
    return np.where(
        known, table[groups[0]].astype(str).to_numpy(dtype=object), np.char.add("unknown ", units.astype(str))
    )


def item_columns(part: Part) -> dict[str, np.ndarray]:
    """Columns that say which items a table is about: item, sequence, start, stop."""
    spans = part.spans.numpy()
    places = {name: spans[:, column] for column, name in enumerate(("sequence", "start", "stop"))}
    return {"item": np.arange(len(part)), **places}


def embedding_frame(test: Part, embedded: Float[np.ndarray, "item dim"]) -> pd.DataFrame:
    """The embeddings of the test items behind what identifies them: item, sequence, start, stop, and the table's columns."""
    return embedding_table(test, embedded, places=item_columns(test))
