"""Continual methods: what is learned when, what is kept, bounds that must meet, resuming, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.methods.toys import checkpointed, forget, method_of, model_of, trained, waves
from tests.training.tiny import bits
from tswork.context import Context
from tswork.data.collection import Part
from tswork.data.rehearsal import MEMORY_ROW
from tswork.data.tasks_spec import TasksSpec
from tswork.errors import DataInvalid, ModelUnfit, TsworkWarning
from tswork.methods.base import Method
from tswork.methods.model import Model
from tswork.recorder import MemoryRecorder
from tswork.training.loop import Trained

PAIRS: dict[str, Any] = {"step": 2}


def waves_of_four(each: int = 6, seed: int = 0, **tasks: Any) -> Part:
    part = waves([20] * 4 * each, classes=4, noise=0.1, seed=seed)
    return Part(part.collection.replaced(tasks=TasksSpec(**(tasks or PAIRS))), part.spans)


def learner(name: str, **options: Any) -> Method[Any]:
    given = {"epochs": 2, "batch_size": 8, "learning_rate": 0.01, **options}
    return method_of(name, **given)


def learned(name: str, part: Part | None = None, **options: Any) -> Trained:
    result, _ = trained(learner(name, **options), waves_of_four() if part is None else part)
    return result


def accuracies(model: Model, part: Part) -> list[float]:
    """Accuracy on each class."""
    truth = part.codes("label")
    with torch.no_grad():
        found = model.classify(part.collection.values.view(len(part), -1, 2)).argmax(dim=1)
    return [float((found[truth == code] == code).float().mean()) for code in range(4)]


# Tasks


def test_every_task_gives_a_model() -> None:
    part = waves_of_four(sizes=(1, 3), order=("c2", "c0", "c1", "c3"))
    assert [sorted(set(one.codes("label").tolist())) for one in learner("er").tasks(part)] == [[2], [0, 1, 3]]
    result = learned("finetune", part)
    assert len(result.models) == 2
    assert result.models[0].provides == {"embed", "answer", "classify"}


def test_a_task_is_trained_on_its_own_classes_alone() -> None:
    part = waves_of_four()
    method = learner("finetune")
    model = model_of(method, part)
    for task, own in enumerate(method.tasks(part)):
        batches = method.batches(model, own, Context())
        seen = {int(code) for step in range(batches.steps(0)) for code in batches.at(0, step).codes["label"]}
        assert seen == {2 * task, 2 * task + 1}


@pytest.mark.parametrize(
    "name", ["finetune", "joint", "er", "coconut", "derpp", "agem", "ewc", "icarl", "co2l", "token_kd"]
)
def test_samples_without_a_label_take_no_part_where_tasks_are_of_another_column(name: str) -> None:
    part = waves_of_four()
    table = part.collection.table.assign(place=[f"p{row // 4 % 2}" for row in range(len(part))])
    labels = table["label"].where(~table.index.isin([0, 5, 6]), None)
    divided = {"tasks": TasksSpec(column="place")}
    some = Part(part.collection.replaced(table=table.assign(label=labels), **divided), part.spans)
    rows = [row for row in range(len(part)) if row not in (0, 5, 6)]
    fewer = Part(part.collection.replaced(table=table, **divided), part.spans[rows])
    assert bits(learned(name, some)) == bits(learned(name, fewer))


def test_fine_tuning_forgets_replay_forgets_less_and_all_at_once_is_learned() -> None:
    options: dict[str, Any] = {"epochs": 15, "batch_size": 8}
    part, other = waves_of_four(8), waves_of_four(8, seed=1)
    found = {name: accuracies(learned(name, part, **options).models[-1], other) for name in ("finetune", "joint")}
    found["er"] = accuracies(learned("er", part, memory=16, **options).models[-1], other)
    assert np.mean(found["finetune"][:2]) < 0.2
    assert np.mean(found["finetune"][2:]) > 0.9
    assert np.mean(found["er"][:2]) > 0.6
    assert np.mean(found["joint"]) >= np.mean(found["er"])
    assert np.mean(found["joint"]) > 0.9


# Bounds that must meet


def test_replay_without_a_memory_is_fine_tuning_to_the_last_bit() -> None:
    assert bits(learned("er", memory=0)) == bits(learned("finetune"))


def test_one_task_is_learned_alike_by_all() -> None:
    joint, finetune, er = (bits(learned(name, waves_of_four(sizes=(4,)))) for name in ("joint", "finetune", "er"))
    assert joint == finetune == er


def test_the_first_task_is_learned_alike_whatever_is_kept_of_it() -> None:
    first = [bits(learned("er", memory=memory, selection=how))[0] for memory, how in ((4, "random"), (8, "herding"))]
    assert first[0] == first[1] == bits(learned("finetune"))[0]


# Memory


@pytest.mark.parametrize("selection", ["random", "herding", "nearest_to_mean", "reservoir"])
def test_what_is_kept_is_of_earlier_tasks_and_within_its_size(selection: str) -> None:
    method: Any = learner("er", memory=9, selection=selection, growth="growing")
    result, _ = trained(method, waves_of_four())
    table = method.memory.table
    assert len(table) <= 9
    assert table["task"].isin([0, 1]).all()
    assert (table["task"] == table["class"].isin(["c2", "c3"]).astype(int)).all()
    assert len(result.models) == 2
    if selection != "reservoir":
        assert table["class"].value_counts().to_dict() == {f"c{code}": 2 for code in range(4)}


@pytest.mark.parametrize("from_memory", [None, 3])
def test_batches_of_a_later_task_hold_the_memory(from_memory: int | None) -> None:
    part = waves_of_four()
    method: Any = learner("er", memory=8, from_memory=from_memory)
    model = model_of(method, part)
    first, second = method.tasks(part)
    method.begin(model, 0, first, Context())
    assert all((batch.codes[MEMORY_ROW] < 0).all() for batch in of(method.batches(model, first, Context())))
    method.finish(model, 0, first, Context())
    batches = of(method.batches(model, second, Context()))
    for batch in batches:
        old = batch.codes[MEMORY_ROW] >= 0
        assert torch.equal(old, batch.codes["label"] < 2)
        if from_memory is not None:
            assert int(old.sum()) == from_memory
    assert sum(int((batch.codes[MEMORY_ROW] < 0).sum()) for batch in batches) == len(second)


def of(batches: Any) -> list[Any]:
    return [batches.at(0, step) for step in range(batches.steps(0))]


def replayed(folder: Path) -> tuple[Trained, MemoryRecorder]:
    """Replay with a checkpoint after every step, and what it recorded."""
    recorder = MemoryRecorder()
    method = learner("er", memory=8, selection="herding", dropout=0.3)
    return checkpointed(method, waves_of_four(), folder, recorder), recorder


def test_the_training_goes_on_within_a_later_task_with_the_memory_it_had(tmp_path: Path) -> None:
    whole, _ = replayed(tmp_path)
    forget(tmp_path, after=whole.steps - 2)
    again, _ = replayed(tmp_path)
    assert again.resumed_from == whole.steps - 2
    assert bits(again) == bits(whole)


# What is reported


def test_contents_of_the_memory_and_costs_are_told_after_every_task() -> None:
    part = waves_of_four()
    named = part.collection.replaced(table=part.collection.table.assign(id=[f"w{row}" for row in range(len(part))]))
    method: Any = learner("er", memory=8, selection="herding", growth="growing")
    result, recorder = trained(method, Part(named, part.spans))
    memory, cost = recorder.tables["memory"], recorder.tables["cost"]
    pd.testing.assert_frame_equal(
        memory[memory["after"] == 2].drop(columns=["after", "id"]).reset_index(drop=True),
        method.memory.table.assign(task=method.memory.table["task"] + 1),
    )
    assert memory.groupby(["after", "task"]).size().to_dict() == {(1, 1): 8, (2, 1): 4, (2, 2): 4}
    assert (memory["id"] == "w" + memory["sequence"].astype(str)).all()
    expected = pd.DataFrame(
        {
            "task": [1, 2],
            "steps": [4, 6],
            "new_samples": 12,
            "old_samples": [0, 8],
            "kept_samples": 8,
            "kept_bytes": 8 * 20 * 2 * 4,
            "parameters": sum(weight.numel() for weight in result.models[0].parameters()),
            "teacher_parameters": 0,
        }
    )
    pd.testing.assert_frame_equal(cost.drop(columns="seconds"), expected)
    assert (cost["seconds"] > 0).all()


def test_a_teacher_counts_and_who_keeps_nothing_tells_so() -> None:
    _, recorder = trained(learner("coconut", memory=8), waves_of_four())
    cost = recorder.tables["cost"]
    assert cost["teacher_parameters"].tolist() == [0, cost["parameters"][0]]
    _, recorder = trained(learner("finetune"), waves_of_four())
    assert recorder.tables["cost"]["kept_samples"].tolist() == [0, 0]
    assert "memory" not in recorder.tables
    _, recorder = trained(learner("er", memory=0), waves_of_four())
    assert recorder.tables["cost"]["old_samples"].tolist() == [0, 0]
    assert "memory" not in recorder.tables


def test_a_resumed_training_tells_of_its_earlier_tasks_too(tmp_path: Path) -> None:
    whole, first = replayed(tmp_path)
    forget(tmp_path, after=whole.steps - 1)
    again, second = replayed(tmp_path)
    assert again.resumed_from == whole.steps - 1
    pd.testing.assert_frame_equal(first.tables["memory"], second.tables["memory"])
    pd.testing.assert_frame_equal(
        first.tables["cost"].drop(columns="seconds"), second.tables["cost"].drop(columns="seconds")
    )
    assert second.tables["cost"]["seconds"][0] == first.tables["cost"]["seconds"][0]


@pytest.mark.parametrize("fault", ["altered", "missing"])
def test_an_altered_memory_is_never_resumed_with(tmp_path: Path, fault: str) -> None:
    """It lies in the checkpoint's state; what is not as it was written is refused by name, and an older whole one is taken."""
    whole, _ = replayed(tmp_path)
    last = whole.steps - 1
    forget(tmp_path, after=last)
    state = tmp_path / f"step-{last:09d}" / "state.pt"
    if fault == "missing":
        state.unlink()
    else:
        saved = torch.load(state, weights_only=True)
        saved["method"]["memory"]["spans"] = saved["method"]["memory"]["spans"].flip(0)
        torch.save(saved, state)
    instead = f"training goes on from step-{last - 1:09d}"
    with pytest.warns(TsworkWarning, match=rf"step-{last:09d} is damaged \(state.pt .*\) and is skipped: {instead}"):
        again, _ = replayed(tmp_path)
    assert again.resumed_from == last - 1
    assert bits(again) == bits(whole)


