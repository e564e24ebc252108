"""Samplers: what every batch and every epoch holds, whatever the data; they see counts, codes and lengths only."""

from __future__ import annotations

from collections import Counter

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tswork.data.samplers import Buckets, ClassBalanced, Sampler

LENGTHS = st.lists(st.integers(1, 100), min_size=1, max_size=60)
ITEMS = st.lists(st.tuples(st.integers(-1, 4), st.integers(-1, 5)), min_size=1, max_size=60)


def epoch(sampler: Sampler, number: int = 0) -> list[list[int]]:
    return [sampler.at(number, step).tolist() for step in range(sampler.steps(number))]


# Buckets


@settings(max_examples=100, deadline=None)
@given(LENGTHS, st.integers(1, 400), st.integers(0, 2**32), st.sampled_from([0.0, 0.1, 1.0]), st.integers(0, 3))
def test_buckets_hold_every_item_once_and_no_more_padded_steps_than_allowed(
    lengths: list[int], steps: int, seed: int, spread: float, number: int
) -> None:
    sampler = Buckets(torch.tensor(lengths), steps=steps, seed=seed, spread=spread)
    batches = epoch(sampler, number)
    assert sorted(item for batch in batches for item in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[item] for item in batch) <= steps


@settings(max_examples=50, deadline=None)
@given(LENGTHS, st.integers(1, 5))
def test_buckets_hold_no_more_items_than_the_batch_size(lengths: list[int], size: int) -> None:
    sampler = Buckets(torch.tensor(lengths), steps=10_000, seed=0, batch_size=size)
    assert max(map(len, epoch(sampler))) <= size


def test_buckets_waste_little_and_change_from_epoch_to_epoch() -> None:
    lengths = torch.randint(10, 2000, (2000,), generator=torch.Generator().manual_seed(0))
    sampler = Buckets(lengths, steps=32_768, seed=0)
    padded = sum(len(batch) * int(lengths[batch].max()) for batch in epoch(sampler))
    assert padded / int(lengths.sum()) < 1.1
    first, second = ({frozenset(batch) for batch in epoch(sampler, number)} for number in (0, 1))
    assert len(first & second) < len(first) / 2
    order = [float(lengths[batch].float().mean()) for batch in epoch(sampler)]
    assert order != sorted(order)


@settings(max_examples=30, deadline=None)
@given(LENGTHS, st.lists(st.integers(0, 3), min_size=1, max_size=6))
def test_buckets_do_not_depend_on_what_was_asked_before(lengths: list[int], asked: list[int]) -> None:
    used = Buckets(torch.tensor(lengths), steps=200, seed=1)
    for number in asked:
        assert epoch(used, number) == epoch(Buckets(torch.tensor(lengths), steps=200, seed=1), number)


def test_empty_parts_give_no_batches() -> None:
    none = torch.zeros(0, dtype=torch.int64)
    assert Buckets(none, steps=10, seed=0).steps(0) == 0
    assert ClassBalanced(none, classes=2, items=2, seed=0).steps(0) == 0


# P classes with K items


