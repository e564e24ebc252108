"""iCaRL: which classes are learned and which distilled, what the teacher is asked, and what its outputs are for."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.methods.test_continual import learner, waves_of_four
from tests.methods.toys import model_of, trained
from tests.reference import icarl as plain
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import Part
from tswork.data.rehearsal import MEMORY_ROW
from tswork.data.tasks_spec import TasksSpec
from tswork.methods import icarl
from tswork.methods.model import Model
from tswork.methods.teacher import looked_up


def in_the_second_task(part: Part, **options: Any) -> tuple[Any, Model, Batch]:
    method: Any = learner("icarl", dropout=0.0, **{"memory": 8, **options})
    first, second = method.tasks(part)
    model = model_of(method, part)
    method.begin(model, 0, first, Context())
    method.finish(model, 0, first, Context())
    method.begin(model, 1, second, Context())
    return method, model, method.batches(model, second, Context()).at(0, 0)


def test_classes_of_the_task_are_learned_and_earlier_ones_distilled() -> None:
    method, model, batch = in_the_second_task(waves_of_four(order=("c3", "c1", "c0", "c2"), step=2))
    assert method._learned.tolist() == [True, False, True, False]
    assert method._distilled.tolist() == [False, True, False, True]
    with torch.no_grad():
        outputs = model.heads["outputs"](model.embed(batch.x))
    loss = method.terms(model, batch, Context())["loss"]
    labels = batch.codes["label"].tolist()
    assert 0 < int((batch.codes[MEMORY_ROW] >= 0).sum()) < len(batch)
    # The student has not moved since, so it is its own teacher, on new samples too.
    expected = plain.yes_or_no(outputs, labels, outputs, method._learned.tolist(), method._distilled.tolist())
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_a_class_that_comes_again_is_learned_again() -> None:
    part = waves_of_four()
    place = ["a" if row < 12 or row % 4 == 0 else "b" for row in range(len(part))]
    collection = part.collection.replaced(
        table=part.collection.table.assign(place=place), tasks=TasksSpec(step=1, column="place")
    )
    method, _, _ = in_the_second_task(Part(collection, part.spans))
    assert method._learned.tolist() == [False, True, True, True]
    assert method._distilled.tolist() == [True, False, False, False]


def test_the_first_task_has_no_teacher_and_asks_of_its_own_classes_alone() -> None:
    part, method = waves_of_four(), learner("icarl", memory=8)
    first: Any = method
    model = model_of(method, part)
    own = method.tasks(part)[0]
    method.begin(model, 0, own, Context())
    batch = method.batches(model, own, Context()).at(0, 0)
    first.terms(model, batch, Context())["loss"].backward()
    gradient = model.get_parameter("heads.outputs.1.bias").grad
    assert gradient is not None
    assert (gradient != 0).tolist() == [True, True, False, False]


def test_the_teacher_hears_everything_once_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[int] = []

    def counted(teacher: Model, part: Part, *rest: Any) -> torch.Tensor:
        heard.append(len(part))
        return looked_up(teacher, part, *rest)

    monkeypatch.setattr(icarl, "looked_up", counted)
    trained(learner("icarl", memory=8, epochs=3, growth="fixed"), waves_of_four(sizes=(1, 1, 2)))
    assert heard == [6 + 2, 12 + 4]


def test_outputs_train_the_encoder_and_do_not_classify() -> None:
    part = waves_of_four()
    model = trained(learner("icarl", memory=8), part)[0].models[-1]
    x = part.collection.values.view(len(part), -1, 2)
    before = model.classify(x)
    torch.nn.init.zeros_(model.get_parameter("heads.outputs.1.weight"))
    assert torch.equal(model.classify(x), before)