def test_where_no_checkpoint_is_whole_training_begins_anew_and_says_so(tmp_path: Path) -> None:
    whole, _ = replayed(tmp_path)
    forget(tmp_path, after=2)
    states = sorted(tmp_path.glob("step-*/state.pt"))
    for state in states:
        state.write_bytes(state.read_bytes()[:-1] + b"x")
    with pytest.warns(TsworkWarning, match="is damaged .* and is skipped") as told:
        again, _ = replayed(tmp_path)
    assert again.resumed_from is None
    assert bits(again) == bits(whole)
    texts = [str(one.message) for one in told]
    assert len(texts) == len(states) == 2
    for state, text in zip(reversed(states), texts, strict=True):
        assert text.startswith(f"the checkpoint {state.parent} is damaged (state.pt was altered)")
        assert text.endswith("is skipped: no other is whole, so training begins anew")


# What is refused


def test_options_that_do_not_fit_the_data_are_refused_before_training() -> None:
    part = waves_of_four()
    with pytest.raises(DataInvalid, match="a memory of 3 samples is smaller than the 4 classes"):
        learner("er", memory=3).check(part)
    with pytest.raises(DataInvalid, match="8 samples of the memory leave a batch of 8 no new one"):
        learner("er", from_memory=8).check(part)
    with pytest.raises(DataInvalid, match="4 classes cannot be divided into 3 classes at a time"):
        learner("finetune").check(waves_of_four(step=3))
    undivided = Part(part.collection.replaced(tasks=None), part.spans)
    with pytest.raises(DataInvalid, match="the data are not divided into tasks"):
        learner("finetune").check(undivided)
    with pytest.raises(DataInvalid, match="bounded in seconds, and the data have no sample rate"):
        learner("finetune", seconds=3.0).check(part)
    without = part.collection.replaced(label=None)
    with pytest.raises(DataInvalid, match="the data have no label to divide into tasks"):
        learner("joint").check(Part.whole(without))
    with pytest.raises(ModelUnfit, match="the data have no labels"):
        model_of(learner("joint"), Part.whole(without))


