"""Co2L: its terms, what the teacher is asked with views and without, and who learns."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.methods.test_continual import learned, learner, waves_of_four
from tests.methods.toys import model_of, trained
from tests.reference import co2l as plain
from tests.training.tiny import bits
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import Part
from tswork.data.rehearsal import MEMORY_ROW
from tswork.methods import co2l
from tswork.methods.model import Model
from tswork.methods.teacher import looked_up


def in_the_second_task(part: Part, **options: Any) -> tuple[Any, Model, Batch]:
    """At a step of the second task, with a model that has moved since its teacher was taken."""
    method: Any = learner("co2l", **{"memory": 12, "width": 6, "batch_size": 10, **options})
    first, second = method.tasks(part)
    model = model_of(method, part)
    method.begin(model, 0, first, Context())
    method.finish(model, 0, first, Context())
    method.begin(model, 1, second, Context())
    batch = method.batches(model, second, Context()).at(0, 0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))
    return method, model, batch


def projected(model: Model, x: torch.Tensor) -> torch.Tensor:
    z: torch.Tensor = model.heads["projection"](model.embed(x))
    return z.detach()


def test_its_terms_are_those_of_the_plain_twins() -> None:
    method, model, batch = in_the_second_task(waves_of_four(), distillation_weight=3.0)
    old = batch.codes[MEMORY_ROW] >= 0
    assert 0 < int(old.sum()) < len(batch)
    terms = method.terms(model, batch, Context())
    z, taught = projected(model, batch.x), projected(method._teacher, batch.x)
    contrast = plain.asymmetric_contrast(z, batch.codes["label"].tolist(), old.tolist(), temperature=0.5)
    torch.testing.assert_close(terms["contrast"], contrast)
    relations = plain.relation_distillation(z, taught, temperature=0.2, teacher_temperature=0.01)
    torch.testing.assert_close(terms["relations"], 3 * relations, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("views", [1, 2])
def test_the_teacher_hears_the_views_that_the_student_sees(views: int) -> None:
    """A view that changes nothing gives what the looked-up vectors give; another one the teacher hears anew."""
    part = waves_of_four()
    still, model, batch = in_the_second_task(part, views=[{"uses": "jitter", "sigma": 0.0}], views_per_item=views)
    plainly, same, _ = in_the_second_task(part, views_per_item=views)
    assert still._taught is None
    assert plainly._taught is not None
    for name, value in plainly.terms(same, batch, Context()).items():
        torch.testing.assert_close(still.terms(model, batch, Context())[name], value, rtol=1e-4, atol=1e-5)
    noisy, other, batch = in_the_second_task(part, views=[{"uses": "jitter", "sigma": 0.5}], views_per_item=views)
    assert not torch.isclose(
        noisy.terms(other, batch, Context())["relations"], plainly.terms(same, batch, Context())["relations"]
    )


def test_two_views_of_a_sequence_are_positives_also_where_a_class_has_one() -> None:
    part = waves_of_four()
    for count, contrasts in ((1, False), (2, True)):
        method, model, batch = in_the_second_task(part, views=["jitter"], views_per_item=count)
        alone = torch.tensor([int(torch.nonzero(batch.codes["label"] == code).flatten()[0]) for code in (2, 3)])
        few = Batch(
            batch.x[alone],
            batch.lengths[alone],
            batch.span[alone],
            {name: codes[alone] for name, codes in batch.codes.items()},
        )
        assert bool(method.terms(model, few, Context())["contrast"] > 0) == contrasts


def test_the_teacher_hears_everything_once_a_task_where_there_are_no_views(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[int] = []

    def counted(teacher: Model, part: Part, *rest: Any) -> torch.Tensor:
        heard.append(len(part))
        return looked_up(teacher, part, *rest)

    monkeypatch.setattr(co2l, "looked_up", counted)
    part = waves_of_four(sizes=(1, 1, 2))
    trained(learner("co2l", memory=8, epochs=3), part)
    assert heard == [6 + 2, 12 + 4]
    trained(learner("co2l", memory=8, views=["jitter"]), part)
    trained(learner("co2l", memory=8, distillation_weight=0.0), part)
    assert heard == [6 + 2, 12 + 4]


def test_the_teacher_learns_nothing_and_its_weight_decides() -> None:
    method, model, batch = in_the_second_task(waves_of_four(), views=["jitter"])
    before = [weight.clone() for weight in method._teacher.parameters()]
    terms = method.terms(model, batch, Context())
    sum(terms.values()).backward()
    assert all(weight.grad is None for weight in method._teacher.parameters())
    assert all(torch.equal(weight, old) for weight, old in zip(method._teacher.parameters(), before, strict=True))
    assert any(weight.grad is not None and weight.grad.any() for weight in model.encoder.parameters())
    assert bits(learned("co2l", distillation_weight=0.0)) != bits(learned("co2l", distillation_weight=1.0))