@settings(max_examples=60, deadline=None)
@given(ITEMS, st.integers(1, 4), st.integers(1, 5), st.integers(0, 2**32), st.booleans())
def test_every_batch_has_p_classes_with_k_items_each_from_as_many_groups_as_there_are(
    drawn: list[tuple[int, int]], classes: int, items: int, seed: int, grouped: bool
) -> None:
    labels, groups = (torch.tensor(column) for column in zip(*drawn, strict=True))
    sampler = ClassBalanced(labels, groups if grouped else None, classes=classes, items=items, seed=seed)
    known = sorted(set(labels[labels >= 0].tolist()))
    assert sampler.batch_size == min(classes, len(known)) * items
    assert sampler.steps(0) == (-(-int((labels >= 0).sum()) // sampler.batch_size) if known else 0)
    for batch in epoch(sampler):
        counts = Counter(labels[batch].tolist())
        assert set(counts) <= set(known), "items without a label are left out"
        assert set(counts.values()) == {items}
        assert len(counts) == min(classes, len(known))
        for label in counts:
            chosen = [item for item in batch if labels[item] == label]
            there = [item for item in range(len(drawn)) if labels[item] == label]
            # An item without a group is a group of its own.
            name = {item: int(groups[item]) if grouped and groups[item] >= 0 else -1 - item for item in there}
            per_group = Counter(name[item] for item in chosen)
            assert len(per_group) == min(items, len(set(name.values())))
            assert max(per_group.values()) - min(per_group.values()) <= 1
            for group, count in per_group.items():
                members = [item for item in there if name[item] == group]
                assert len({item for item in chosen if name[item] == group}) == min(count, len(members))


@settings(max_examples=60, deadline=None)
@given(ITEMS, st.integers(1, 3), st.integers(1, 6), st.integers(1, 3))
def test_the_items_of_a_class_come_from_no_more_groups_than_asked_and_in_time_from_all(
    drawn: list[tuple[int, int]], classes: int, items: int, together: int
) -> None:
    labels, groups = (torch.tensor(column) for column in zip(*drawn, strict=True))
    groups = groups.clamp(min=0)
    sampler = ClassBalanced(labels, groups, classes=classes, items=items, seed=0, groups_per_class=together)
    for batch in epoch(sampler):
        for label in set(labels[batch].tolist()):
            there = labels == label
            chosen = [item for item in batch if labels[item] == label]
            counts = Counter(groups[chosen].tolist())
            assert len(chosen) == items
            assert len(counts) == min(items, together, len(set(groups[there].tolist())))
            for group, count in counts.items():
                members = int((there & (groups == group)).sum())
                assert len({item for item in chosen if groups[item] == group}) == min(count, members)


def test_one_group_at_a_time_goes_through_all_items_of_all_groups() -> None:
    labels, groups = torch.tensor([0] * 12 + [1] * 12), torch.arange(24) % 3
    batches = epoch(ClassBalanced(labels, groups, classes=2, items=2, seed=0, groups_per_class=1))
    assert sorted(item for batch in batches for item in batch) == list(range(24))


@settings(max_examples=30, deadline=None)
@given(ITEMS, st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=6))
def test_a_batch_follows_from_seed_epoch_and_step_alone(
    drawn: list[tuple[int, int]], asked: list[tuple[int, int]]
) -> None:
    labels, groups = (torch.tensor(column) for column in zip(*drawn, strict=True))
    if not bool((labels >= 0).any()):
        return
    used = ClassBalanced(labels, groups, classes=2, items=2, seed=1)
    for at in asked:
        assert used.at(*at).tolist() == ClassBalanced(labels, groups, classes=2, items=2, seed=1).at(*at).tolist()


def test_without_groups_a_class_goes_through_all_of_its_items_before_one_comes_again() -> None:
    labels = torch.tensor([0] * 12 + [1] * 12)
    batches = epoch(ClassBalanced(labels, classes=2, items=3, seed=0))
    assert sorted(item for batch in batches for item in batch) == list(range(24))


def test_rare_classes_come_as_often_as_common_ones() -> None:
    labels = torch.tensor([0] * 200 + [1] * 4 + [2] * 20 + [3] * 20)
    seen = Counter(
        labels[item].item()
        for number in range(30)
        for batch in epoch(ClassBalanced(labels, classes=2, items=2, seed=0), number)
        for item in batch
    )
    assert max(seen.values()) < 1.1 * min(seen.values())


def test_epochs_differ() -> None:
    labels = torch.arange(40) % 4
    sampler = ClassBalanced(labels, classes=2, items=2, seed=0)
    assert epoch(sampler, 0) != epoch(sampler, 1)
    assert epoch(sampler, 0) != epoch(ClassBalanced(labels, classes=2, items=2, seed=1), 0)