def test_tasks_without_data_are_refused() -> None:
    part = waves_of_four()
    few = Part(part.collection, part.spans[part.codes("label") < 2])
    for name in ("finetune", "joint", "er"):
        with pytest.raises(DataInvalid, match=r"task 1: it has no samples \(classes c2, c3\)"):
            learner(name).tasks(few)


# Several processes


@pytest.mark.parametrize("name", ["er", "coconut"])
def test_several_processes_get_equally_many_of_every_batch(name: str) -> None:
    """Of twelve new samples in batches of seven beside one of the memory a rest of five is left out."""
    part, method = waves_of_four(), learner(name, memory=8, from_memory=1)
    first, second = method.tasks(part)
    model = model_of(method, part)
    method.begin(model, 0, first, Context())
    method.finish(model, 0, first, Context())
    shares = [method.batches(model, second, Context(rank=rank, world_size=2)) for rank in range(2)]
    assert [share.steps(0) for share in shares] == [1, 1]
    assert [len(share.at(0, 0)) for share in shares] == [4, 4]
    assert method.batches(model, second, Context()).steps(0) == 2


@pytest.mark.parametrize("options", [{}, {"from_memory": 2}])
def test_batches_bounded_in_seconds_are_not_shared_among_processes(options: dict[str, Any]) -> None:
    part = waves_of_four()
    part = Part(part.collection.replaced(rate=10.0), part.spans)
    method = learner("er", memory=8, seconds=20.0, **options)
    method.begin(model_of(method, part), 0, part, Context())
    with pytest.raises(DataInvalid, match=r"seconds: batches of similar length cannot be shared evenly among several"):
        method.batches(model_of(method, part), part, Context(world_size=2))
