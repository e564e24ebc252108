"""Whether two classifiers differ in a figure that is no mean over items: areas under curves, F1, precision, recall.

The figure is computed again from stored truth, predictions and scores for every resample. What is drawn again are groups (patients,
speakers) with all their items, the same ones for both rows and in all seeds, splits and shares of the labels, so that the
difference is paired; the figure of a row is the mean over these. As for means (`tswork.metrics.significance`), the bootstrap gives
the standard error, and interval and p-value follow from Student's t with one degree of freedom less than there are groups.

Units have columns row, at, unit, group, truth, `predicted` and `score/0`, `score/1`, ... (`predicted.knn`, `score.knn/0`, ... of further
probes), and `level` with the groups that are themselves judged (`macro_auroc.patient`): such a group is one item with the mean of
its scores. `averaged` is the number of classes that macro figures are divided by, where that is fixed (see `classification`); a
resample without any group of a class says nothing of that class and leaves it out of both sides of the division.

A resample in which a figure is undefined in every cell is left out, and the table does not say how many were: `macro_auroc` of two
classes, one of which has a single group, is undefined in about a third of them, where that group is not drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from tswork.metrics.classification import METRICS
from tswork.metrics.significance import MIN_PAIRS, RESAMPLES, TOO_FEW, Difference, others_than, table_of
from tswork.metrics.weighted_figures import weighted_figure
from tswork.random import derive

CELL = ("seed", "split", "at")
"""What tells apart the judgements that a row's figure is averaged over."""
UNDEFINED = "not defined in a test part of one class"


@dataclass(frozen=True)
class ScoredMetric:
    """A figure by its parts: `macro_auroc.knn.patient` is the figure, the probe, and whether groups are judged."""

    figure: str
    probe: str
    of_groups: bool

    @staticmethod
    def named(metric: str, units: pd.DataFrame) -> ScoredMetric | None:
        """The metric that units of this form can be tested in; None where they lack what it needs."""
        figure, *rest = metric.split(".")
        probe = f".{rest.pop(0)}" if rest and f"predicted.{rest[0]}" in units else ""
        of_groups = bool(rest) and "level" in units
        known = figure in METRICS and {"truth", f"predicted{probe}", f"score{probe}/0"} <= set(units)
        # What is left is the name of the groups, which may hold dots itself.
        return ScoredMetric(figure, probe, of_groups) if known and bool(rest) == of_groups else None

    @staticmethod
    def required(metric: str, units: pd.DataFrame) -> ScoredMetric:
        """The same. Raises `ValueError` where they lack it."""
        named = ScoredMetric.named(metric, units)
        if named is None:
            raise ValueError(f"{metric!r} does not follow from the units' columns: {', '.join(map(str, units))}")
        return named


def compare_scores(
    units: pd.DataFrame,
    metric: str,
    *,
    candidate: str,
    at: str = "",
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """The candidate against all other rows in any metric of a classification, corrected over the rows.

    `at=""` takes units as a whole; where there are only those of several shares of the labels, all of them. Columns as of
    `significance.compare_rows`. Raises `ValueError` for an unknown row or metric.
    """
    named = ScoredMetric.required(metric, units)
    chosen = units[units["at"] == at] if at in set(units["at"]) or at else units
    rows = _cells_of_rows(chosen, named)
    others = others_than(candidate, rows)
    resampled = _resampled_rows(rows, named, seed=seed, resamples=resamples)
    return table_of({row: _difference(resampled[candidate], resampled[row], rows[candidate]) for row in others})


def resampled_rows(
    units: pd.DataFrame, named: ScoredMetric, *, seed: int, resamples: int
) -> dict[str, dict[tuple[object, ...], Resampled]]:
    """For every row the figure of each of its cells, as it is and in resamples of the groups, the same ones for all rows."""
    return _resampled_rows(_cells_of_rows(units, named), named, seed=seed, resamples=resamples)


def _resampled_rows(
    rows: dict[str, dict[tuple[object, ...], _Cell]], named: ScoredMetric, *, seed: int, resamples: int
) -> dict[str, dict[tuple[object, ...], Resampled]]:
    generator = np.random.default_rng(derive(seed, "bootstrap"))
    names = sorted({name for cells in rows.values() for cell in cells.values() for name in cell.group})
    counts = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples).astype(float)
    drawn = {name: counts[:, place] for place, name in enumerate(names)}
    return {row: {key: _resampled(cell, named, drawn) for key, cell in rows[row].items()} for row in rows}


