"""Replay with a teacher: what it is without its term, whom the teacher hears and when, what the terms are, and resuming."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.methods.test_coconut import SMALL, told, told_waves
from tests.methods.test_continual import accuracies, learner, waves_of_four
from tests.methods.toys import checkpointed, forget, model_of, nothing, trained, waves
from tests.training.tiny import bits
from tswork.augment.base import View
from tswork.config import NestedInvalid
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import DataInfo, Part
from tswork.data.rehearsal import MEMORY_ROW, RehearsalPart
from tswork.data.tasks_spec import TasksSpec
from tswork.encoders.base import Frames
from tswork.methods import embedding, sequence_teaching, taught
from tswork.methods.model import Model
from tswork.methods.teacher import chosen, in_batches, memory_places, teacher_of
from tswork.random import seeded
from tswork.text.decoder import TextDecoder
from tswork.text.search import Written
from tswork.text.writing import write
from tswork.training.loop import Trained, train
from tswork.training.runtime import Precision

METHODS = [
    ("audio_kd", "class"),
    ("audio_kd", "text"),
    ("token_kd", "class"),
    ("token_kd", "text"),
    ("sequence_kd", "text"),
]
TERM = {"audio_kd": "audio", "token_kd": "token", "sequence_kd": "sequence"}
WEIGHT = {"audio_kd": "distillation_weight", "token_kd": "distillation_weight", "sequence_kd": "sequence_weight"}
ALL = pytest.mark.parametrize(("name", "answer"), METHODS)
IN_STEPS = pytest.mark.parametrize(("name", "answer"), METHODS[:-1])


def options_of(answer: str, **more: Any) -> dict[str, Any]:
    return {"answer": answer, "decoder": SMALL, "memory": 8, "dropout": 0.0, **more}


def later_task(method: Any, part: Part) -> tuple[Model, list[Batch]]:
    """A model in the second task, untrained, and the batches of an epoch."""
    model, context = model_of(method, part).train(), Context()
    first, second = method.tasks(part)
    method.begin(model, 0, first, context)
    method.batches(model, first, context)
    method.finish(model, 0, first, context)
    method.begin(model, 1, second, context)
    batches = method.batches(model, second, context)
    return model, [batches.at(0, step) for step in range(batches.steps(0))]


def without_memory(batch: Batch) -> Batch:
    new = torch.nonzero(batch.codes[MEMORY_ROW] < 0).flatten()
    return chosen(batch, View(batch.x, batch.lengths), new)[0]


# What it is without its term


@ALL
def test_without_its_term_it_is_replay_to_the_last_bit(name: str, answer: str) -> None:
    part, options = told_waves(), options_of(answer, merge_dropout=0.2)
    without, _ = trained(learner(name, **{WEIGHT[name]: 0.0}, **options), part)
    replay, _ = trained(learner("er", **options), part)
    assert bits(without) == bits(replay)


@ALL
def test_the_first_task_is_that_of_replay_and_a_later_one_is_not(name: str, answer: str) -> None:
    part, options = told_waves(), options_of(answer)
    result, recorder = trained(learner(name, **options), part)
    replay, _ = trained(learner("er", **options), part)
    assert bits(result)[0] == bits(replay)[0]
    assert bits(result)[1] != bits(replay)[1]
    curves = {curve.rpartition("/")[2]: points for curve, points in recorder.curves.items() if "terms/" in curve}
    assert curves.keys() == {"loss", TERM[name]}


@ALL
def test_without_a_memory_there_is_no_teacher(name: str, answer: str) -> None:
    part, options = told_waves(), options_of(answer, memory=0)
    method: Any = learner(name, **options)
    result, _ = trained(method, part)
    assert method._teacher is None
    finetune, _ = trained(
        learner("finetune", **{key: value for key, value in options.items() if key != "memory"}), part
    )
    assert bits(result) == bits(finetune)


# Whom the teacher hears


class Listening(nn.Module):
    """Counts what a teacher's encoder hears, and looks how it listens."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[int] = []
        self.teachers: list[Model] = []

    def taken(self, model: Model) -> Model:
        teacher = teacher_of(model)
        teacher.encoder.register_forward_hook(self.count)
        self.teachers.append(teacher)
        return teacher

    def count(self, encoder: nn.Module, given: tuple[Any, ...], frames: Frames) -> None:
        assert not any(module.training for module in encoder.modules())
        assert not frames.values.requires_grad
        self.heard.append(len(given[0]))


