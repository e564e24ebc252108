"""Rehearsal memories: which samples stand for a class, quotas, reservoirs, files, and batches that mix old with new."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from tests.reference import memory as plain
from tswork.data.batches import Batches
from tswork.data.collection import Collection, Part
from tswork.data.exemplars import Selection, exemplars, herding, nearest_to_mean
from tswork.data.memory import Memory, class_quota, reservoir_places
from tswork.data.memory_files import load_memory, save_memory
from tswork.data.rehearsal import MEMORY_ROW, Drawn, Rehearsal, RehearsalPart, rehearsal_sampler
from tswork.data.samplers import Sampler, Uniform
from tswork.errors import DataInvalid

SELECTIONS: tuple[Selection, ...] = get_args(Selection)


def noise(samples: int, dim: int, seed: int = 0) -> Tensor:
    return torch.randn(samples, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Exemplars


def test_herding_and_nearest_to_mean_of_points_on_a_line() -> None:
    line = torch.tensor([[0.0], [1.0], [2.0], [3.0], [10.0]])
    assert herding(line, 5).tolist() == [3, 2, 1, 4, 0]
    assert nearest_to_mean(line, 5).tolist() == [3, 2, 1, 0, 4]


def test_herding_of_directions() -> None:
    angles = torch.tensor([0, 10, 20, 80, 200]) * (math.pi / 180)
    points = torch.stack([angles.cos(), angles.sin()], dim=1)
    assert exemplars(points, 5, selection="herding").tolist() == [2, 3, 0, 4, 1]
    stretched = points * torch.tensor([[1.0], [5.0], [0.1], [2.0], [9.0]])
    assert exemplars(stretched, 5, selection="herding").tolist() == [2, 3, 0, 4, 1], "directions are compared"


@pytest.mark.parametrize("seed", range(5))
def test_herding_equals_its_plain_twin(seed: int) -> None:
    features = torch.nn.functional.normalize(noise(25, 6, seed), dim=1)
    assert exemplars(features, 12, selection="herding").tolist() == plain.herding(features, 12)


@pytest.mark.parametrize("selection", SELECTIONS)
def test_exemplars_are_distinct_and_a_shorter_list_begins_a_longer_one(selection: Selection) -> None:
    features = noise(20, 4)
    orders = [exemplars(features, count, selection=selection, generator=draw()).tolist() for count in (3, 8, 20, 99)]
    assert [len(order) for order in orders] == [3, 8, 20, 20]
    assert sorted(orders[-1]) == [*range(20)]
    assert all(order == orders[-1][: len(order)] for order in orders)
    assert exemplars(7 * features, 8, selection=selection, generator=draw()).tolist() == orders[1]
    assert exemplars(features[:0], 3, selection=selection, generator=draw()).tolist() == []


def test_the_released_herding_is_another_one() -> None:
    different = sum(
        exemplars(features, 20, selection="herding").tolist()
        != exemplars(features, 20, selection="icarl_original").tolist()
        for features in (noise(40, 8, seed) for seed in range(20))
    )
    assert different >= 18


def test_a_selection_that_lacks_what_it_needs_says_so() -> None:
    with pytest.raises(ValueError, match="needs a generator"):
        exemplars(noise(3, 2), 1, selection="random")
    with pytest.raises(ValueError, match="'herding' needs features"):
        memory_of("aabb").extended(Part.whole(collection_of("aabb")), task=0, quota=1, selection="herding", seed=0)


# Quotas


@pytest.mark.parametrize(
    ("size", "growth", "classes", "seen", "quota"),
    [
        (930, "fixed", 31, 4, 30),
        (500, "fixed", 18, 6, 27),
        (10, "growing", 5, 3, 3),
        (10, "growing", 5, 1, 10),
        (0, "fixed", 5, 1, 0),
    ],
)
def test_quotas(size: int, growth: str, classes: int, seen: int, quota: int) -> None:
    assert class_quota(size, growth=growth, classes=classes, seen=seen) == quota  # type: ignore[arg-type]


def test_a_memory_smaller_than_the_classes_is_refused() -> None:
    with pytest.raises(DataInvalid, match="a memory of 4 samples is smaller than the 5 classes"):
        class_quota(4, growth="growing", classes=5, seen=1)


# The table


def collection_of(labels: str) -> Collection:
    values = [np.full((3, 1), index, np.float32) for index in range(len(labels))]
    table = pd.DataFrame({"id": np.arange(len(labels)), "label": [None if one == "-" else one for one in labels]})
    return Collection.from_sequences(values, table=table, label="label")


def memory_of(labels: str) -> Memory:
    return Memory.empty(collection_of(labels), "label")


def test_classes_keep_their_first_exemplars_when_their_share_shrinks() -> None:
    labels = "a" * 10 + "b" * 2 + "c" * 10 + "-" * 3
    memory = memory_of(labels)
    features = noise(len(labels), 4)
    first, second = torch.arange(12), torch.arange(12, 25)
    parts = [Part.of(memory.collection, rows) for rows in (first, second)]
    one = memory.extended(parts[0], task=0, quota=6, selection="herding", seed=0, features=features[:12])
    assert Counter(one.table["class"]) == {"a": 6, "b": 2}, "a class of fewer samples gives them all"
    two = one.extended(parts[1], task=1, quota=4, selection="herding", seed=0, features=features[12:])
    assert Counter(two.table["class"]) == {"a": 4, "b": 2, "c": 4}
    assert two.spans[two.codes == 0].tolist() == one.spans[one.codes == 0][:4].tolist()
    assert two.table.groupby("class")["rank"].apply(list).to_dict() == {"a": [*range(4)], "b": [0, 1], "c": [*range(4)]}
    assert two.table["task"].tolist() == [0] * 6 + [1] * 4
    assert (len(memory), two.seen) == (0, 25)


def test_a_class_that_comes_again_shares_its_place_among_its_tasks() -> None:
    memory = memory_of("aaaaaaaaab")
    features = noise(10, 4)
    rows = torch.arange(10).split([4, 4, 2])
    one = memory
    for task, own in enumerate(rows):
        part = Part.of(memory.collection, own)
        best = part.spans[exemplars(features[own], 4, selection="herding"), 0]
        one = one.extended(part, task=task, quota=4, selection="herding", seed=0, features=features[own])
        found = one.table.query("`class` == 'a'").sort_values("rank")
        assert found["rank"].tolist() == [*range(4)]
        if task == 1:
            assert found["task"].tolist() == [0, 1, 0, 1]
            assert found["sequence"].tolist()[1::2] == best[:2].tolist()
    assert Counter(one.table["class"]) == {"a": 4, "b": 1}
    assert found["task"].tolist() == [0, 2, 1, 0]


def test_exemplars_do_not_depend_on_other_classes_or_tasks() -> None:
    memory = memory_of("aaaabbbbcccc")
    together = memory.extended(Part.whole(memory.collection), task=0, quota=2, selection="random", seed=1)
    alone = memory.extended(Part.of(memory.collection, torch.arange(4)), task=0, quota=2, selection="random", seed=1)
    assert together.spans[together.codes == 0].tolist() == alone.spans.tolist()
    other = memory.extended(Part.whole(memory.collection), task=0, quota=2, selection="random", seed=2)
    assert other.spans.tolist() != together.spans.tolist()


def test_samples_that_are_in_the_memory_are_not_taken_again() -> None:
    memory = memory_of("aabb")
    part = Part.whole(memory.collection)
    full = memory.extended(part, task=0, quota=1, selection="random", seed=0)
    with pytest.raises(DataInvalid, match="2 samples of the task are in the memory already"):
        full.extended(part, task=1, quota=1, selection="random", seed=0)
    with pytest.raises(DataInvalid, match="the memory is of another collection"):
        memory.extended(Part.whole(collection_of("aabbb")), task=0, quota=1, selection="random", seed=0)


# Reservoirs


@pytest.mark.parametrize(("stream", "size", "seen"), [(30, 5, 0), (30, 5, 12), (3, 5, 0), (3, 5, 3), (0, 5, 9)])
def test_a_reservoir_equals_its_plain_twin(stream: int, size: int, seen: int) -> None:
    found = reservoir_places(stream, size=size, seen=seen, generator=draw(4))
    shares = torch.rand(stream, generator=draw(4), dtype=torch.float64).tolist()
    assert found.tolist() == plain.reservoir(stream, size, seen, shares)


def test_every_sample_ever_offered_is_kept_equally_often() -> None:
    """Over two tasks of 8 and 12, into 5 places; chi-square with 19 degrees of freedom, 0.1 % bound."""
    memory, counts, runs = memory_of("a" * 20), torch.zeros(20), 600
    parts = [Part.of(memory.collection, torch.arange(*ends)) for ends in ((0, 8), (8, 20))]
    for seed in range(runs):
        kept = memory
        for task, part in enumerate(parts):
            kept = kept.sampled(part, task=task, size=5, seed=seed)
        assert len(kept) == 5
        counts[kept.spans[:, 0]] += 1
        assert kept.task.tolist() == [int(row >= 8) for row in kept.spans[:, 0].tolist()]
    expected = runs * 5 / 20
    assert float(((counts - expected) ** 2 / expected).sum()) < 43.8


# Files and checkpoints


def filled() -> Memory:
    memory = memory_of("aaaabbbb-")
    return memory.extended(Part.whole(memory.collection), task=0, quota=2, selection="random", seed=0)


def test_a_memory_is_saved_and_loaded(tmp_path: Path) -> None:
    memory = filled()
    save_memory(tmp_path / "memory", memory)
    loaded = load_memory(tmp_path / "memory", collection_of("aaaabbbb-"))
    pd.testing.assert_frame_equal(loaded.table, memory.table)
    assert loaded.seen == memory.seen == 9
    empty = memory_of("ab")
    save_memory(tmp_path / "empty", empty)
    assert len(load_memory(tmp_path / "empty", empty.collection)) == 0


@pytest.mark.parametrize("change", ["rank", "seen", "cut", "text"])
def test_an_altered_file_is_refused(tmp_path: Path, change: str) -> None:
    save_memory(tmp_path, filled())
    path = tmp_path / "memory.parquet"
    table = pd.read_parquet(path)
    if change == "rank":
        table.assign(rank=0).to_parquet(path)
    elif change == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    elif change == "text":
        path.write_text("sequence,start,stop")
    else:
        about = json.loads((tmp_path / "memory.json").read_text())
        (tmp_path / "memory.json").write_text(json.dumps({**about, "seen": 8}))
    with pytest.raises(DataInvalid, match=r"altered|cannot be read"):
        load_memory(tmp_path, filled().collection)


def test_a_memory_of_another_collection_or_no_memory_is_refused(tmp_path: Path) -> None:
    save_memory(tmp_path, filled())
    with pytest.raises(DataInvalid, match="the memory of another collection"):
        load_memory(tmp_path, collection_of("aaaabbbbb"))
    with pytest.raises(DataInvalid, match="there is no such file"):
        load_memory(tmp_path / "absent", collection_of("ab"))
    (tmp_path / "memory.json").write_text("[")
    with pytest.raises(DataInvalid, match="it is not JSON"):
        load_memory(tmp_path, filled().collection)


def test_a_checkpoint_gives_the_memory_back() -> None:
    memory = filled()
    again = Memory.empty(memory.collection, "label").restored(memory.state_dict())
    pd.testing.assert_frame_equal(again.table, memory.table)


# Batches of old and new


def epoch(sampler: Sampler, number: int = 0) -> list[list[int]]:
    return [sampler.at(number, step).tolist() for step in range(sampler.steps(number))]


def test_batches_have_all_new_samples_once_and_their_share_of_the_memory() -> None:
    sampler = Rehearsal(10, 6, batch_size=5, from_memory=2, seed=0)
    batches = epoch(sampler)
    assert sorted(item for batch in batches for item in batch if item < 10) == [*range(10)]
    old = [[item for item in batch if item >= 10] for batch in batches]
    assert all(len(set(items)) == 2 for items in old)
    assert sorted(item for items in old[:3] for item in items) == [*range(10, 16)], (
        "a whole pack before one comes again"
    )
    assert all(batch == sorted(batch, key=lambda item: item >= 10) for batch in batches), "the memory stands behind"
    assert epoch(sampler, 1) != batches


def test_a_batch_follows_from_seed_epoch_and_step_alone() -> None:
    used = Rehearsal(40, 5, batch_size=4, from_memory=2, seed=7)
    for at in [(3, 9), (0, 1), (3, 2), (1, 19), (0, 0)]:
        assert used.at(*at).tolist() == Rehearsal(40, 5, batch_size=4, from_memory=2, seed=7).at(*at).tolist()


def test_without_a_memory_batches_are_those_of_plain_training() -> None:
    for from_memory in (0, 2):
        assert epoch(Rehearsal(10, 0, batch_size=4, from_memory=from_memory, seed=3)) == epoch(
            Uniform(10, batch_size=4, seed=3)
        )


def test_new_samples_may_come_with_others_of_similar_length() -> None:
    lengths = torch.tensor([10, 50, 11, 52, 12, 49])
    sampler = Rehearsal(6, 4, batch_size=5, from_memory=2, seed=0, lengths=lengths, steps=160)
    batches = [sampler.at(0, step) for step in range(sampler.steps(0))]
    new = [batch[batch < 6] for batch in batches]
    assert sorted(torch.cat(new).tolist()) == [0, 1, 2, 3, 4, 5]
    assert all(len(batch) - len(fresh) == 2 for batch, fresh in zip(batches, new, strict=True))
    assert all(int(lengths[fresh].max() - lengths[fresh].min()) < 5 for fresh in new)


def test_a_memory_smaller_than_its_place_in_the_batch_leaves_room_for_new_samples() -> None:
    sampler = Rehearsal(9, 1, batch_size=4, from_memory=2, seed=0)
    assert [len(batch) for batch in epoch(sampler)] == [4, 4, 4]
    with pytest.raises(ValueError, match="leave a batch of 4 no new one"):
        Rehearsal(9, 5, batch_size=4, from_memory=4, seed=0)


@pytest.mark.parametrize("from_memory", [None, 2])
def test_batches_know_which_rows_of_the_memory_they_hold(from_memory: int | None) -> None:
    collection = collection_of("aaaabbbbbb")
    memory = Memory.empty(collection, "label").extended(
        Part.of(collection, torch.arange(4)), task=0, quota=3, selection="random", seed=0
    )
    part = RehearsalPart.joined(Part.of(collection, torch.arange(4, 10)), memory)
    sampler = rehearsal_sampler(part, batch_size=4, from_memory=from_memory, seed=0)
    batches = Batches(part, sampler=sampler, columns=("label", MEMORY_ROW))
    seen = set()
    for step in range(batches.steps(0)):
        batch = batches.at(0, step)
        rows = batch.codes[MEMORY_ROW]
        assert torch.equal(rows >= 0, batch.codes["label"] == 0)
        assert batch.span[rows >= 0].tolist() == memory.spans[rows[rows >= 0]].tolist()
        seen |= {int(value) for value in batch.x[:, 0, 0]}
    assert seen >= {4, 5, 6, 7, 8, 9}


def test_batches_of_the_memory_alone_are_drawn_anew_for_every_batch_of_a_task() -> None:
    task = Uniform(10, batch_size=2, seed=1)
    sampler = Drawn(6, beside=task, batch_size=4, seed=3)
    batches = [batch for number in range(40) for batch in epoch(sampler, number)]
    assert len(batches) == 40 * 5
    assert all(len(set(batch)) == 4 for batch in batches)
    counts = Counter(item for batch in batches for item in batch)
    assert set(counts) == set(range(6))
    assert max(counts.values()) < 1.3 * min(counts.values())
    assert len({tuple(sorted(batch)) for batch in batches}) == math.comb(6, 4), "any four come together"
    again = Drawn(6, beside=task, batch_size=4, seed=3)
    assert again.at(7, 3).tolist() == batches[7 * 5 + 3], "whatever was drawn before"
    assert (
        epoch(Drawn(3, beside=task, batch_size=4, seed=0))[0] != epoch(Drawn(3, beside=task, batch_size=4, seed=0))[1]
    )


def test_batches_of_the_memory_may_be_of_one_length() -> None:
    lengths = torch.tensor([5, 7, 5, 5, 9, 7])
    sampler = Drawn(6, beside=Uniform(80, batch_size=1, seed=1), batch_size=2, seed=0, lengths=lengths)
    found = {tuple(sorted(lengths[batch].tolist())) for batch in epoch(sampler)}
    assert found == {(5, 5), (7, 7), (9,)}
