"""The view `reverb`: decay times and energies that are measured back, and what it may not reach."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from tests.augment.test_views import generator
from tswork.augment.base import View
from tswork.augment.reverb import convolved, responses
from tswork.config import configure
from tswork.random import seeded

RATE = 1000.0


def noise(*shape: int) -> Tensor:
    with seeded(2):
        return torch.randn(shape)


def view(*lengths: int, channels: int = 2) -> View:
    x = noise(len(lengths), max(lengths), channels)
    return View(x, torch.tensor(lengths)).changed(x)


def reverberated(given: View, *, seed: int = 0, **options: float) -> View:
    changed: View = configure("view", {"uses": "reverb", "rate": RATE, **options}).build()(
        given, generator=generator(seed)
    )
    return changed


def impulse(batch: int, time: int) -> View:
    x = torch.zeros(batch, time, 1)
    x[:, 0] = 1
    return View(x, torch.full((batch,), time))


def decay_time(energies: np.ndarray) -> float:
    """Steps to 60 dB, from the slope of Schroeder's backward integral between 5 and 25 dB below its start."""
    remaining = 10 * np.log10(np.cumsum(energies[::-1])[::-1] / energies.sum())
    inside = np.flatnonzero((remaining < -5) & (remaining > -25))
    slope = np.polyfit(inside, remaining[inside], 1)[0]
    return float(-60 / slope)


@pytest.mark.parametrize("seconds", [0.2, 0.5, 1.5])
def test_the_decay_time_is_the_one_that_was_asked_for(seconds: float) -> None:
    heard = reverberated(impulse(40, 4000), low=seconds, high=seconds, direct_low=0.0, direct_high=0.0)
    energies = heard.x[:, 1:, 0].double().square().numpy()
    assert decay_time(energies.mean(axis=0)) / RATE == pytest.approx(seconds, rel=0.03)
    assert [decay_time(one) / RATE for one in energies] == pytest.approx([seconds] * 40, rel=0.4)


def test_decay_times_are_drawn_evenly_between_both_ends() -> None:
    heard = reverberated(impulse(600, 1000), low=0.2, high=0.6)
    found = np.array([decay_time(one[1:, 0].double().square().numpy()) for one in heard.x]) / RATE
    assert np.mean(found) == pytest.approx(0.4, abs=0.02)
    assert np.quantile(found, [0.25, 0.75]) == pytest.approx([0.3, 0.5], abs=0.03)


@pytest.mark.parametrize("below", [-6.0, 0.0, 12.0])
def test_the_direct_sound_lies_the_drawn_decibels_above_the_tail(below: float) -> None:
    heard = reverberated(impulse(5, 4000), high=0.5, direct_low=below, direct_high=below).x[..., 0]
    found = 10 * torch.log10(heard[:, 0].square() / heard[:, 1:].square().sum(dim=1))
    torch.testing.assert_close(found, torch.full((5,), below), rtol=0, atol=1e-2)


def test_it_is_the_convolution_with_the_response() -> None:
    x, response = noise(3, 70, 2), noise(3, 31)
    found = convolved(x, response)
    for sequence in range(3):
        for channel in range(2):
            expected = np.convolve(x[sequence, :, channel].numpy(), response[sequence].numpy())[:70]
            np.testing.assert_allclose(found[sequence, :, channel].numpy(), expected, atol=2e-5)


@pytest.mark.parametrize("time", [1, 2, 9, 100])
def test_a_response_may_be_longer_than_what_it_is_applied_to(time: int) -> None:
    x, response = noise(1, time, 1).double(), noise(1, 50).double()
    expected = np.convolve(x[0, :, 0].numpy(), response[0].numpy())[:time]
    np.testing.assert_allclose(convolved(x, response)[0, :, 0].numpy(), expected, atol=1e-10)


def test_every_sequence_keeps_its_energy() -> None:
    given = view(900, 40, 7)
    heard = reverberated(given)
    torch.testing.assert_close(heard.x.square().sum(dim=(1, 2)), given.x.square().sum(dim=(1, 2)))
    assert not torch.allclose(heard.x, given.x, atol=0.1)


def test_nothing_sounds_before_its_cause_nor_beyond_the_end() -> None:
    given = view(300, 80)
    given.x[0, :100] = 0
    heard = reverberated(given)
    assert heard.x[0, :100].abs().max() < 1e-5
    assert heard.x[0, 100].abs().max() > 0.01
    assert not heard.x[1, 80:].any()
    assert torch.equal(heard.lengths, given.lengths)


def test_silence_stays_silence() -> None:
    silence = View(torch.zeros(2, 30, 1), torch.tensor([30, 4]))
    assert not reverberated(silence).x.any()


def test_a_dry_room_changes_nothing() -> None:
    given = view(200, 80)
    torch.testing.assert_close(
        reverberated(given, direct_low=150.0, direct_high=150.0).x, given.x, rtol=1e-4, atol=1e-5
    )


def test_sequences_move_with_their_responses_and_padding_takes_no_part() -> None:
    x, order = noise(4, 90, 2), torch.tensor([2, 0, 3, 1])
    response = responses(noise(4, 40), decay=torch.full((4, 1), 30.0), direct=torch.zeros(4, 1))
    torch.testing.assert_close(convolved(x[order], response[order]), convolved(x, response)[order])
    torch.testing.assert_close(
        convolved(x[:1, :50], response[:1]), convolved(x, response)[:1, :50], rtol=1e-4, atol=1e-5
    )


def test_channels_stand_in_one_room_and_sequences_in_rooms_of_their_own() -> None:
    one = noise(1, 200, 1).expand(2, -1, 2)
    heard = reverberated(View(one, torch.tensor([200, 200])))
    torch.testing.assert_close(heard.x[..., 0], heard.x[..., 1])
    assert not torch.allclose(heard.x[0], heard.x[1], atol=0.1)


def test_missing_values_stay_missing_and_spread_nowhere() -> None:
    given = view(80, 80)
    given.x[0, 10, 1] = torch.nan
    assert reverberated(given).x.isnan().nonzero().tolist() == [[0, 10, 1]]


def test_half_precision_is_reverberated_in_single() -> None:
    given = view(80, 80)
    half = reverberated(View(given.x.bfloat16(), given.lengths))
    assert half.x.dtype == torch.bfloat16
    torch.testing.assert_close(half.x.float(), reverberated(given).x, rtol=0.05, atol=0.05)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"low": 0.9}, r"`low` \(0.9 s\) should not be above `high` \(0.6 s\)"),
        ({"direct_low": 20.0}, r"`direct_low` \(20 dB\) should not be above `direct_high` \(15 dB\)"),
        ({"low": 0.0}, "greater than 0"),
    ],
)
def test_rooms_that_cannot_be_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(Exception, match="the block has faults") as refused:
        reverberated(view(9), **options)
    assert isinstance(refused.value.__cause__, ValidationError)
    with pytest.raises(ValidationError, match=said):
        raise refused.value.__cause__


def test_the_rate_has_to_be_told() -> None:
    with pytest.raises(Exception, match="the block has faults") as refused:
        configure("view", "reverb")
    assert "rate\n  Field required" in str(refused.value.__cause__)
