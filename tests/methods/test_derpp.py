"""DER++: what it is without its terms, which logits are kept, and what their error is."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from tests.methods.test_coconut import SMALL, told_waves
from tests.methods.test_continual import accuracies, learner, waves_of_four
from tests.methods.test_distilling import later_task, without_memory
from tests.methods.toys import model_of, trained
from tests.training.tiny import bits
from tswork.augment.base import View
from tswork.config import NestedInvalid
from tswork.context import Context
from tswork.data.batches import Batch, Batches
from tswork.data.collection import Part
from tswork.data.rehearsal import MEMORY_ROW
from tswork.data.samplers import ByLength
from tswork.data.tasks_spec import TasksSpec
from tswork.errors import ModelUnfit
from tswork.methods.kept_logits import KeptLogits
from tswork.methods.model import Model, evaluating

BOTH = pytest.mark.parametrize("answer", ["class", "text"])


def options_of(answer: str, **more: Any) -> dict[str, Any]:
    return {"answer": answer, "decoder": SMALL, "memory": 8, "dropout": 0.0, **more}


def batch_of(part: Part, spans: torch.Tensor) -> Batch:
    """Samples of equal length in one batch, in their order."""
    some = Part(part.collection, spans)
    return Batches(some, sampler=ByLength(some.lengths), columns=("label",)).at(0, 0)


def logits_of(method: Any, model: Model, batch: Batch) -> torch.Tensor:
    with evaluating(model):
        logits: torch.Tensor = method.answer.heard(model, batch, View(batch.x, batch.lengths)).logits
    return logits[:, None] if logits.ndim == 2 else logits


# What it is without its terms


@BOTH
@pytest.mark.parametrize("selection", ["reservoir", "herding"])
def test_without_its_terms_it_is_replay_to_the_last_bit(answer: str, selection: str) -> None:
    part, options = told_waves(), options_of(answer, selection=selection)
    without, _ = trained(learner("derpp", logits_weight=0.0, memory_weight=None, **options), part)
    replay, _ = trained(learner("er", **options), part)
    assert bits(without) == bits(replay)


@BOTH
@pytest.mark.parametrize("weight", [None, 0.5])
def test_the_first_task_is_that_of_replay_and_a_later_one_is_not(answer: str, weight: float | None) -> None:
    part, options = told_waves(), options_of(answer, selection="reservoir")
    result, recorder = trained(learner("derpp", memory_weight=weight, **options), part)
    replay, _ = trained(learner("er", **options), part)
    assert bits(result)[0] == bits(replay)[0]
    assert bits(result)[1] != bits(replay)[1]
    terms = {curve.rpartition("/")[2] for curve in recorder.curves if "terms/" in curve}
    assert terms == {"loss", "logits"} | (set() if weight is None else {"memory"})


def test_without_a_memory_it_is_fine_tuning_to_the_last_bit() -> None:
    part = waves_of_four()
    assert bits(trained(learner("derpp", memory=0), part)[0]) == bits(trained(learner("finetune"), part)[0])


# Which logits are kept


@BOTH
@pytest.mark.parametrize("options", [{"selection": "herding", "growth": "growing"}, {"selection": "reservoir"}])
def test_logits_are_kept_of_the_memory_alone_as_they_were_when_it_took_each_sample(
    answer: str, options: dict[str, Any]
) -> None:
    """Samples that have left the memory have left with theirs; those that came early keep those of the early model."""
    part = told_waves()
    part = Part(part.collection.replaced(tasks=TasksSpec(sizes=(1, 1, 2))), part.spans)
    method: Any = learner("derpp", top=4, **options_of(answer, **options))
    result, _ = trained(method, part)
    kept, memory = method._kept, method.memory
    assert len(kept) == len(memory) > 0
    assert set(memory.task.tolist()) == {0, 1, 2}
    method.answer.begin(result.models[-1], part)
    for task, model in enumerate(result.models):
        rows = torch.nonzero(memory.task == task).flatten()
        logits = logits_of(method, model, batch_of(part, memory.spans[rows]))
        found = kept.at(rows)
        most = found.values.shape[2]
        assert most == 4  # classes are four
        for row, length in enumerate(found.lengths.tolist()):
            wanted = logits[row, :length].topk(most, dim=1)
            torch.testing.assert_close(found.values[row, :length], wanted.values)
            assert torch.equal(found.choices[row, :length], wanted.indices)


def test_kept_logits_count_among_what_is_kept() -> None:
    part, options = waves_of_four(), options_of("class", selection="random")
    kept = [
        trained(learner(name, **options), part)[1].tables["cost"]["kept_bytes"].tolist() for name in ("derpp", "er")
    ]
    a_sample = 4 * (4 + 8) + 8  # four logits, their classes, and how many tokens it has
    assert [with_logits - alone for with_logits, alone in zip(*kept, strict=True)] == [4 * a_sample, 8 * a_sample]


# Their error


@BOTH
def test_terms_are_the_losses_of_the_rows_they_are_of(answer: str) -> None:
    method: Any = learner("derpp", logits_weight=3.0, memory_weight=2.0, **options_of(answer))
    model, batches = later_task(method, told_waves())
    batch = next(one for one in batches if 0 < int((one.codes[MEMORY_ROW] >= 0).sum()) < len(one))
    old = batch.codes[MEMORY_ROW] >= 0
    heard = method.answer.heard(model, batch, View(batch.x, batch.lengths))
    terms = method.terms(model, batch, Context())
    assert terms["loss"].item() == pytest.approx(method.answer.loss(heard, among=~old).item())
    assert terms["memory"].item() == pytest.approx(2 * method.answer.loss(heard, among=old).item())
    assert terms["logits"].item() == pytest.approx(0, abs=1e-9)  # the student has not moved since
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(1.1)
    found, wanted = logits_of(method, model, batch), list[torch.Tensor]()
    for place in torch.nonzero(old).flatten().tolist():
        kept = method._kept.at(batch.codes[MEMORY_ROW][place : place + 1])
        for token in range(int(kept.lengths)):
            errors = found[place, token][kept.choices[0, token]] - kept.values[0, token]
            wanted.append(errors.square().mean())
    error = method.terms(model, batch, Context())["logits"].item()
    assert error == pytest.approx(3 * torch.stack(wanted).mean().item(), rel=1e-5)
    assert error > 1e-4


@BOTH
def test_a_batch_without_memory_costs_nothing_more(answer: str) -> None:
    method: Any = learner("derpp", **options_of(answer))
    model, batches = later_task(method, told_waves())
    terms = method.terms(model, without_memory(batches[0]), Context())
    assert terms["logits"].item() == terms["memory"].item() == 0
    torch.stack(list(terms.values())).sum().backward()
    assert all(weight.grad is None or bool(weight.grad.isfinite().all()) for weight in model.parameters())


def test_all_logits_of_classes_and_their_error_are_those_of_the_paper() -> None:
    logits, now = torch.randn(2, 5, 1, 3, generator=torch.Generator().manual_seed(0))
    kept = KeptLogits.of(logits, torch.ones(5, dtype=torch.int64), top=None)
    rows = torch.tensor([4, -1, 0])
    wanted = functional.mse_loss(now[[0, 2]], logits[[4, 0]])
    assert kept.error(now[:3], rows).item() == pytest.approx(wanted.item())
    assert kept.error(now[:3], torch.full((3,), -1)).item() == 0


def test_the_error_reads_neither_padding_nor_new_samples_and_takes_any_number_of_tokens() -> None:
    draw = torch.Generator().manual_seed(0)
    logits, lengths = torch.randn(2, 4, 6, generator=draw, dtype=torch.float64), torch.tensor([4, 2])
    kept = KeptLogits.joined([KeptLogits.none(), KeptLogits.of(logits, lengths, top=3)])
    now, rows = torch.randn(2, 4, 6, generator=draw, dtype=torch.float64), torch.tensor([1, -1])
    wanted = kept.error(now, rows)
    unread = now.clone()
    unread[0, 2:], unread[1] = torch.nan, torch.nan
    assert kept.error(unread, rows) == wanted
    assert kept.error(now[:, :2], rows) == wanted  # a batch of short texts
    assert kept.error(functional.pad(now, (0, 0, 0, 3)), rows) == wanted  # one with a longer, new text
    now.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: kept.error(z, rows), now)


def test_logits_of_unequal_texts_stand_together() -> None:
    pieces = [KeptLogits.of(torch.randn(2, tokens, 6), torch.tensor([tokens, 1]), top=2) for tokens in (3, 5)]
    together = KeptLogits.joined(pieces)
    assert together.values.shape == (4, 5, 2)
    assert together.lengths.tolist() == [3, 1, 5, 1]
    assert torch.equal(together.values[0, :3], pieces[0].values[0])
    assert torch.equal(together.at(torch.tensor([2])).choices, pieces[1].choices[:1])
    again = KeptLogits(**together.state_dict())
    assert all(torch.equal(one, two) for one, two in zip(vars(again).values(), vars(together).values(), strict=True))


def test_it_keeps_more_than_fine_tuning() -> None:
    part, other = waves_of_four(8), waves_of_four(8, seed=1)
    found = trained(learner("derpp", memory=16, epochs=15), part)[0].models[-1]
    assert sum(accuracies(found, other)[:2]) / 2 > 0.4  # fine-tuning is below 0.2 (test_continual)


def test_texts_need_columns_of_texts() -> None:
    with pytest.raises(ModelUnfit, match="the data have no texts"):
        model_of(learner("derpp", answer="text"), waves_of_four())


def test_logits_are_not_kept_of_texts_that_are_cut_anew() -> None:
    with pytest.raises(NestedInvalid) as refused:
        learner("derpp", answer="text", merge_dropout=0.1)
    (fault,) = refused.value.errors.errors()
    assert "`merge_dropout` cuts it anew in every epoch: set `merge_dropout: 0`" in fault["msg"]
    learner("derpp", answer="text", merge_dropout=0.1, logits_weight=0.0)
    learner("derpp", merge_dropout=0.1)  # classes are not cut
