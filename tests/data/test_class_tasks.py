"""Class-incremental tasks: orders, sizes, parts of every split, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from tswork.data.class_tasks import ClassTasks, even_sizes
from tswork.data.collection import Collection, Part
from tswork.data.tasks_spec import TasksSpec
from tswork.errors import DataInvalid

FSC = [19, 27, 30, 28, 15, 4, 2, 9, 10, 22, 11, 7, 1, 25, 16, 14, 5, 8, 29, 12, 21, 17, 3, 20, 23, 6, 18, 24, 26, 0, 13]


def labelled(labels: list[object]) -> Collection:
    table = pd.DataFrame({"id": np.arange(len(labels)), "intent": labels})
    return Collection.from_sequences([np.zeros((2, 1), np.float32)] * len(labels), table=table, label="intent")


def told(refused: pytest.ExceptionInfo[DataInvalid]) -> list[str]:
    return [str(problem) for problem in refused.value.problems]


def test_a_given_order_gives_new_labels_that_lead_back() -> None:
    collection = labelled([*range(31)] * 2)
    tasks = ClassTasks.by_sizes("intent", collection.classes, even_sizes(31, first=4, step=3), order=[*map(str, FSC)])
    assert [len(names) for names in tasks.classes] == [4, *[3] * 9]
    assert tasks.classes[0] == ("19", "27", "30", "28")
    part = Part.whole(collection)
    labels = tasks.labels(part)
    assert labels[[19, 27, 30, 28]].tolist() == [0, 1, 2, 3]
    assert [int(tasks.order[label]) for label in labels.tolist()] == [*range(31)] * 2
    assert tasks.parts(part)[0].spans[:, 0].tolist() == [19, 27, 28, 30, 50, 58, 59, 61]


def test_tasks_are_disjoint_and_hold_all_that_has_a_label() -> None:
    collection = labelled(["a", "b", None, "c", "a", "b", "c", "d"])
    tasks = ClassTasks.by_sizes("intent", collection.classes, [1, 2, 1], seed=3)
    part = Part.whole(collection)
    found = [one.spans[:, 0].tolist() for one in tasks.parts(part)]
    assert sorted(row for rows in found for row in rows) == [0, 1, 3, 4, 5, 6, 7]
    assert tasks.labels(part)[2] == tasks.tasks_of(part)[2] == -1
    for task in range(3):
        seen = tasks.seen(part, task).spans[:, 0].tolist()
        assert seen == sorted(row for rows in found[: task + 1] for row in rows)


def test_the_order_is_sorted_or_of_the_seed_alone_and_the_same_for_every_part() -> None:
    collection = labelled([*"dacbdacb"])
    assert ClassTasks.by_sizes("intent", collection.classes, [2, 2]).classes == (("a", "b"), ("c", "d"))
    orders = {ClassTasks.by_sizes("intent", collection.classes, [2, 2], seed=seed).order for seed in range(20)}
    assert len(orders) > 5
    tasks = ClassTasks.by_sizes("intent", collection.classes, [2, 2], seed=1)
    assert tasks == ClassTasks.by_sizes("intent", collection.classes, [2, 2], seed=1)
    halves = [Part.of(collection, torch.arange(start, start + 4)) for start in (0, 4)]
    assert [one.table["intent"].tolist() for one in tasks.parts(halves[0])] == [
        one.table["intent"].tolist() for one in tasks.parts(halves[1])
    ]


def test_even_sizes() -> None:
    assert even_sizes(18, step=6) == (6, 6, 6)
    assert even_sizes(31, first=11, step=10) == (11, 10, 10)
    with pytest.raises(DataInvalid, match="18 classes cannot be divided into 5 classes at a time"):
        even_sizes(18, step=5)
    with pytest.raises(DataInvalid, match="cannot be divided into 9 classes and then 5 at a time"):
        even_sizes(7, first=9, step=5)


def test_all_faults_of_a_list_of_tasks_are_told_at_once() -> None:
    with pytest.raises(DataInvalid) as refused:
        ClassTasks.of("intent", "abcd", [["a", "b"], ["a", "e"], []])
    assert told(refused) == [
        "tasks: 'intent' has no class 'e'. Known: a, b, c, d.",
        "tasks: classes in more than one task: a. Name each class once.",
        "tasks: classes in no task: c, d. Put every class into a task.",
        "task 2: it has no classes. Leave it out.",
    ]


def test_sizes_and_orders_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataInvalid, match="tasks of 2, 3 classes are 5 classes, and 'intent' has 4"):
        ClassTasks.by_sizes("intent", "abcd", [2, 3])
    with pytest.raises(DataInvalid, match="classes in more than one task: a"):
        ClassTasks.by_sizes("intent", "abcd", [2, 2], order=["a", "a", "b", "c"])


def test_options_say_sizes_or_a_first_and_a_step() -> None:
    def divided(**options: Any) -> ClassTasks:
        return ClassTasks.divided(labelled([*"abcd"]).replaced(tasks=TasksSpec(**options)))

    assert divided(sizes=(1, 3)).classes == (("a",), ("b", "c", "d"))
    assert divided(first=2, order=("d", "c", "b", "a")).classes == (("d", "c"), ("b",), ("a",))
    assert divided(step=2, order_seed=3) == ClassTasks.by_sizes("intent", "abcd", [2, 2], seed=3)
    with pytest.raises(ValidationError, match="both say in which order"):
        TasksSpec(order=("a",), order_seed=1)
    with pytest.raises(
        DataInvalid, match=r"data.tasks \(sizes\): tasks of 1, 2 classes are 3 classes, and 'intent' has 4"
    ):
        divided(sizes=(1, 2))


def test_the_order_may_follow_the_seed_of_the_pipeline() -> None:
    spec = TasksSpec(step=2, order_seed="seed")
    assert spec.drawn(5) == TasksSpec(step=2, order_seed=5)
    assert TasksSpec(step=2, order_seed=1).drawn(5).order_seed == 1


def test_another_column_than_the_label_may_be_divided() -> None:
    collection = labelled([*"abcd"])
    scenes = collection.replaced(
        table=collection.table.assign(scene=["y", "x", "y", "x"]), tasks=TasksSpec(column="scene")
    )
    parts = ClassTasks.divided(scenes).parts(Part.whole(scenes))
    assert [part.spans[:, 0].tolist() for part in parts] == [[1, 3], [0, 2]]
    with pytest.raises(DataInvalid, match=r"the table has no column 'scenes'\. Did you mean 'scene'"):
        ClassTasks.divided(scenes.replaced(tasks=TasksSpec(column="scenes")))


def test_a_task_without_data_in_a_part_is_refused() -> None:
    collection = labelled([*"abcd"])
    tasks = ClassTasks.by_sizes("intent", collection.classes, [1, 1, 2])
    with pytest.raises(DataInvalid) as refused:
        tasks.parts(Part.of(collection, torch.tensor([0, 3])))
    assert told(refused) == ["task 1: it has no samples (classes b). Change the split, or the classes of the tasks."]
