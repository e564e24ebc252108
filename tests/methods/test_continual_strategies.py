"""A-GEM, EWC, iCaRL and Co2L: what the first task is, resuming, other columns, texts, and what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch.nn.functional import cross_entropy

from tests.methods.test_coconut import SMALL, told_waves
from tests.methods.test_continual import accuracies, learned, learner, waves_of_four
from tests.methods.toys import checkpointed, forget, model_of, trained, waves
from tests.training.tiny import bits
from tswork.data.collection import Part
from tswork.data.tasks_spec import TasksSpec
from tswork.methods.co2l import Co2lConfig
from tswork.methods.icarl import IcarlConfig
from tswork.methods.model import Model
from tswork.methods.nearest_mean import ByMeansConfig
from tswork.training.loop import Trained

FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "agem": ("agem", {"memory": 8, "from_memory": 4, "views": ["jitter"]}),
    "agem, text": ("agem", {"memory": 8, "from_memory": 4, "answer": "text", "decoder": {**SMALL, "dropout": 0.2}}),
    "ewc": ("ewc", {"samples": 5}),
    "ewc, online": ("ewc", {"samples": 5, "form": "online", "decay": 0.5, "fisher": "labels"}),
    "ewc, text": ("ewc", {"samples": 5, "answer": "text", "decoder": {**SMALL, "dropout": 0.2}}),
    "icarl": ("icarl", {"memory": 8, "views": ["jitter"]}),
    "co2l": ("co2l", {"memory": 8, "width": 8}),
    "co2l, views": ("co2l", {"memory": 8, "width": 8, "views": ["jitter"], "views_per_item": 2, "from_memory": 2}),
}


def three_tasks() -> Part:
    """Waves of four classes with what they say, in tasks of 1, 1 and 2."""
    part = told_waves()
    return Part(part.collection.replaced(tasks=TasksSpec(sizes=(1, 1, 2))), part.spans)


def told_apart(model: Model, part: Part) -> tuple[float, float]:
    """Of the classes of the first task: the cross entropy among all, and the accuracy where the task is told."""
    truth = part.codes("label")
    old = truth < 2
    with torch.no_grad():
        logits = model.classify(part.collection.values.view(len(part), -1, 2))[old]
    right = logits[:, :2].argmax(dim=1) == truth[old]
    return float(cross_entropy(logits, truth[old])), float(right.float().mean())


# The first task


def test_the_first_task_is_that_of_fine_tuning_where_only_later_ones_are_treated() -> None:
    first = bits(learned("finetune"))[0]
    assert bits(learned("agem", memory=8))[0] == first
    assert bits(learned("ewc", samples=3))[0] == first


def test_the_first_task_is_learned_alike_whatever_is_kept_of_it() -> None:
    def weights(name: str, **options: Any) -> dict[str, list[Any]]:
        found = bits(learned(name, **options))[0]
        return {key: value for key, value in found.items() if not key.startswith("heads.classify")}

    assert weights("icarl", memory=4, selection="random") == weights("icarl", memory=12)
    assert weights("co2l", memory=4, distillation_weight=0.0) == weights("co2l", memory=12)


# Bounds that must meet


def test_without_what_they_add_they_are_fine_tuning_to_the_last_bit() -> None:
    plain = bits(learned("finetune"))
    assert bits(learned("agem", memory=0)) == plain
    assert bits(learned("ewc", weight=0.0)) == plain
    assert bits(learned("agem", memory=8)) != plain
    assert bits(learned("ewc", samples=5)) != plain


# Resuming


@pytest.mark.parametrize("form", FORMS)
def test_the_training_goes_on_within_a_later_task_as_if_nothing_had_happened(tmp_path: Path, form: str) -> None:
    part = three_tasks()
    name, options = FORMS[form]

    def run() -> Trained:
        return checkpointed(learner(name, dropout=0.3, merge_dropout=0.2, **options), part, tmp_path)

    whole = run()
    assert len(whole.models) == 3
    forget(tmp_path, after=whole.steps - 2)
    again = run()
    assert again.resumed_from == whole.steps - 2
    assert bits(again) == bits(whole)


@pytest.mark.parametrize("form", FORMS)
def test_a_method_that_has_trained_begins_anew(form: str) -> None:
    name, options = FORMS[form]
    part, method = three_tasks(), learner(name, **options)
    first, second = (bits(trained(method, part)[0]) for _ in range(2))
    assert first == second


# Data


@pytest.mark.parametrize("form", FORMS)
def test_sequences_of_unequal_length_are_learned(form: str) -> None:
    part = waves([20, 14, 20, 9, 17, 11] * 4, classes=4)
    words = part.collection.replaced(
        tasks=TasksSpec(step=2), text=told_waves().collection.text, table=part.collection.table.assign(words="a wave")
    )
    name, options = FORMS[form]
    result, recorder = trained(learner(name, **options), Part(words, part.spans))
    assert len(result.models) == 2
    assert all(np.isfinite(value) for _, value in recorder.curves["loss"])


@pytest.mark.parametrize("form", FORMS)
def test_tasks_may_be_of_another_column_in_which_labels_come_again(form: str) -> None:
    part = told_waves(8)
    place = (np.arange(len(part)) // 6 % 2).astype(str)
    collection = part.collection.replaced(
        table=part.collection.table.assign(place=place), tasks=TasksSpec(step=1, column="place")
    )
    name, options = FORMS[form]
    method: Any = learner(name, **options)
    result, recorder = trained(method, Part(collection, part.spans))
    assert len(result.models) == 2
    assert all(np.isfinite(value) for _, value in recorder.curves["loss"])
    if name in ("icarl", "co2l"):
        assert method.memory.column == "label"
        assert result.models[0].get_buffer("heads.classify.known").all(), "all labels are in the first task already"


@pytest.mark.parametrize("config", [IcarlConfig, Co2lConfig])
def test_means_write_no_text_and_need_exemplars(config: type[ByMeansConfig]) -> None:
    with pytest.raises(ValidationError, match=r"writes no text: use `answer: class`, or `coconut` or `er` for texts"):
        config(answer="text")
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        config(memory=0)


# What is kept


def test_what_they_keep_of_the_first_task() -> None:
    """With one head for all tasks, A-GEM and EWC slow forgetting down and cannot prevent it; memories with means do."""
    options: dict[str, Any] = {"epochs": 15, "batch_size": 8}
    part, other = waves_of_four(8), waves_of_four(8, seed=1)

    def last(name: str, **own: Any) -> Model:
        return learned(name, part, **options, **own).models[-1]

    surprise, told = told_apart(last("finetune"), other)
    for name, own in (("agem", {"memory": 32}), ("ewc", {"weight": 1e5})):
        model = last(name, **own)
        less, apart = told_apart(model, other)
        assert less < 0.6 * surprise, name
        assert apart > told, name
        assert np.mean(accuracies(model, other)[2:]) > 0.9, name
    for name in ("icarl", "co2l"):
        found = accuracies(last(name, memory=16), other)
        assert np.mean(found[:2]) > 0.6, name  # fine-tuning is below 0.2 (test_continual)
        assert np.mean(found) > 0.75, name


def test_untrained_models_are_built_for_all() -> None:
    part = waves_of_four()
    for name in ("agem", "ewc", "icarl", "co2l"):
        model = model_of(learner(name), part)
        assert {"embed", "answer", "classify"} <= model.provides
        assert model.classify(part.collection.values.view(len(part), -1, 2)).shape == (len(part), 4)