@dataclass(frozen=True, eq=False)
class _Cell:
    """One row of one judgement: what is drawn together, and what the figure is computed from."""

    group: np.ndarray
    truth: Int[np.ndarray, "item"]
    predicted: Int[np.ndarray, "item"]
    scores: Float[np.ndarray, "item class"]
    averaged: int | None = None


@dataclass(frozen=True, eq=False)
class Resampled:
    """A figure as it is, and in every resample (NaN where that leaves it undefined)."""

    value: float
    values: Float[np.ndarray, "resample"]


def _cells_of_rows(units: pd.DataFrame, named: ScoredMetric) -> dict[str, dict[tuple[object, ...], _Cell]]:
    return {str(row): _cells(frame, named) for row, frame in units.groupby("row", sort=False)}


def _cells(frame: pd.DataFrame, named: ScoredMetric) -> dict[tuple[object, ...], _Cell]:
    columns = [column for column in CELL if column in frame]
    return {
        tuple(key): _cell(part, named)
        for key, part in frame.sort_values("unit", kind="stable").groupby(columns, sort=False)
    }


def _cell(frame: pd.DataFrame, named: ScoredMetric) -> _Cell:
    scores = [column for column in frame if str(column).startswith(f"score{named.probe}/")]
    columns = frame[["truth", f"predicted{named.probe}"]].to_numpy(np.int64)
    values, group = frame[scores].to_numpy(float), frame["group"].astype(str).to_numpy()
    averaged = int(frame["averaged"].iloc[0]) if "averaged" in frame else None
    if not named.of_groups:
        return _Cell(group, columns[:, 0], columns[:, 1], values, averaged)
    _, first, of = np.unique(frame["level"].astype(str).to_numpy(), return_index=True, return_inverse=True)
    sums = np.zeros((len(first), values.shape[1]))
    np.add.at(sums, of, values)
    mean = sums / np.bincount(of)[:, None]
    return _Cell(group[first], columns[first, 0], mean.argmax(axis=1), mean, averaged)


def _resampled(cell: _Cell, named: ScoredMetric, drawn: dict[str, np.ndarray]) -> Resampled:
    """The figure of a cell, and of each resample; NaN where a resample leaves it undefined."""
    names, of = np.unique(cell.group, return_inverse=True)
    once = np.ones((1, len(names)))
    counts = np.concatenate([once, np.stack([drawn[name] for name in names], axis=1)])
    figures = weighted_figure(
        named.figure, cell.truth, cell.predicted, cell.scores, counts, group=of, averaged=cell.averaged
    )
    return Resampled(float(figures[0]), figures[1:])


def _difference(
    one: dict[tuple[object, ...], Resampled],
    other: dict[tuple[object, ...], Resampled],
    cells: dict[tuple[object, ...], _Cell],
) -> Difference:
    """The mean paired difference over the cells that both rows have."""
    shared = [key for key in one if key in other]
    if not shared:
        raise ValueError("the two rows share no units; they were judged on different data")
    mean = float(np.mean([one[key].value - other[key].value for key in shared]))
    groups = len({name for key in shared for name in cells[key].group})
    if math.isnan(mean):
        return Difference(mean, math.nan, float(groups), UNDEFINED)
    if groups < MIN_PAIRS:
        return Difference(mean, math.nan, float(groups), TOO_FEW)
    differences = np.stack([one[key].values - other[key].values for key in shared])
    defined = ~np.isnan(differences)
    usable = defined.any(axis=0)
    means = np.where(defined, differences, 0.0).sum(axis=0)[usable] / defined.sum(axis=0)[usable]
    error = math.sqrt(float(np.var(means, ddof=1)) * groups / (groups - 1))
    return Difference(mean, error, float(groups))
