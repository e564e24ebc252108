"""A classification table as it fills: metrics, units, predictions, and what is confused with what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from tswork.data.collection import Part
from tswork.data.grouping import group_units
from tswork.metrics import classification
from tswork.protocols.base import Heads, Result, make_rows


@dataclass(frozen=True, eq=False)
class _Judged:
    """What one probe said of all test items."""

    row: str
    role: str
    head: str
    predicted: Int[np.ndarray, "item"]
    counts: Int[np.ndarray, "c c"]
    metrics: Mapping[str, float]


class ClassTable:
    """Judges what probes say of the test items; tables of classes and of confusion are those of the first probe."""

    def __init__(self, test: Part, truth: Int[np.ndarray, "item"], classes: tuple[str, ...], first: str) -> None:
        self.classes = classes
        self._truth, self._first = truth, first
        self._test = test
        self._judged: list[_Judged] = []

    def add(
        self,
        row: str,
        role: str,
        head: str,
        predicted: Int[np.ndarray, "item"],
        scores: Float[np.ndarray, "item class"],
    ) -> None:
        """Judge one probe of one row."""
        counts = classification.confusion(self._truth, predicted, len(self.classes))
        metrics = {
            "accuracy": classification.accuracy(counts),
            "macro_f1": classification.macro_f1(counts),
            "balanced_accuracy": classification.balanced_accuracy(counts),
            "macro_auroc": classification.macro_auroc(self._truth, scores),
            "macro_auprc": classification.macro_auprc(self._truth, scores),
        }
        self._judged.append(_Judged(row, role, head, predicted, counts, metrics))

    def result(self, heads: Heads) -> Result:
        """Everything gathered so far."""
        firsts = [judged for judged in self._judged if judged.head == self._first]
        return Result(
            rows=make_rows(
                [
                    (judged.row, judged.role, self._named(metric, judged.head), "", value)
                    for judged in self._judged
                    for metric, value in judged.metrics.items()
                ]
            ),
            units=self._units(),
            predictions=self._predictions(),
            tables={
                "classes": pd.concat(
                    [classification.per_class(one.counts, self.classes).assign(row=one.row) for one in firsts],
                    ignore_index=True,
                ),
                "confusion": pd.concat([self._pairs(one) for one in firsts], ignore_index=True),
            },
            heads=heads,
        )

    def _named(self, metric: str, head: str) -> str:
        return metric if head == self._first else f"{metric}.{head}"

    def _units(self) -> pd.DataFrame:
        items = np.arange(len(self._truth))
        group = _resampled_together(self._test)
        frames: dict[str, pd.DataFrame] = {}
        for one in self._judged:
            empty = pd.DataFrame({"row": one.row, "at": "", "unit": items, "group": group})
            frame = frames.setdefault(one.row, empty)
            frame[self._named("accuracy", one.head)] = (one.predicted == self._truth).astype(float)
        return pd.concat(list(frames.values()), ignore_index=True)

    def _predictions(self) -> pd.DataFrame:
        names = np.array(self.classes, dtype=object)
        items = item_columns(self._test) | {"truth": names[self._truth]}
        return pd.concat(
            [
                pd.DataFrame({"row": one.row, "head": one.head, **items, "predicted": names[one.predicted]})
                for one in self._judged
            ],
            ignore_index=True,
        )

    def _pairs(self, one: _Judged) -> pd.DataFrame:
        count = len(self.classes)
        return pd.DataFrame(
            {
                "row": one.row,
                "truth": np.repeat(self.classes, count),
                "predicted": np.tile(self.classes, count),
                "count": one.counts.reshape(-1),
            }
        )


def _resampled_together(part: Part) -> np.ndarray:
    """The group of each item: its value of the only group column, else a number that tells what belongs together.

    Segments of one recording belong together also where no group was named.
    """
    groups, table = part.collection.groups, part.table
    if len(groups) == 1:
        return table[groups[0]].astype(str).to_numpy()
    return group_units(part.collection)[part.spans[:, 0]].numpy().astype(str)


def item_columns(part: Part) -> dict[str, np.ndarray]:
    """Columns that say which items a table is about: item, sequence, start, stop."""
    spans = part.spans.numpy()
    places = {name: spans[:, column] for column, name in enumerate(("sequence", "start", "stop"))}
    return {"item": np.arange(len(part)), **places}
