"""What a classifier knows after each of its tasks: the accuracy matrix, averages, forgetting and transfer.

A candidate has one model a task; after task i its model chooses among the classes of the tasks up to i and is judged on the test
samples of these. R[i, j] is its accuracy on task j. From that follow the figures of `tswork.metrics.continual`, under names that
tell variants and weights apart: `average_accuracy_by_sample`, the headline, weighs tasks as their test samples, as the authors
of COCONUT do; `..._by_task` weighs them alike. `accuracy` at `t1`, `t2`, ... is that after a task, by sample.

A candidate with a single model (`joint`, or the untrained control) stands for all times. Which classes come when is what the data
block's `tasks:` says. Controls: `random` (untrained) and `majority`, the most frequent of the classes seen so far. Each
model sees the test samples once; nothing is selected by them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int

from tswork.config import NoOptions
from tswork.context import Context
from tswork.data.class_tasks import ClassTasks
from tswork.data.collection import Part, Split
from tswork.errors import DataInvalid, ModelUnfit, Problem
from tswork.methods.embedding import classify_part
from tswork.methods.model import Model
from tswork.metrics.continual import accuracies, continual_measures
from tswork.protocols.base import Protocol, Result, make_rows, not_beaten, role_of
from tswork.protocols.class_table import item_columns, resampled_together
from tswork.protocols.labelled import label_problems, labelled, left_out
from tswork.registry import register


@register("protocol", "continual", version=2, config=NoOptions)
class Continual(Protocol[NoOptions]):
    """Accuracy after every task on all tasks so far, forgetting and transfer, beside majority class and untrained encoder."""

    requires = frozenset({"embed", "answer"})
    headline = "average_accuracy_by_sample"
    metrics = (
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
        "accuracy",
    )
    greater_is_better = True
    unit_kind = "group"

    def check(self, split: Split) -> None:
        """Refuse data without labels or tasks, with fewer than two classes, or with test classes never trained on."""
        problems = list(label_problems(split))
        if problems:
            raise DataInvalid(problems)
        ClassTasks.divided(split.train.collection).parts(split.train)
        _Test.of(split)

    def evaluate(self, candidates: Mapping[str, Sequence[Model]], split: Split, context: Context) -> Result:
        """Judge every model of each candidate.

        Units are test samples: the last accuracy, and a value whose mean over samples is the average accuracy. The table
        `accuracy_matrix` has a row for each candidate, time and task. Raises `ModelUnfit` when models are neither one nor as
        many as there are tasks.
        """
        self.check(split)
        test = _Test.of(split)
        counts = torch.bincount(labelled(split.train).codes(test.label), minlength=len(test.task_of_class))
        shares = (counts / counts.sum()).double().numpy()
        judged = [_Judged("majority", "control", test, [np.tile(shares, (len(test.truth), 1))])]
        for name, models in candidates.items():
            judged.append(_Judged(name, role_of(name), test, [_scores(model, test.part, context) for model in models]))
        rows = make_rows([line for one in judged for line in one.rows()])
        beaten = not_beaten(rows, self.headline, greater_is_better=True)
        return Result(
            rows=rows,
            units=pd.concat([one.units() for one in judged], ignore_index=True),
            predictions=pd.concat([one.predictions() for one in judged], ignore_index=True),
            tables={"accuracy_matrix": pd.concat([one.table() for one in judged], ignore_index=True)},
            warnings=(*left_out(split), *beaten),
        )


@dataclass(frozen=True, eq=False)
class _Test:
    """The test samples, the task of each, and the task in which each class is first trained on (after all: never)."""

    part: Part
    label: str
    truth: Int[np.ndarray, "item"]
    task: Int[np.ndarray, "item"]
    task_of_class: Int[np.ndarray, "class"]
    tasks: int

    @staticmethod
    def of(split: Split) -> _Test:
        division = ClassTasks.divided(split.train.collection)
        part, train = labelled(split.test), labelled(split.train)
        label = part.collection.label
        assert label is not None
        first = np.full(len(part.collection.classes), len(division))
        np.minimum.at(first, train.codes(label).numpy(), division.tasks_of(train).numpy())
        truth, task = part.codes(label).numpy(), division.tasks_of(part).numpy()
        test = _Test(part, label, truth, task, first, len(division))
        without = [str(task + 1) for task in range(test.tasks) if not (test.task == task).any()]
        if without:
            message = f"there are no test samples of the classes of task {', '.join(without)}"
            raise DataInvalid([Problem(message, "test", remedy="Change the split, or the classes of the tasks.")])
        return test

    @property
    def counts(self) -> Int[np.ndarray, "task"]:
        return np.bincount(self.task, minlength=self.tasks)


class _Judged:
    """What one row said of the test samples after each task."""

    def __init__(self, row: str, role: str, test: _Test, scores: Sequence[Float[np.ndarray, "item class"]]) -> None:
        if len(scores) not in (1, test.tasks):
            reason = f"it has {len(scores)} models, and there are {test.tasks} tasks"
            raise ModelUnfit(row, reason, "Judge methods whose classes come in the same tasks.")
        self.row, self.role, self.test = row, role, test
        times = [scores[min(time, len(scores) - 1)] for time in range(test.tasks)]
        self.predicted = np.stack(
            [np.where(test.task_of_class <= time, one, -np.inf).argmax(axis=1) for time, one in enumerate(times)]
        )
        self.hits = np.where(test.task <= np.arange(test.tasks)[:, None], self.predicted == test.truth, np.nan)
        of_task = [self.hits[:, test.task == task].mean(axis=1) for task in range(test.tasks)]
        self.matrix = np.stack(of_task, axis=1)

    def rows(self) -> list[tuple[str, str, str, str, float]]:
        """Every figure, and the accuracy after each task."""
        found = continual_measures(self.matrix, counts=self.test.counts)
        after = accuracies(self.matrix, counts=self.test.counts)
        ordered = [metric for metric in Continual.metrics if metric in found]  # the headline first
        lines = [(self.row, self.role, metric, "", found[metric]) for metric in ordered]
        lines += [(self.row, self.role, "accuracy", f"t{time + 1}", float(one)) for time, one in enumerate(after)]
        return lines

    def units(self) -> pd.DataFrame:
        """The last accuracy and the average accuracy as means over test samples."""
        test = self.test
        seen = test.counts.cumsum()
        weights = len(test.truth) / test.tasks / seen
        return pd.DataFrame(
            {
                "row": self.row,
                "at": "",
                "unit": np.arange(len(test.truth)),
                "group": resampled_together(test.part),
                "average_accuracy_by_sample": np.nansum(self.hits * weights[:, None], axis=0),
                "last_accuracy_by_sample": self.hits[-1],
            }
        )

    def predictions(self) -> pd.DataFrame:
        """The class that each test sample was taken for after each task from its own on."""
        names = np.array(self.test.part.collection.classes, dtype=object)
        items = item_columns(self.test.part) | {"truth": names[self.test.truth]}
        frames = [
            pd.DataFrame({"row": self.row, "at": f"t{time + 1}", **items, "predicted": names[chosen]})[
                self.test.task <= time
            ]
            for time, chosen in enumerate(self.predicted)
        ]
        return pd.concat(frames, ignore_index=True)

    def table(self) -> pd.DataFrame:
        """The accuracy matrix, a line for each time and task."""
        time, task = np.tril_indices(self.test.tasks)
        return pd.DataFrame(
            {
                "row": self.row,
                "after": time + 1,
                "task": task + 1,
                "items": self.test.counts[task],
                "accuracy": self.matrix[time, task],
            }
        )


def _scores(model: Model, part: Part, context: Context) -> Float[np.ndarray, "item class"]:
    return np.asarray(classify_part(model, part, context).double().numpy())
