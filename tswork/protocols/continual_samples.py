"""The test samples of continual learning: what is to be told of each, its task, and when each class is first trained on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped

from tswork.data.class_tasks import ClassTasks
from tswork.data.collection import Part, Split
from tswork.errors import DataInvalid, ModelUnfit, Problem
from tswork.text.collection_text import targets_of
from tswork.text.targets import Target
from tswork.wording import counted


@dataclass(frozen=True, eq=False)
class Samples:
    """Test samples that have a class and a task; the others take no part.

    `first` is the task in which each class is first trained on (after all: never), `shares` what part of the training
    samples it has, `targets` what is to be written of each sample where the data have texts.
    """

    part: Part
    names: Shaped[np.ndarray, "class"]
    truth: Int[np.ndarray, "item"]
    task: Int[np.ndarray, "item"]
    first: Int[np.ndarray, "class"]
    shares: Float[np.ndarray, "class"]
    tasks: int
    targets: tuple[Target, ...] | None
    left_out: int
    """Training and test samples that take no part."""

    @staticmethod
    def by_column(split: Split, columns: Collection[str]) -> dict[str, Samples]:
        """The samples of a split for each column that may be told; texts are read once for all of them.

        Raises `DataInvalid` as `of` does.
        """
        collection = split.train.collection
        division = ClassTasks.divided(collection)
        texts: dict[int, Target] | None = None
        if collection.text is not None:
            spans = torch.cat([_judged(split.test, column, division).spans for column in columns])
            texts = targets_of(Part(collection, spans.unique(dim=0)))
        return {column: Samples.of(split, column, texts) for column in columns}

    @staticmethod
    def of(split: Split, column: str, texts: Mapping[int, Target] | None) -> Samples:
        """The samples of a split, of whose `column` the class is told; `texts` by table row where the data have them.

        Raises `DataInvalid` when the test part has none of some task.
        """
        collection = split.train.collection
        division = ClassTasks.divided(collection)
        train, test = (_judged(part, column, division) for part in (split.train, split.test))
        names = collection.categories(column)
        codes, task = train.codes(column).numpy(), division.tasks_of(test).numpy()
        first = np.full(len(names), len(division))
        np.minimum.at(first, codes, division.tasks_of(train).numpy())
        without = [str(one + 1) for one in range(len(division)) if not (task == one).any()]
        if without:
            message = f"there are no test samples of the classes of task {', '.join(without)}"
            raise DataInvalid([Problem(message, "test", remedy="Change the split, or the classes of the tasks.")])
        counts = np.bincount(codes, minlength=len(names))
        return Samples(
            part=test,
            names=np.array(names, dtype=object),
            truth=test.codes(column).numpy(),
            task=task,
            first=first,
            shares=counts / counts.sum(),
            tasks=len(division),
            targets=None if texts is None else tuple(texts[row] for row in test.spans[:, 0].tolist()),
            left_out=len(split.train) + len(split.test) - len(train) - len(test),
        )

    def __len__(self) -> int:
        """Number of test samples."""
        return len(self.truth)

    @property
    def counts(self) -> Int[np.ndarray, "task"]:
        """Test samples of each task."""
        return np.bincount(self.task, minlength=self.tasks)

    @property
    def seen(self) -> Bool[np.ndarray, "time item"]:
        """Whether the task of a sample has been learned after each task."""
        return np.asarray(self.task <= np.arange(self.tasks)[:, None])

    def check_models(self, row: str, number: int) -> None:
        """Raises `ModelUnfit` when models are neither one nor as many as there are tasks."""
        if number not in (1, self.tasks):
            reason = f"it has {counted(number, 'model')}, and there are {counted(self.tasks, 'task')}"
            raise ModelUnfit(row, reason, "Judge methods whose classes come in the same tasks.")


def _judged(part: Part, column: str, division: ClassTasks) -> Part:
    known = (part.codes(column) >= 0) & (division.tasks_of(part) >= 0)
    return Part(part.collection, part.spans[torch.nonzero(known).flatten()])
