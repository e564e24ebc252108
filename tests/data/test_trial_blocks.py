"""Batches of whole trials: every item once, trials kept together, orders as published, drawn anew or kept."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tswork.data.trial_blocks import Shuffle, TrialBlocks

SHUFFLES: tuple[Shuffle, ...] = get_args(Shuffle)


def blocks(sizes: list[int], *, patients: list[int] | None = None, **options: Any) -> tuple[TrialBlocks, Tensor]:
    """A sampler of trials of these sizes (`patients` holds each trial's patient), and each item's trial."""
    trial = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    patient = torch.tensor(patients or list(range(len(sizes))))[trial]
    return TrialBlocks(trial, patient, **{"batch_size": 8, "seed": 0, **options}), trial


def epoch(sampler: TrialBlocks, number: int) -> list[list[int]]:
    return [sampler.at(number, step).tolist() for step in range(sampler.steps(number))]


def pair_shares(sampler: TrialBlocks, code: Tensor, number: int = 0) -> float:
    """Mean over batches of the share of ordered pairs of one code."""
    shares = []
    for step in range(sampler.steps(number)):
        group = code[sampler.at(number, step)]
        alike = (group[:, None] == group).sum() - len(group)
        shares.append(alike.item() / (len(group) * (len(group) - 1)))
    return sum(shares) / len(shares)


@given(
    sizes=st.lists(st.integers(1, 20), min_size=1, max_size=12),
    batch_size=st.integers(1, 12),
    shuffle=st.sampled_from(SHUFFLES),
    whole=st.booleans(),
    fixed=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_every_item_comes_once_an_epoch(
    sizes: list[int], batch_size: int, shuffle: Shuffle, whole: bool, fixed: bool
) -> None:
    sampler, _ = blocks(sizes, batch_size=batch_size, shuffle=shuffle, whole_trials=whole, fixed=fixed)
    for number in (0, 1):
        batches = epoch(sampler, number)
        assert sorted(item for batch in batches for item in batch) == list(range(sum(sizes)))
        assert all(0 < len(batch) <= batch_size for batch in batches)


@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=12), batch_size=st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_a_trial_lies_in_as_few_batches_as_hold_it(sizes: list[int], batch_size: int) -> None:
    sampler, trial = blocks(sizes, batch_size=batch_size)
    batches = epoch(sampler, 3)
    for number, size in enumerate(sizes):
        holding = sum(bool((trial[batch] == number).any()) for batch in batches)
        assert holding == -(-size // sampler.batch_size)


def test_whole_trials_fill_as_few_batches_as_can_be_of_about_one_size() -> None:
    """Filling each batch to its limit would leave 27, 27 and 6 items."""
    sampler, _ = blocks([3] * 20, batch_size=29)
    assert sorted(len(batch) for batch in epoch(sampler, 0)) == [18, 21, 21]
    long, _ = blocks([70, 3, 3], batch_size=29)
    assert sorted(len(batch) for batch in epoch(long, 0)) == [18, 29, 29]


def test_published_slices_cut_a_trial_into_two_batches_at_most() -> None:
    sampler, trial = blocks([5] * 9, whole_trials=False)
    batches = epoch(sampler, 0)
    assert [len(batch) for batch in batches] == [8] * 5 + [5]
    holding = [sum(bool((trial[batch] == number).any()) for batch in batches) for number in range(9)]
    assert max(holding) == 2


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_batches_that_are_kept_hold_the_same_items_in_another_order(shuffle: Shuffle) -> None:
    sampler, _ = blocks([5, 3, 4, 9, 2, 6, 7], shuffle=shuffle, fixed=True)
    first, second = epoch(sampler, 0), epoch(sampler, 1)
    assert [set(batch) for batch in first] == [set(batch) for batch in second]
    assert first != second


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_batches_are_drawn_anew_and_follow_from_seed_and_epoch(shuffle: Shuffle) -> None:
    sizes = [5, 3, 4, 9, 2, 6, 7]
    sampler, _ = blocks(sizes, shuffle=shuffle)
    first, second = epoch(sampler, 0), epoch(sampler, 1)
    assert {frozenset(batch) for batch in first} != {frozenset(batch) for batch in second}
    again, _ = blocks(sizes, shuffle=shuffle)
    assert epoch(again, 1) == second  # without having looked at epoch 0
    assert epoch(sampler, 0) == first
    other, _ = blocks(sizes, shuffle=shuffle, seed=1)
    assert epoch(other, 0) != first


def test_same_trial_pairs_on_trials_like_those_of_the_alzheimer_set() -> None:
    """481 trials of 9 samples of 19 patients in batches of 256: published mean shares are 3.12 %, 1.98 % and 0.19 %."""
    patients = [number % 19 for number in range(481)]
    shares = {}
    for shuffle in ("trial", "batch", "random"):
        sampler, trial = blocks([9] * 481, patients=patients, batch_size=256, shuffle=shuffle, whole_trials=False)
        assert sampler.steps(0) == 17
        assert len(sampler.at(0, 16)) == 233
        shares[shuffle] = pair_shares(sampler, trial)
    assert shares["trial"] == pytest.approx(0.0312, abs=0.002)
    assert shares["random"] == pytest.approx(0.0019, abs=0.0005)
    assert shares["batch"] == pytest.approx(0.0198, abs=0.002)
    whole, trial = blocks([9] * 481, patients=patients, batch_size=256)
    assert pair_shares(whole, trial) > 10 * shares["random"]
    assert whole.steps(0) == 18
    assert sorted({len(whole.at(0, step)) for step in range(18)}) == [22 * 9, 27 * 9]


def test_the_batch_order_keeps_neighbouring_trials_together_even_when_there_are_few() -> None:
    sampler, trial = blocks([2] * 16, shuffle="batch")
    assert all(trial[batch].max() - trial[batch].min() <= 3 for batch in epoch(sampler, 0))
    few, _ = blocks([2, 1], shuffle="batch", batch_size=100)
    assert [sorted(batch) for batch in epoch(few, 0)] == [[0, 1, 2]]


def test_groups_are_neighbours_of_one_patient() -> None:
    sampler, trial = blocks([4, 4, 4, 3, 4], patients=[0, 0, 1, 1, 2], shuffle="group", group_size=2, batch_size=19)
    patient = torch.tensor([0, 0, 1, 1, 2])[trial]
    order = sampler._order(0)
    place = {item: index for index, item in enumerate(order.tolist())}
    for first in (0, 2, 4, 6, 8, 10, 12, 15, 17):  # pairs of a patient; item 14 has none
        assert place[first + 1] == place[first] + 1
        assert patient[first] == patient[first + 1]
    small, _ = blocks([4, 4, 4, 3, 4], patients=[0, 0, 1, 1, 2], shuffle="group", group_size=2, batch_size=4)
    shares = [pair_shares(small, patient, number) for number in range(20)]
    alone, _ = blocks([4, 4, 4, 3, 4], shuffle="random", batch_size=4)
    assert sum(shares) > 1.2 * sum(pair_shares(alone, patient, number) for number in range(20))


def test_items_of_unknown_trial_are_trials_of_their_own() -> None:
    trial = torch.tensor([0, 0, 0, -1, -1, -1, 1, 1, 1])
    sampler = TrialBlocks(trial, torch.zeros(9, dtype=torch.int64), batch_size=3, seed=0)
    batches = epoch(sampler, 0)
    assert {frozenset((0, 1, 2)), frozenset((6, 7, 8))} <= {frozenset(batch) for batch in batches}


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_several_processes_get_equally_many_of_each_batch(shuffle: Shuffle) -> None:
    sampler, _ = blocks([5, 3, 4, 9, 2, 6, 7, 1], shuffle=shuffle, batch_size=8, multiple=4)
    batches = epoch(sampler, 0)
    assert batches
    assert all(len(batch) in (4, 8) for batch in batches)
    assert len({item for batch in batches for item in batch}) == sum(map(len, batches))


def test_names_of_trials_do_not_matter() -> None:
    trial = torch.tensor([0, 0, 1, 1, 2, 2, 2])
    patient = torch.tensor([0, 0, 0, 0, 1, 1, 1])
    one = TrialBlocks(trial, patient, batch_size=3, seed=0)
    other = TrialBlocks(trial * 10 + 2**40, patient + 2**40, batch_size=3, seed=0)
    assert epoch(one, 0) == epoch(other, 0)


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_no_items_give_no_batch(shuffle: Shuffle) -> None:
    none = torch.zeros(0, dtype=torch.int64)
    assert TrialBlocks(none, none, batch_size=4, seed=0, shuffle=shuffle).steps(0) == 0
