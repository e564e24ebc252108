"""Class-incremental tasks: the classes of a column, some at a time, as the data block's `tasks:` says.

Every class is in exactly one task, and all samples of a class are in its task; samples without a label are in none. Classes
stand in one order (as given, sorted, or shuffled by a seed), in which a class's new label is its position. Training, validation
and test parts of a collection are divided by the same order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import torch
from jaxtyping import Int
from torch import Tensor

from tswork.data.collection import Collection, Part
from tswork.data.faults import refuse, some
from tswork.errors import DataInvalid, Problem, did_you_mean
from tswork.random import generator
from tswork.wording import counted


@dataclass(frozen=True)
class ClassTasks:
    """Which classes of a column each task has."""

    column: str
    classes: tuple[tuple[str, ...], ...]

    @staticmethod
    def of(column: str, known: Sequence[str], classes: Sequence[Sequence[str]]) -> ClassTasks:
        """Tasks as listed; `known` are the classes there are (`Collection.categories`).

        Raises `DataInvalid` for classes that are unknown, in no task, or in two, and for empty tasks.
        """
        refuse(_faults(column, known, classes))
        return ClassTasks(column, tuple(tuple(names) for names in classes))

    @staticmethod
    def by_sizes(
        column: str,
        known: Sequence[str],
        sizes: Sequence[int],
        *,
        order: Sequence[str] | None = None,
        seed: int | None = None,
    ) -> ClassTasks:
        """Tasks of so many classes each, taken in an order: the given one, shuffled by a seed, or as they are known.

        Raises `DataInvalid` when sizes do not add up to the classes there are, or the order does not hold each of them once.
        """
        named = tuple(known) if order is None else tuple(order)
        if seed is not None:
            draw = generator(seed, "order of classes")
            named = tuple(named[place] for place in torch.randperm(len(named), generator=draw).tolist())
        if sum(sizes) != len(known):
            asked = f"tasks of {some([*map(str, sizes)])} classes are {counted(sum(sizes), 'class', 'classes')}"
            message = f"{asked}, and {column!r} has {len(known)}"
            raise DataInvalid([Problem(message, path="sizes", remedy="Give the number of classes of every task.")])
        return ClassTasks.of(column, known, [named[a:b] for a, b in pairwise(accumulate(sizes, initial=0))])

    @staticmethod
    def divided(collection: Collection) -> ClassTasks:
        """The tasks of a collection, as its `tasks` say.

        Raises `DataInvalid` when it has none, names a column that is not there, or cannot be divided so.
        """
        spec = collection.tasks
        if spec is None:
            remedy = "Say which classes are learned when, as in `tasks: {step: 2}`."
            raise DataInvalid([Problem("the data are not divided into tasks", "data.tasks", remedy=remedy)])
        column = spec.column or collection.label
        if column is None:
            remedy = "Name the column of the classes with `label:`."
            raise DataInvalid([Problem("the data have no label to divide into tasks", "data.tasks", remedy=remedy)])
        if column not in collection.table.columns:
            hint = did_you_mean(column, map(str, collection.table.columns))
            raise DataInvalid([Problem(f"the table has no column {column!r}", "data.tasks.column", remedy=hint)])
        known = collection.categories(column)
        seed = spec.order_seed if isinstance(spec.order_seed, int) else None
        try:
            sizes = spec.sizes or even_sizes(len(known), first=spec.first, step=spec.step)
            return ClassTasks.by_sizes(column, known, sizes, order=spec.order, seed=seed)
        except DataInvalid as invalid:
            raise DataInvalid([replace(one, path=f"data.tasks ({one.path})") for one in invalid.problems]) from None

    def __len__(self) -> int:
        """Number of tasks."""
        return len(self.classes)

    @property
    def order(self) -> tuple[str, ...]:
        """All classes, in the order in which they are learned; a class's position is its new label."""
        return tuple(name for names in self.classes for name in names)

    def parts(self, part: Part) -> tuple[Part, ...]:
        """The spans of each task, in the part's order. Raises `DataInvalid` that names every task without any."""
        task = self.tasks_of(part)
        parts = tuple(Part(part.collection, part.spans[task == index]) for index in range(len(self)))
        refuse([self._without_data(index) for index, one in enumerate(parts) if not len(one)])
        return parts

    def seen(self, part: Part, task: int) -> Part:
        """The spans of all tasks up to and with one: what a model is judged on after it."""
        of_spans = self.tasks_of(part)
        return Part(part.collection, part.spans[(of_spans >= 0) & (of_spans <= task)])

    def labels(self, part: Part) -> Int[Tensor, "span"]:
        """The new label of every span; -1 without a label."""
        return self._look_up(part, list(range(len(self.order))))

    def tasks_of(self, part: Part) -> Int[Tensor, "span"]:
        """The task of every span; -1 without a label."""
        return self._look_up(part, [task for task, names in enumerate(self.classes) for _ in names])

    def _look_up(self, part: Part, of_order: list[int]) -> Int[Tensor, "span"]:
        position = dict(zip(self.order, of_order, strict=True))
        # One more for spans without a label, whose code is -1.
        of_codes = [position.get(name, -1) for name in part.collection.categories(self.column)]
        return torch.tensor([*of_codes, -1])[part.codes(self.column)]

    def _without_data(self, task: int) -> Problem:
        message = f"it has no samples (classes {some(self.classes[task])})"
        return Problem(message, path=f"task {task}", remedy="Change the split, or the classes of the tasks.")


def even_sizes(classes: int, *, step: int, first: int | None = None) -> tuple[int, ...]:
    """Sizes of tasks of `step` classes each, the first of `first` (none: the same).

    Raises `DataInvalid` when the classes cannot be divided so.

    >>> even_sizes(31, step=3, first=4)
    (4, 3, 3, 3, 3, 3, 3, 3, 3, 3)
    """
    start = step if first is None else first
    further, rest = divmod(classes - start, step)
    if rest or further < 0:
        shown = (
            f"{counted(start, 'class', 'classes')} and then {step} at a time"
            if first is not None
            else f"{counted(step, 'class', 'classes')} at a time"
        )
        message = f"{counted(classes, 'class', 'classes')} cannot be divided into {shown}"
        raise DataInvalid([Problem(message, path="tasks", remedy="Give the number of classes of every task.")])
    return (start, *[step] * further)


def _faults(column: str, known: Sequence[str], tasks: Sequence[Sequence[str]]) -> Iterator[Problem]:
    counts = Counter(name for names in tasks for name in names)
    for name in sorted(set(counts) - set(known)):
        yield Problem(f"{column!r} has no class {name!r}", path="tasks", remedy=did_you_mean(name, known))
    twice = sorted(name for name, count in counts.items() if count > 1)
    if twice:
        yield Problem(f"classes in more than one task: {some(twice)}", path="tasks", remedy="Name each class once.")
    nowhere = [name for name in known if name not in counts]
    if nowhere:
        yield Problem(f"classes in no task: {some(nowhere)}", path="tasks", remedy="Put every class into a task.")
    for index, names in enumerate(tasks):
        if not names:
            yield Problem("it has no classes", path=f"task {index}", remedy="Leave it out.")
