"""Changed spectra: how many components, which, and how high."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tswork.augment.spectrum import changed_spectrum


def amplitudes(batch: int = 50, count: int = 20) -> Tensor:
    """All different and above 0.1; in each channel one is 1, another 0.9, and all others are below 0.5."""
    drawn = 0.1 + 0.35 * torch.rand(batch, count, 2, generator=torch.Generator().manual_seed(0))
    drawn[:, 3], drawn[:, 4] = 1.0, 0.9
    return drawn


def changed(given: Tensor, seed: int = 0, **options: Any) -> Tensor:
    return changed_spectrum(given, generator=torch.Generator().manual_seed(seed), **options)


@pytest.mark.parametrize(
    ("options", "count"), [({}, 1), ({"components": 3}, 3), ({"share": 0.2}, 4), ({"share": 0.01}, 1)]
)
def test_so_many_components_vanish_and_as_many_weak_ones_rise(options: dict[str, Any], count: int) -> None:
    given = amplitudes()
    before = given.clone()
    found = changed(given, **options)
    assert torch.equal(given, before)
    assert ((found == 0).sum(dim=1) == count).all()
    raised = (found != given) & (found != 0)
    assert (raised.sum(dim=1) == count).all()
    assert torch.equal(found[raised], torch.full_like(found[raised], 0.5))
    assert (given[raised] < 0.5).all()


def test_height_is_a_share_of_the_largest_of_each_channel() -> None:
    given = amplitudes() * torch.tensor([1.0, 10.0])
    found = changed(given, height=0.25)
    raised = (found != given) & (found != 0)
    assert torch.equal(found[raised].unique(), torch.tensor([0.25, 2.5]))


def test_where_nothing_is_weak_nothing_rises() -> None:
    given = torch.ones(4, 20, 2)
    found = changed(given)
    assert ((found == 0).sum(dim=1) == 1).all()
    assert ((found == 1) | (found == 0)).all()


def test_every_frequency_and_channel_is_drawn_by_itself() -> None:
    found = changed(torch.ones(2000, 5, 2)) == 0
    assert (found.float().mean(dim=0) - 0.2).abs().max() < 0.04
    assert not torch.equal(found[..., 0], found[..., 1])
    assert torch.equal(changed(amplitudes(), 4), changed(amplitudes(), 4))
    assert not torch.equal(changed(amplitudes(), 4), changed(amplitudes(), 5))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_at_most_half_of_few_frequencies_are_removed(count: int) -> None:
    found = changed(torch.ones(3, count, 1), components=5)
    assert ((found == 0).sum(dim=1) == count // 2).all()