@IN_STEPS
def test_the_teacher_hears_the_memory_of_every_batch_and_learns_nothing(
    name: str, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    listening, old = Listening(), list[int]()
    monkeypatch.setattr(taught, "teacher_of", listening.taken)
    method: Any = learner(name, views=["jitter"], **options_of(answer))
    part, terms = told_waves(), method.terms

    def counted(model: Model, batch: Batch, context: Context) -> Any:
        old.append(int((batch.codes[MEMORY_ROW] >= 0).sum()))
        return terms(model, batch, context)

    monkeypatch.setattr(method, "terms", counted)
    result, _ = trained(method, part)
    (teacher,) = listening.teachers
    assert listening.heard == [count for count in old if count]
    assert sum(listening.heard) == 4 * method.config.epochs  # two of each class of the first task
    for key, value in result.models[0].state_dict().items():
        assert torch.equal(teacher.state_dict()[key], value)


@IN_STEPS
def test_a_student_that_has_not_moved_is_at_no_distance_whatever_view_it_hears(name: str, answer: str) -> None:
    method: Any = learner(name, views=["jitter", "cutout"], **options_of(answer))
    model, batches = later_task(method, told_waves())
    for step, batch in enumerate(batches):
        here, elsewhere = (Context().at(epoch, step) for epoch in (0, 1))
        assert method.terms(model, batch, here)[TERM[name]].item() == pytest.approx(0, abs=1e-6)
        if len(memory_places(batch)):  # of another view it is not
            heard = method.answer.heard(model, batch, method.view(batch, here))
            other = method._of_teacher(method._teacher, heard, batch, method.view(batch, elsewhere))
            assert method.distance(heard, other, batch.codes[MEMORY_ROW] >= 0) > 1e-5


@IN_STEPS
def test_the_distance_is_that_of_each_sample_of_the_memory_heard_alone(name: str, answer: str) -> None:
    method: Any = learner(name, distillation_weight=3.0, **options_of(answer))
    model, batches = later_task(method, told(waves([20, 14, 17, 9] * 6, classes=4)))
    with seeded(0), torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    batch = next(one for one in batches if len(memory_places(one)) > 1)
    assert batch.unequal_lengths is not None
    assert method.terms(model, batch, Context())[TERM[name]].item() == pytest.approx(
        3 * plain(method, model, batch), rel=1e-5
    )


def plain(method: Any, model: Model, batch: Batch) -> float:
    """The mean of the squared errors or divergences over all real frames or tokens of the memory, row by row."""
    found = list[Tensor]()
    for place in memory_places(batch):
        padded, _ = chosen(batch, View(batch.x, batch.lengths), place[None])
        alone = Batch(padded.x[:, : int(padded.lengths)], padded.lengths, padded.span, padded.codes)
        view = View(alone.x, alone.lengths)
        student, teacher = (method.answer.heard(which, alone, view) for which in (model, method._teacher))
        if method.term == "audio":
            found.append((student.frames.values[0] - teacher.frames.values[0]).square().mean(dim=1))
        else:
            expected, wanted = (heard.logits.flatten(0, -2).log_softmax(dim=1) for heard in (student, teacher))
            found.append((wanted.exp() * (wanted - expected)).sum(dim=1))
    return torch.cat(found).mean().item()


@ALL
def test_a_batch_without_memory_costs_nothing_more_and_does_not_ask(
    name: str, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    listening = Listening()
    monkeypatch.setattr(taught, "teacher_of", listening.taken)
    method: Any = learner(name, **options_of(answer))
    model, batches = later_task(method, told_waves())
    listening.heard.clear()
    terms = method.terms(model, without_memory(batches[0]), Context())
    assert terms[TERM[name]].item() == 0
    assert not listening.heard
    torch.stack(list(terms.values())).sum().backward()
    assert all(weight.grad is None or bool(weight.grad.isfinite().all()) for weight in model.parameters())


# What the teacher writes


@pytest.mark.parametrize(("name", "more"), [("sequence_kd", {}), ("coconut", {"sequence_weight": 1.0, "width": 8})])
def test_every_sample_of_the_memory_is_written_once_a_task(
    name: str, more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrote: list[int] = []

    def counted(decoder: TextDecoder, frames: Frames, **how: Any) -> Written:
        wrote.append(len(frames.values))
        assert how["beams"] == 3
        assert not decoder.training
        return write(decoder, frames, **how)

    monkeypatch.setattr(sequence_teaching, "write", counted)
    part = told_waves()
    part = Part(part.collection.replaced(tasks=TasksSpec(sizes=(1, 1, 2))), part.spans)
    trained(learner(name, sequence_beams=3, epochs=3, **options_of("text", **more)), part)
    assert wrote == [2, 4]


def test_a_memory_is_written_no_more_at_once_than_hypotheses_have_room(monkeypatch: pytest.MonkeyPatch) -> None:
    part, context, sizes = told_waves(), Context(), list[int]()
    model = model_of(learner("sequence_kd", answer="text", decoder=SMALL), part)

    def counted(decoder: TextDecoder, frames: Frames, **how: Any) -> Written:
        sizes.append(len(frames.values))
        return write(decoder, frames, **how)

    monkeypatch.setattr(sequence_teaching, "write", counted)
    rehearsed = RehearsalPart(part.collection, part.spans[:9], 7)
    together = sequence_teaching.written_memory(model, rehearsed, context, beams=2)
    monkeypatch.setattr(embedding, "HYPOTHESES_AT_ONCE", 6)
    apart = sequence_teaching.written_memory(model, rehearsed, context, beams=2)
    assert sizes == [7, 3, 3, 1]
    assert torch.equal(apart.packed, together.packed)
    assert torch.equal(apart.offsets, together.offsets)


@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("pooled", [True, False])
def test_a_teacher_that_writes_the_truth_teaches_the_loss_of_the_memory(
    ended: bool, pooled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it came to no end, it teaches none."""
    method: Any = learner("sequence_kd", **options_of("text") | {"decoder": {**SMALL, "pooled": pooled}})

    def truth(teacher: Model, part: Part, context: Context, read: Any, **bounds: Any) -> Any:
        def said(batch: Batch) -> Any:
            tokens = method.answer.tokens(batch)
            return tokens.targets() if ended else tokens

        return in_batches(teacher, part, context, said, **bounds)

    monkeypatch.setattr(sequence_teaching, "in_batches", truth)
    model, batches = later_task(method, told_waves())
    batch = next(one for one in batches if len(memory_places(one)))
    heard = method.answer.heard(model, batch, View(batch.x, batch.lengths))
    is_memory = batch.codes[MEMORY_ROW] >= 0
    if not ended:  # the loss of the same without the last token
        heard = heard._replace(targets=heard.targets._replace(lengths=heard.targets.lengths - 1))
    wanted = method.answer.loss(heard, among=is_memory)
    assert method.terms(model, batch, Context())["sequence"].item() == pytest.approx(wanted.item(), rel=1e-5)


def test_coconut_adds_what_was_written_to_its_own_terms() -> None:
    part, options = told_waves(), options_of("text", width=8)
    result, recorder = trained(learner("coconut", sequence_weight=1.0, **options), part)
    without, _ = trained(learner("coconut", **options), part)
    assert bits(result)[0] == bits(without)[0]
    assert bits(result)[1] != bits(without)[1]
    terms = {curve.rpartition("/")[2] for curve in recorder.curves if "terms/" in curve}
    assert terms == {"loss", "nspt", "cross_modal", "sequence"}


def test_coconut_with_what_was_written_alone_is_sequence_distillation() -> None:
    part, options = told_waves(), options_of("text", pooling="mean", selection="herding")
    alone, _ = trained(
        learner("coconut", sequence_weight=1.0, distillation_weight=0.0, cross_modal_weight=0.0, **options), part
    )
    distilled, _ = trained(learner("sequence_kd", **options), part)
    assert bits(alone) == bits(distilled)


@pytest.mark.parametrize("name", ["sequence_kd", "coconut"])
def test_classes_are_not_written(name: str) -> None:
    with pytest.raises(NestedInvalid) as refused:
        learner(name, answer="class", sequence_weight=1.0)
    (fault,) = refused.value.errors.errors()
    assert fault["msg"] == (
        "Value error, a teacher writes texts, and `answer: class` has none: answer with `text`, set `sequence_weight: 0`, or"
        " use `token_kd`, which distils classes too"
    )


# Training


@pytest.mark.parametrize("name", ["audio_kd", "token_kd"])
def test_it_keeps_more_than_fine_tuning(name: str) -> None:
    part, other = waves_of_four(8), waves_of_four(8, seed=1)
    found = trained(learner(name, memory=16, epochs=15), part)[0].models[-1]
    assert sum(accuracies(found, other)[:2]) / 2 > 0.4  # fine-tuning is below 0.2 (test_continual)


@pytest.mark.parametrize(("name", "answer"), [*METHODS, ("derpp", "class"), ("derpp", "text")])
def test_mixed_precision_stays_finite_and_near(name: str, answer: str) -> None:
    part, context = told_waves(), Context()

    def run(precision: Precision) -> Tensor:
        method, info = learner(name, **options_of(answer)), DataInfo.of(part)
        found = train(method, train=part, validation=nothing(part), info=info, context=context, precision=precision)
        return torch.cat([weight.flatten() for weight in found.models[-1].parameters()])

    half, single = run("bf16-mixed"), run("32-true")
    assert half.isfinite().all()
    assert not torch.equal(half, single)
    assert (half - single).norm() < 0.1 * single.norm()


@pytest.mark.parametrize(("name", "answer"), [*METHODS, ("derpp", "class"), ("derpp", "text"), ("coconut", "text")])
def test_the_training_goes_on_within_any_task_as_if_nothing_had_happened(
    tmp_path: Path, name: str, answer: str
) -> None:
    part = told_waves()
    more: dict[str, Any] = {"sequence_weight": 0.5, "width": 8} if name == "coconut" else {}
    if answer == "text" and name != "derpp":
        more["merge_dropout"] = 0.2
    options = {"answer": answer, "decoder": {**SMALL, "dropout": 0.2}, "memory": 8, "dropout": 0.3, **more}

    def run() -> Trained:
        return checkpointed(learner(name, views=["jitter"], **options), part, tmp_path)

    whole = run()
    for kept in (whole.steps - 2, 1):
        forget(tmp_path, after=kept)
        again = run()
        assert again.resumed_from == kept
        assert bits(again) == bits(whole)
