"""COCONUT: what it is without its terms, what the teacher is asked, texts that are learned, resuming, and costs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.methods.test_continual import accuracies, learner, waves_of_four
from tests.methods.toys import checkpointed, forget, model_of, trained
from tests.training.tiny import bits
from tswork.config import keyed
from tswork.context import Context
from tswork.data.collection import Part
from tswork.data.rehearsal import PART_ROW
from tswork.data.tasks_spec import TasksSpec
from tswork.data.text_spec import TextSpec
from tswork.errors import ModelUnfit
from tswork.methods import coconut
from tswork.methods.model import Model
from tswork.methods.teacher import looked_up
from tswork.objectives.coconut import nspt
from tswork.text.tokenizer import Tokenizer
from tswork.training.loop import Trained

SMALL = {"dim": 16, "layers": 1, "heads": 2, "dropout": 0.0}
WORDS = ["low wave", "slow wave", "swift wave", "very swift wave"]
CONTRASTS = {"width": 8, "temperature": 0.5}
REPLAY: dict[str, Any] = {"decoder": SMALL, "memory": 8, "selection": "herding", "pooling": "mean"}


def told_waves(each: int = 6, seed: int = 0) -> Part:
    """Waves of four classes with what they say, two classes a task."""
    return told(waves_of_four(each, seed))


def told(part: Part) -> Part:
    """The same waves with what they say."""
    words = [WORDS[int(code)] for code in part.codes("label")]
    collection = part.collection.replaced(table=part.collection.table.assign(words=words))
    return Part(
        collection.replaced(tasks=TasksSpec(step=2), text=TextSpec(transcript="words", vocabulary=40)), part.spans
    )


def texts(model: Model, part: Part, beams: int = 1) -> list[str]:
    return model.transcribe(part.collection.values.view(len(part), -1, 2), beams=beams, longest=40)


def shared(model: Model) -> dict[str, torch.Tensor]:
    """The weights that replay has as well."""
    own = ("heads.audio", "heads.text", "heads.meaning")
    return {name: value for name, value in model.state_dict().items() if not name.startswith(own)}


@pytest.mark.parametrize("answer", ["class", "text"])
def test_without_its_terms_it_is_replay_to_the_last_bit(answer: str) -> None:
    part, options = told_waves(), {"answer": answer, **REPLAY}
    without, _ = trained(learner("coconut", distillation_weight=0.0, cross_modal_weight=0.0, **options), part)
    replay, _ = trained(learner("er", **options), part)
    assert bits(without) == bits(replay)


@pytest.mark.parametrize("answer", ["class", "text"])
def test_its_terms_begin_with_the_same_weights_and_change_training(answer: str) -> None:
    part, options = told_waves(), {"answer": answer, **REPLAY}
    built = [shared(model_of(learner(name, **options), part)) for name in ("coconut", "er")]
    assert all(torch.equal(built[0][name], value) for name, value in built[1].items())
    result, recorder = trained(learner("coconut", **options, **CONTRASTS), part)
    replay, _ = trained(learner("er", **options), part)
    assert bits(result) != bits(replay)
    assert {"loss", "nspt", "cross_modal"} <= {name.rpartition("/")[2] for name in recorder.curves}


@pytest.mark.parametrize("name", ["joint", "coconut"])
def test_a_decoder_that_sees_no_frames_learns_texts_from_the_pooled_vector(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    part, said = told_waves(), [f"c{row % 4} _SEP {WORDS[row % 4]}" for row in range(24)]
    options: dict[str, Any] = {"memory": 16, "width": 8} if name == "coconut" else {}
    right = []
    for pooled in (False, True):
        decoder = {**SMALL, "pooled": pooled}
        method = learner(name, answer="text", decoder=decoder, pooling="mean_std", epochs=40, **options)
        monkeypatch.setattr(method, "build", blinded(method.build))
        model = trained(method, part)[0].models[-1].eval()
        assert ("heads.decoder.lead.weight" in model.state_dict()) == pooled
        right.append(np.mean([one == other for one, other in zip(texts(model, part, 2), said, strict=True)]))
    assert right[0] <= 0.25
    assert right[1] > 0.7


def blinded(build: Callable[..., Model]) -> Callable[..., Model]:
    """A model whose decoder takes every frame for nothing, and goes on to do so."""

    def blind(*given: Any, **more: Any) -> Model:
        model = build(*given, **more)
        for weight in model.heads["decoder"].get_submodule("bridge").parameters():
            weight.requires_grad_(False).zero_()
        return model

    return blind


def test_an_option_that_came_later_is_no_part_of_keys_until_it_is_chosen() -> None:
    plain, pooled = (keyed(learner("er", decoder=SMALL | more).config)["decoder"] for more in ({}, {"pooled": True}))
    assert pooled == plain | {"pooled": True}


def test_the_teacher_hears_the_memory_once_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[int] = []

    def counted(teacher: Model, part: Part, *rest: Any) -> torch.Tensor:
        heard.append(len(part))
        return looked_up(teacher, part, *rest)

    monkeypatch.setattr(coconut, "looked_up", counted)
    part = waves_of_four(sizes=(1, 1, 2))
    trained(learner("coconut", memory=8, epochs=3, **CONTRASTS), part)
    assert heard == [2, 4]
    heard.clear()
    trained(learner("coconut", memory=8, epochs=3, distillation="ntpt", **CONTRASTS), part)
    assert heard == [6 + 2, 12 + 4]


def test_vectors_of_the_teacher_stand_at_the_samples_they_are_of() -> None:
    """With dropout off a student that has not moved since says what its teacher does."""
    part = waves_of_four()
    method: Any = learner("coconut", memory=8, **CONTRASTS)
    first, second = method.tasks(part)
    model = model_of(method, part).eval()
    context = Context()
    method.begin(model, 0, first, context)
    method.finish(model, 0, first, context)
    method.begin(model, 1, second, context)
    batches = method.batches(model, second, context)
    batch = batches.at(0, 0)
    old = batch.codes["memory_row"] >= 0
    assert 0 < int(old.sum()) < len(batch)
    taught = method._taught[batch.codes[PART_ROW]]
    assert torch.isnan(taught[~old]).all()
    torch.testing.assert_close(taught[old], model.heads["audio"](model.embed(batch.x))[old].detach())
    terms = method.terms(model, batch, context)
    assert all(torch.isfinite(term) for term in terms.values())


def test_texts_are_alike_by_their_intent_where_tasks_and_labels_are_scenarios() -> None:
    """As with SLURP: two intents in each scenario, tasks by scenario."""
    part = told_waves()
    table = part.collection.table
    said = table.assign(intent=table["label"], scenario=[f"s{row % 4 // 2}" for row in range(len(part))])
    text = TextSpec(intent="intent", transcript="words", vocabulary=40)
    collection = part.collection.replaced(table=said, label="scenario", text=text, tasks=TasksSpec(step=1))
    method: Any = learner("coconut", answer="text", **REPLAY, **CONTRASTS)
    part = Part(collection, part.spans)
    first, second = method.tasks(part)
    model, context = model_of(method, part).eval(), Context()
    method.begin(model, 0, first, context)
    method.finish(model, 0, first, context)
    method.begin(model, 1, second, context)
    batch = method.batches(model, second, context).at(0, 0)
    heard = method.heard(model, batch, context)
    intents = collection.codes("intent")[batch.span[:, 0]]
    assert torch.equal(heard.labels, intents)
    old = batch.codes["memory_row"] >= 0
    student, teacher = model.heads["audio"](heard.vectors), method._taught[batch.codes[PART_ROW]]
    expected = 0.1 * nspt(student, teacher, intents, old, temperature=0.5)
    torch.testing.assert_close(method.terms(model, batch, context)["nspt"], expected)


def test_what_is_said_is_learned_and_what_was_said_before_is_kept() -> None:
    options: dict[str, Any] = {
        "answer": "text", "decoder": {**SMALL, "dim": 32}, "epochs": 60, "learning_rate": 0.01, "pooling": "mean",
    }  # fmt: skip
    part, other = told_waves(8), told_waves(4, seed=1)
    truth = [f"c{int(code)} _SEP {WORDS[int(code)]}" for code in other.codes("label")]
    found = {name: trained(learner(name, **options), part)[0].models[-1] for name in ("finetune", "joint")}
    found["coconut"] = trained(learner("coconut", memory=16, **CONTRASTS, **options), part)[0].models[-1]
    right = {name: np.array(texts(model, other)) == truth for name, model in found.items()}
    old = other.codes("label").numpy() < 2
    assert right["finetune"][old].mean() < 0.3
    assert right["coconut"][old].mean() > 0.5
    assert right["joint"].mean() > 0.8
    assert texts(found["joint"], other, beams=3) == texts(found["joint"], other)
    assert found["joint"].provides == {"embed", "answer", "transcribe"}


def test_texts_are_cut_anew_in_every_epoch_where_merges_are_dropped() -> None:
    part = told_waves()
    method: Any = learner("finetune", answer="text", decoder=SMALL, merge_dropout=0.5)
    model = model_of(method, part)
    batches = method.batches(model, method.tasks(part)[0], Context())
    batch, seen = batches.at(0, 0), []
    for epoch in (0, 1, 1, 0):
        method.answer.step(Context().at(epoch, 0))
        seen.append(method.answer.tokens(batch))
    tokenizer = Tokenizer.from_json(model.info.tokenizer or "")
    assert len({tuple(tokenizer.decode(ids) for ids in tokens.ids) for tokens in seen}) == 1
    assert not torch.equal(seen[0].lengths, seen[1].lengths)
    assert torch.equal(seen[1].ids, seen[2].ids)
    assert torch.equal(seen[0].ids, seen[3].ids)


@pytest.mark.parametrize("answer", ["class", "text"])
def test_the_training_goes_on_within_a_later_task_as_if_nothing_had_happened(tmp_path: Path, answer: str) -> None:
    part = told_waves()

    def run() -> Trained:
        options = {"decoder": {**SMALL, "dropout": 0.2}, "merge_dropout": 0.2, "memory": 8, "dropout": 0.3}
        return checkpointed(learner("coconut", answer=answer, **options, **CONTRASTS), part, tmp_path)

    whole = run()
    forget(tmp_path, after=whole.steps - 2)
    again = run()
    assert again.resumed_from == whole.steps - 2
    assert bits(again) == bits(whole)


def test_it_keeps_more_than_fine_tuning() -> None:
    options: dict[str, Any] = {"epochs": 15, "batch_size": 8}
    part, other = waves_of_four(8), waves_of_four(8, seed=1)
    found = trained(learner("coconut", memory=16, **CONTRASTS, **options), part)[0].models[-1]
    assert np.mean(accuracies(found, other)[:2]) > 0.4  # fine-tuning is below 0.2 (test_continual)


def test_texts_need_columns_of_texts() -> None:
    with pytest.raises(ModelUnfit, match="the data have no texts"):
        model_of(learner("coconut", answer="text"), waves_of_four())
