"""A-GEM: the projection and its plain twin, the gradient that a step is made with, and what is drawn from the memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.methods.test_coconut import SMALL, told_waves
from tests.methods.test_continual import learner, waves_of_four
from tests.methods.toys import BATCH_NORM, trained, waves
from tests.reference import agem as plain
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import Part
from tswork.data.tasks_spec import TasksSpec
from tswork.methods import answers
from tswork.methods.agem import project_
from tswork.methods.model import Model
from tswork.text.collection_text import texts_of

SHAPES = [(3, 4), (5,), (), (2, 1, 3)]


def pieces(seed: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, dtype=dtype, generator=generator) for shape in SHAPES]


def product(a: Sequence[Tensor], b: Sequence[Tensor]) -> float:
    return sum(float((one.double() * other.double()).sum()) for one, other in zip(a, b, strict=True))


# The projection


@pytest.mark.parametrize("seed", range(8))
def test_it_equals_its_plain_twin(seed: int) -> None:
    gradients, references = pieces(2 * seed), pieces(2 * seed + 1)
    expected = plain.projected(gradients, references)
    project_(gradients, references)
    for found, one in zip(gradients, expected, strict=True):
        torch.testing.assert_close(found, one, rtol=1e-10, atol=1e-10)


def test_what_agrees_stays_to_the_last_bit_and_what_conflicts_becomes_orthogonal() -> None:
    conflicts = []
    for seed in range(20):
        gradients, references = pieces(2 * seed), pieces(2 * seed + 1)
        before = [one.clone() for one in gradients]
        conflict = bool(project_(gradients, references))
        assert conflict == (product(before, references) < 0)
        if conflict:
            assert product(gradients, references) == pytest.approx(0, abs=1e-12)
            taken = [one - other for one, other in zip(before, gradients, strict=True)]
            assert product(taken, gradients) == pytest.approx(0, abs=1e-12), "no more than that was taken"
        else:
            assert all(torch.equal(one, other) for one, other in zip(gradients, before, strict=True))
        conflicts.append(conflict)
    assert 0 < sum(conflicts) < 20


def test_the_length_of_the_reference_does_not_matter_and_none_projects_nothing() -> None:
    gradients, opposite = pieces(0), [-one for one in pieces(0)]
    scaled = [one.clone() for one in gradients]
    project_(scaled, [7 * one for one in opposite])
    assert product(scaled, scaled) == pytest.approx(0, abs=1e-20), "nothing is left of what only conflicts"
    project_(gradients, [torch.zeros_like(one) for one in gradients])
    assert all(torch.equal(one, other) for one, other in zip(gradients, pieces(0), strict=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_added_up_in_single(dtype: torch.dtype) -> None:
    gradients, references = pieces(0, torch.float32), [300 * -one for one in pieces(0, torch.float32)]
    half = [one.to(dtype) for one in gradients]
    assert project_(half, [one.to(dtype) for one in references]).dtype == torch.float32
    assert max(float(one.abs().max()) for one in half) < 0.05


# Within a step


def in_the_second_task(part: Part, **options: Any) -> tuple[Any, Model, Batch, Context]:
    """The method, with a model that has learned the first classes, at a step of the others."""
    method: Any = learner("agem", memory=16, dropout=0.0, **options)
    first, second = method.tasks(part)
    (model, _) = trained(method, part)[0].models
    model.train()
    method.begin(model, 0, first, Context())
    method.finish(model, 0, first, Context())
    method.begin(model, 1, second, Context())
    return method, model, method.batches(model, second, Context()).at(0, 1), Context().at(0, 1)


def gradient(model: Model, loss: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(model.parameters()), retain_graph=True, materialize_grads=True))


@pytest.mark.parametrize("answer", ["class", "text"])
def test_a_step_is_made_with_the_projected_gradient(answer: str) -> None:
    part = told_waves() if answer == "text" else waves_of_four()
    options: dict[str, Any] = {"from_memory": 5, "epochs": 20, "answer": answer, "decoder": SMALL}
    method, model, batch, context = in_the_second_task(part, **options)
    (update,) = method.updates(model, batch, context)
    fresh = gradient(model, update.loss)
    heard = method.heard(model, method._remembered.at(0, 1), context)
    loss = method.answer.loss(heard)
    reference = gradient(model, loss)
    assert product(fresh, reference) < 0, "what is new is against what was learned"
    update.loss.backward()
    assert update.change() == {"conflict": torch.tensor(1.0)}
    expected = plain.projected(fresh, reference)
    for parameter, one in zip(model.parameters(), expected, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, one, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(update.observed["memory_loss"], loss)


def test_a_reference_that_agrees_changes_nothing() -> None:
    """The memory holds what is learned anyway."""
    part = waves_of_four()
    method, model, _, context = in_the_second_task(part, from_memory=8)
    remembered = method._remembered.at(0, 1)
    (update,) = method.updates(model, remembered, context)
    expected = gradient(model, update.loss)
    update.loss.backward()
    assert update.change() == {"conflict": torch.tensor(0.0)}
    for parameter, one in zip(model.parameters(), expected, strict=True):
        assert parameter.grad is not None
        assert torch.equal(parameter.grad, one)


def test_the_memory_is_drawn_by_seed_epoch_and_step_and_holds_no_new_sample() -> None:
    part = waves_of_four()
    method, model, _, _ = in_the_second_task(part, from_memory=5)
    _, second = method.tasks(part)
    drawn = [method._remembered.at(0, step) for step in range(method._remembered.steps(0))]
    assert len(drawn) == 2, "one for each batch of the task"
    assert all((batch.codes["label"] < 2).all() and len(batch) == 5 for batch in drawn)
    kept = set(map(tuple, method.memory.spans.tolist()))
    assert all(tuple(span) in kept for batch in drawn for span in batch.span.tolist())
    method.batches(model, second, Context())
    assert torch.equal(method._remembered.at(0, 1).span, drawn[1].span)
    method.batches(model, second, Context(seed=1))
    assert not torch.equal(method._remembered.at(0, 1).span, drawn[1].span)


def test_conflicts_and_the_loss_on_the_memory_are_recorded_from_the_second_task_on() -> None:
    _, recorder = trained(learner("agem", memory=8), waves_of_four())
    steps = [step for step, _ in recorder.curves["loss"]]
    later = [step for step in steps if step >= len(steps) // 2]
    assert [step for step, _ in recorder.curves["memory_loss"]] == later
    assert {value for _, value in recorder.curves["conflict"]} <= {0.0, 1.0}


def test_an_encoder_that_padding_would_change_hears_the_memory_in_one_length() -> None:
    part = waves([20, 16, 20, 16] * 6, classes=4)
    part = Part(part.collection.replaced(tasks=TasksSpec(step=2)), part.spans)
    method, _, _, _ = in_the_second_task(part, from_memory=6, encoder=BATCH_NORM)
    for step in range(method._remembered.steps(0)):
        batch = method._remembered.at(0, step)
        assert batch.unequal_lengths is None
        assert len(batch) == 4


def test_texts_of_task_and_memory_are_read_once_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def counted(part: Part) -> dict[int, str]:
        read.append(len(part))
        return texts_of(part)

    monkeypatch.setattr(answers, "texts_of", counted)
    trained(learner("agem", memory=8, answer="text", decoder=SMALL), told_waves())
    assert read == [12, 12 + 4], "six of each class, and two of each that came before"
