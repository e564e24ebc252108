"""Further tables of a classification: intervals over groups, confusion in both directions, figures of slices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Int

from tswork.data.collection import Part
from tswork.metrics.classification import measures, symmetrised
from tswork.metrics.intervals import figure_intervals
from tswork.wording import counted, worded

TESTED = ("accuracy", "macro_f1", "balanced_accuracy")
"""Figures that have intervals, and that slices are judged by."""


def intervals(units: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """The 95 % intervals of `TESTED` for every row, as `figure_intervals` gives them."""
    return pd.concat([figure_intervals(units, metric, seed=seed) for metric in TESTED], ignore_index=True)


def confusion_tables(counts: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Of the counts of each row: their shares of the true class, and both directions of a pair together.

    `confusion_shares` has columns row, truth, predicted, share (NaN for a class without items); `confusion_pairs` row, one, other,
    count, and the share of all items of the two, each pair of different classes once, the most confused first.
    """
    support = counts.groupby(["row", "truth"], sort=False)["count"].transform("sum")
    shares = counts.drop(columns="count").assign(share=(counts["count"] / support.where(support > 0)))
    return {"confusion_shares": shares, "confusion_pairs": pd.concat(_pairs(counts), ignore_index=True)}


def _pairs(counts: pd.DataFrame) -> Sequence[pd.DataFrame]:
    frames = []
    for row, frame in counts.groupby("row", sort=False):
        names = list(dict.fromkeys(frame["truth"]))
        matrix = frame["count"].to_numpy().reshape(len(names), len(names))
        both, support = symmetrised(matrix), matrix.sum(axis=1)
        first, second = np.triu_indices(len(names), 1)
        of_both = np.maximum(support[first] + support[second], 1)
        found = pd.DataFrame(
            {
                "row": row,
                "one": [names[number] for number in first],
                "other": [names[number] for number in second],
                "count": both[first, second],
                "share": both[first, second] / of_both,
            }
        )
        frames.append(found.sort_values(["count", "share"], ascending=False, kind="stable", ignore_index=True))
    return frames


def slices(units: pd.DataFrame, test: Part, columns: Sequence[str], averaged: int) -> pd.DataFrame:
    """Figures of the items that share a value: row, column, value, items, groups, then those of `TESTED`.

    Macro-F1 of a slice is the mean over the classes that occur in it.
    """
    scores = [name for name in units if str(name).startswith("score/")]
    lines = []
    for column in columns:
        values = test.table[column].astype("string").fillna("(none)").to_numpy(dtype=object)
        for row, frame in units.groupby("row", sort=False):
            of_item = values[frame["unit"].to_numpy()]
            for value, part in frame.groupby(of_item, sort=True):
                truth, predicted = part["truth"].to_numpy(), part["predicted"].to_numpy()
                figures = measures(truth, predicted, part[scores].to_numpy(float))
                lines.append(
                    (row, column, value, len(part), part["group"].nunique(), *(figures[name] for name in TESTED))
                )
    return pd.DataFrame(lines, columns=["row", "column", "value", "items", "groups", *TESTED])


def unsupported(
    known: Int[np.ndarray, "trained"], truth: Int[np.ndarray, "item"], classes: tuple[str, ...]
) -> Iterator[str]:
    """A sentence where macro figures count classes that no test item has."""
    without = [classes[code] for code in known if code not in truth]
    if without:
        has, count = worded(len(without), "has", "have"), worded(len(without), "it counts", "they count")
        yield (
            f"{len(without)} of {counted(len(known), 'class', 'classes')} of the training part {has} no test items"
            f" ({', '.join(without)}); {count} 0 in macro_f1, macro_precision and macro_recall"
        )
