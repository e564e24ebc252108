"""Overlapping crops: inside their series, as TS2Vec distributes them, and fair to series of unequal length."""

from __future__ import annotations

import random

import pytest
import torch
from torch import Tensor

from tswork.augment.overlap import OverlappingCrops, overlapping_crops


def crops(lengths: list[int], *, seed: int = 0, shortest: int = 2) -> OverlappingCrops:
    """Crops of series whose values say where they stand: 1, 2, 3 ... and zeros past each length."""
    steps = torch.arange(1.0, max(lengths) + 1)
    known = torch.tensor(lengths)
    x = torch.where(steps <= known[:, None], steps, 0.0)[..., None]
    return overlapping_crops(x, known, generator=torch.Generator().manual_seed(seed), shortest=shortest)


def places(found: OverlappingCrops, row: int) -> tuple[list[float], list[float]]:
    first, second = (crop.x[row, : int(crop.lengths[row]), 0].tolist() for crop in (found.first, found.second))
    return first, second


@pytest.mark.parametrize("lengths", [[12, 12, 12], [12, 7, 1], [1], [2, 2], [3, 30]])
def test_both_crops_are_stretches_of_the_series_that_share_the_overlap(lengths: list[int]) -> None:
    for seed in range(40):
        found = crops(lengths, seed=seed)
        for row, length in enumerate(lengths):
            first, second = places(found, row)
            overlap, at = int(found.overlap[row]), int(found.first.overlap_start[row])
            assert min(2, length) <= overlap <= length
            for taken in (first, second):
                assert taken == list(range(int(taken[0]), int(taken[0]) + len(taken)))
                assert taken[0] >= 1
                assert taken[-1] <= length
            assert first[at:] == second[:overlap]
            assert len(first) == at + overlap
            assert int(found.second.overlap_start[row]) == 0


def test_past_each_length_there_are_zeros() -> None:
    for seed in range(20):
        found = crops([20, 9, 2], seed=seed)
        for crop in (found.first, found.second):
            assert crop.x.shape[1] == int(crop.lengths.max())
            padding = torch.arange(crop.x.shape[1]) >= crop.lengths[:, None]
            assert not crop.x[padding].any()
            assert crop.whole is not bool(padding.any())


@pytest.mark.parametrize("lengths", [[12, 12, 12], [12, 7, 1]])
def test_frames_of_both_crops_are_compared_step_by_step(lengths: list[int]) -> None:
    for seed in range(20):
        found = crops(lengths, seed=seed)
        first, second = (found.of(crop.x, crop) for crop in (found.first, found.second))
        assert first.shape == second.shape == (3, int(found.overlap.max()), 1)
        assert torch.equal(first, second)


def test_series_of_one_length_get_one_size_and_places_of_their_own() -> None:
    found = crops([30] * 50)
    for sizes in (found.overlap, found.first.lengths, found.second.lengths, found.first.overlap_start):
        assert len(sizes.unique()) == 1
    spread = [places(crops([30] * 50, seed=seed), row)[0][0] for seed in range(8) for row in range(50)]
    assert len(set(spread)) > 10


@pytest.mark.parametrize("shortest", [2, 4])
def test_sizes_and_places_are_distributed_as_published(shortest: int) -> None:
    """Against TS2Vec's rule, drawn number by number: overlap, reach to the left and right, and a shift for each series."""
    length, draws = 9, 1000
    ours, theirs = torch.zeros(2, 3, length + 1)
    draw = random.Random(0)
    for seed in range(draws):
        found = crops([length], seed=seed, shortest=shortest)
        first, second = places(found, 0)
        for row, number in enumerate((int(found.overlap[0]), len(first), len(second))):
            ours[row, number] += 1
        overlap = draw.randint(shortest, length)
        left = draw.randint(0, length - overlap)
        right = left + overlap
        outer_left, outer_right = draw.randint(0, left), draw.randint(right, length)
        for row, number in enumerate((overlap, right - outer_left, outer_right - left)):
            theirs[row, number] += 1
    torch.testing.assert_close(ours / draws, theirs / draws, rtol=0, atol=0.06)


def test_the_pair_lies_at_every_possible_place_equally_often() -> None:
    """Given the sizes, the outer edge of the pair is uniform over where it fits."""
    length, rows = 12, 20_000
    x: Tensor = torch.arange(1.0, length + 1).repeat(rows, 1)[..., None]
    found = overlapping_crops(x, torch.full((rows,), length), generator=torch.Generator().manual_seed(3))
    begins = found.first.x[:, 0, 0].long() - 1
    reach = int(found.first.overlap_start[0] + found.second.lengths[0])
    counts = torch.bincount(begins)
    assert len(counts) == length - reach + 1 > 2
    expected = rows / len(counts)
    assert ((counts - expected).abs() < 5 * expected**0.5).all()


def test_in_unequal_company_a_series_gets_the_sizes_it_gets_among_its_like() -> None:
    for seed in range(30):
        mixed, alike = crops([30, 12, 5], seed=seed), crops([12] * 3, seed=seed)
        assert int(mixed.overlap[1]) == int(alike.overlap[1])
        assert int(mixed.first.lengths[1]) == int(alike.first.lengths[1])
        assert int(mixed.second.lengths[1]) == int(alike.second.lengths[1])


def test_missing_values_go_where_their_steps_go() -> None:
    x = torch.arange(1.0, 21.0).repeat(2, 1)[..., None]
    x[0, 7] = torch.nan
    found = overlapping_crops(x, torch.tensor([20, 20]), generator=torch.Generator().manual_seed(2), shortest=20)
    assert found.first.x[0, 7].isnan().all()
    assert int(found.first.x.isnan().sum()) == 1
