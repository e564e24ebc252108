"""EWC: the Fisher information and its closed forms, the term that holds, what is kept of several tasks, and what it costs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.methods.test_coconut import SMALL, told_waves
from tests.methods.test_continual import learner, waves_of_four
from tests.methods.toys import model_of, trained, waves
from tswork.augment.base import View
from tswork.context import Context
from tswork.data.batches import Batch, Batches
from tswork.data.collection import Part
from tswork.data.samplers import Uniform
from tswork.encoders.base import Frames
from tswork.methods import ewc
from tswork.methods.answers import ClassAnswer, Heard
from tswork.methods.fisher import Truth, drawn, fisher_information
from tswork.methods.model import Model, evaluating
from tswork.text.collection_text import texts_of
from tswork.text.tokens import Tokens


def information(
    method: Any, model: Model, part: Part, *, samples: int = 999, of: Truth = "labels", seed: int = 0
) -> Any:
    return fisher_information(model, method.answer, part, Context(seed=seed), samples=samples, of=of)


def heard_at_once(method: Any, model: Model, part: Part) -> Heard:
    """The whole part as one batch, in evaluation mode."""
    batches = Batches(part, sampler=Uniform(len(part), batch_size=len(part), seed=0, shuffle=False), columns=("label",))
    batch = batches.at(0, 0)
    method.answer.begin(model, part)
    with evaluating(model):
        heard: Heard = method.answer.heard(model, batch, View(batch.x, batch.lengths))
    return heard


# The Fisher information


def test_of_a_linear_softmax_it_is_the_mean_square_of_residual_times_feature() -> None:
    part, method = waves([20, 14, 20, 9, 17, 11] * 3, classes=4), learner("ewc", dropout=0.5)
    model = model_of(method, part).train()
    heard = heard_at_once(method, model, part)
    residual = torch.nn.functional.one_hot(heard.labels, 4) - heard.logits.softmax(dim=1)
    found = information(method, model, part)
    torch.testing.assert_close(found["heads.classify.1.bias"], residual.square().mean(dim=0))
    expected = torch.einsum("nc,nj->cj", residual.square(), heard.vectors.square()) / len(part)
    torch.testing.assert_close(found["heads.classify.1.weight"], expected)


def test_of_answers_that_are_drawn_it_tends_to_the_variance_of_the_softmax() -> None:
    part, method = waves([12] * 400, classes=4), learner("ewc")
    model = model_of(method, part)
    chances = heard_at_once(method, model, part).logits.softmax(dim=1)
    found = information(method, model, part, of="answers")["heads.classify.1.bias"]
    torch.testing.assert_close(found, (chances * (1 - chances)).mean(dim=0), rtol=0.15, atol=0)
    assert torch.equal(found, information(method, model, part, of="answers")["heads.classify.1.bias"])
    other = information(method, model, part, of="answers", seed=1)["heads.classify.1.bias"]
    assert not torch.equal(found, other)


def test_of_a_text_it_adds_up_the_tokens_of_a_sample_before_it_squares() -> None:
    part, method = told_waves(), learner("ewc", answer="text", decoder={**SMALL, "dropout": 0.3})
    model = model_of(method, part).train()
    heard = heard_at_once(method, model, part)
    assert heard.targets is not None
    ids, lengths = heard.targets
    residual = torch.nn.functional.one_hot(ids, heard.logits.shape[2]) - heard.logits.softmax(dim=2)
    real = torch.arange(ids.shape[1]) < lengths[:, None]
    expected = torch.where(real[..., None], residual, 0.0).sum(dim=1).square().mean(dim=0)
    found = information(method, model, part)
    (bias,) = (name for name, value in found.items() if value.shape == expected.shape and name.endswith("bias"))
    torch.testing.assert_close(found[bias], expected, rtol=1e-4, atol=1e-7)


def test_the_texts_of_a_task_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Part] = []

    def counted(part: Part) -> dict[int, str]:
        read.append(part)
        return texts_of(part)

    monkeypatch.setattr("tswork.methods.answers.texts_of", counted)
    part, method = told_waves(), learner("ewc", answer="text", decoder=SMALL, merge_dropout=0.5, samples=2, epochs=1)
    trained(method, part)
    assert len(read) == len(method.tasks(part)) > 1


def test_every_weight_has_the_mean_square_of_its_gradient_sample_by_sample() -> None:
    part, method = waves([20, 14, 20, 9], classes=4), learner("ewc", dropout=0.0)
    model = model_of(method, part)
    found = information(method, model, part)
    squares = {name: torch.zeros_like(weight) for name, weight in model.named_parameters()}
    for row in range(4):
        x = part.collection.sequence(row)[None]
        model.zero_grad()
        with torch.enable_grad():
            (-model.classify(x).log_softmax(dim=1)[0, row % 4]).backward()
        for name, weight in model.named_parameters():
            if weight.grad is not None:
                squares[name] += weight.grad.square() / 4
    assert list(found) == list(squares)
    for name, expected in squares.items():
        torch.testing.assert_close(found[name], expected, rtol=1e-4, atol=1e-8)


def test_answers_are_drawn_as_often_as_the_model_gives_them() -> None:
    logits = torch.tensor([0.0, 1.0, 2.0]).expand(20_000, 3)
    nothing = Frames(torch.zeros(0), torch.zeros(0))
    heard = Heard(nothing, torch.zeros(0), logits, torch.zeros(20_000, dtype=torch.int64), None)
    found = drawn(heard, torch.Generator().manual_seed(0))
    shares = torch.bincount(found.labels, minlength=3) / 20_000
    torch.testing.assert_close(shares, logits[0].softmax(dim=0), rtol=0, atol=0.01)
    lengths = torch.full((5_000,), 4)
    texts = heard._replace(logits=logits.reshape(5_000, 4, 3).roll(1, dims=2)[:, :4], targets=Tokens(lengths, lengths))
    said = drawn(texts, torch.Generator().manual_seed(0)).targets
    assert said is not None
    assert said.ids.shape == (5_000, 4)
    assert said.lengths is lengths
    shares = torch.bincount(said.ids.flatten(), minlength=3) / 20_000
    torch.testing.assert_close(shares, logits[0].softmax(dim=0).roll(1), rtol=0, atol=0.01)


def test_it_takes_at_most_so_many_samples_and_leaves_the_model_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    part, method = waves_of_four(), learner("ewc", dropout=0.3)
    model = model_of(method, part).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    heard: list[int] = []

    def counted(self: ClassAnswer, model: Model, batch: Batch, view: View) -> Heard:
        heard.append(len(batch))
        return make(self, model, batch, view)

    make = ClassAnswer.heard
    monkeypatch.setattr(ClassAnswer, "heard", counted)
    information(method, model, part, samples=7)
    assert heard == [1] * 7
    assert model.training
    assert all(module.training for module in model.modules())
    assert all(weight.grad is None for weight in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_recurrent_encoders_have_one_too() -> None:
    part, method = waves([12] * 4, classes=4), learner("ewc", encoder={"uses": "recurrent", "dim": 6})
    found = information(method, model_of(method, part), part)
    assert all(value.isfinite().all() for value in found.values())
    assert sum(float(value.sum()) for value in found.values()) > 0


# The term


def terms_of(method: Any, model: Model, part: Part) -> dict[str, Tensor]:
    batches = method.batches(model, part, Context())
    found: dict[str, Tensor] = dict(method.terms(model, batches.at(0, 0), Context()))
    return found


def after_the_first_task(**options: Any) -> tuple[Any, Model, Part, Part]:
    part, method = waves_of_four(), learner("ewc", dropout=0.0, **options)
    first, second = method.tasks(part)
    model = model_of(method, part)
    method.begin(model, 0, first, Context())
    assert set(terms_of(method, model, first)) == {"loss"}
    method.finish(model, 0, first, Context())
    method.begin(model, 1, second, Context())
    return method, model, first, second


def test_weights_that_have_not_moved_cost_nothing_and_moved_ones_their_information() -> None:
    method, model, first, second = after_the_first_task(weight=30.0)
    assert terms_of(method, model, second)["held"].item() == 0
    information = fisher_information(model, method.answer, first, Context(), samples=512, of="answers")
    anchors = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    with torch.no_grad():
        for place, weight in enumerate(model.parameters()):
            weight.add_(0.01 * (place + 1))
    loss = terms_of(method, model, second)["held"]
    expected = 0.0
    for place, name in enumerate(anchors):
        expected += float((information[name] * (0.01 * (place + 1)) ** 2).sum())
    assert loss.item() == pytest.approx(15.0 * expected, rel=1e-4)
    weights = dict(model.named_parameters())
    for name, gradient in zip(weights, torch.autograd.grad(loss, [*weights.values()]), strict=True):
        torch.testing.assert_close(gradient, 30.0 * information[name] * (weights[name] - anchors[name]).detach())


@pytest.mark.parametrize(("form", "kept"), [("separate", 3), ("online", 1)])
def test_tasks_are_held_apart_or_in_one(form: str, kept: int) -> None:
    part = waves_of_four(sizes=(1, 1, 2))
    method: Any = learner("ewc", form=form, decay=0.5, samples=4)
    result, recorder = trained(method, part)
    held = method.state_dict()["held"]
    assert len(held) == kept
    cost = recorder.tables["cost"]
    assert cost["kept_bytes"].iloc[-1] == kept * 2 * 4 * cost["parameters"].iloc[-1]
    for one, model in zip(held, result.models[-kept:], strict=True):
        weights = dict(model.named_parameters())
        assert all(torch.equal(value, weights[name]) for name, value in one["weights"].items())


def test_online_information_is_what_is_left_and_the_new() -> None:
    part, name = waves_of_four(sizes=(1, 1, 2)), "heads.classify.1.bias"

    def held(**options: Any) -> list[Tensor]:
        method: Any = learner("ewc", samples=4, weight=1e-30, **options)  # so small that training is the same
        trained(method, part)
        return [one["information"][name] for one in method.state_dict()["held"]]

    one, two, three = held(form="separate")
    (online,) = held(form="online", decay=0.5)
    torch.testing.assert_close(online, 0.25 * one + 0.5 * two + three)
    (latest,) = held(form="online", decay=0.0)
    torch.testing.assert_close(latest, three)


def test_without_weight_no_information_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ewc, "fisher_information", None)
    method: Any = learner("ewc", weight=0.0)
    trained(method, waves_of_four())
    assert method.state_dict() == {"held": []}


def test_a_large_weight_keeps_what_the_first_answers_depend_on() -> None:
    part = waves_of_four()

    def moved(weight: float) -> float:
        method: Any = learner("ewc", weight=weight, epochs=5)
        first, last = trained(method, part)[0].models
        before, after = dict(first.named_parameters()), dict(last.named_parameters())
        information = method.state_dict()["held"][0]["information"]
        gaps = [(one * (after[name] - before[name]).square()).sum() for name, one in information.items()]
        return float(torch.stack(gaps).sum().detach())

    assert moved(1e5) < 0.2 * moved(1e-30)  # the latter is fine-tuning
