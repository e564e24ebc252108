"""What one row of a continual table said of the test samples after each task, and every figure that follows from it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from jaxtyping import Float, Shaped

from tswork.metrics.continual import accuracies, continual_measures
from tswork.protocols.class_table import item_columns, resampled_together
from tswork.protocols.continual_samples import Samples
from tswork.protocols.continual_texts import Texts

FIGURES = (
    "average_accuracy_by_sample",
    "last_accuracy_by_sample",
    "average_accuracy_by_task",
    "last_accuracy_by_task",
    "triangle_accuracy",
    "forgetting",
    "forgetting_best_ever",
    "forgetting_first",
    "backward_transfer",
    "backward_transfer_triangle",
)
"""Figures of an accuracy matrix, in the order of tables."""
FORWARD = "forward_transfer_all_classes"


class Judged:
    """A row of the table.

    `predicted` is the class or intent that each sample was taken for after each task, and `truth` the right one; what is
    predicted of a sample whose task is still to come does not matter. `texts` is what was written, where texts are.
    """

    def __init__(
        self,
        row: str,
        role: str,
        samples: Samples,
        predicted: Shaped[np.ndarray, "time item"],
        truth: Shaped[np.ndarray, "item"],
        *,
        forward: float | None = None,
        texts: Texts | None = None,
    ) -> None:
        self.row, self.role, self.samples = row, role, samples
        self._predicted, self._truth, self._forward, self._texts = predicted, truth, forward, texts
        self._hits = np.where(samples.seen, predicted == truth, np.nan)
        self.matrix = by_task(self._hits, samples)

    def rows(self) -> list[tuple[str, str, str, str, float]]:
        """Every figure, and the accuracy and what is measured of texts after each task."""
        found = continual_measures(self.matrix, counts=self.samples.counts)
        after = accuracies(self.matrix, counts=self.samples.counts)
        lines = [(metric, "", found[metric]) for metric in FIGURES]
        lines += [(FORWARD, "", self._forward)] if self._forward is not None else []
        lines += [("accuracy", f"t{time + 1}", float(one)) for time, one in enumerate(after)]
        lines += self._texts.figures() if self._texts is not None else []
        return [(self.row, self.role, *line) for line in lines]

    def units(self) -> pd.DataFrame:
        """The last accuracy and the average accuracy as means over test samples, and word error rates likewise."""
        samples = self.samples
        weights = len(samples) / samples.tasks / samples.counts.cumsum()
        return pd.DataFrame(
            {
                "row": self.row,
                "at": "",
                "unit": np.arange(len(samples)),
                "group": resampled_together(samples.part),
                "average_accuracy_by_sample": np.nansum(self._hits * weights[:, None], axis=0),
                "last_accuracy_by_sample": self._hits[-1],
                **(self._texts.units() if self._texts is not None else {}),
            }
        )

    def predictions(self) -> pd.DataFrame:
        """What each test sample was taken for after each task from its own on, and what was written of it."""
        items = pd.DataFrame(item_columns(self.samples.part) | {"truth": self._truth})
        if self._texts is not None:
            items["text"] = [target.text for target in self._texts.truth]
        frames: list[pd.DataFrame] = []
        for time, seen in enumerate(self.samples.seen):
            frame = items.assign(predicted=self._predicted[time])
            if self._texts is not None:
                frame["written"] = self._texts.written[time]
            frame.insert(0, "row", self.row)
            frame.insert(1, "at", f"t{time + 1}")
            frames.append(frame[seen])
        return pd.concat(frames, ignore_index=True)

    def table(self) -> pd.DataFrame:
        """The accuracy matrix, a line for each time and task."""
        time, task = np.tril_indices(self.samples.tasks)
        return pd.DataFrame(
            {
                "row": self.row,
                "after": time + 1,
                "task": task + 1,
                "items": self.samples.counts[task],
                "accuracy": self.matrix[time, task],
            }
        )

    def understanding(self) -> pd.DataFrame:
        """The same of everything that is measured of texts; nothing where none were written."""
        if self._texts is None:
            return pd.DataFrame()
        table = self._texts.table()
        table.insert(0, "row", self.row)
        return table


def by_task(hits: Float[np.ndarray, "time item"], samples: Samples) -> Float[np.ndarray, "time task"]:
    """The share of hits among the samples of each task."""
    return np.stack([hits[:, samples.task == task].mean(axis=1) for task in range(samples.tasks)], axis=1)
