"""The view `equaliser`: known gains, what it may reach, and what stays as it is."""

from __future__ import annotations

import math

import pytest
import torch

from tswork.augment.base import View
from tswork.augment.equaliser import TAPS, taps_of, through
from tswork.config import configure


def view(*lengths: int, channels: int = 2) -> View:
    x = torch.randn(len(lengths), max(lengths), channels, generator=torch.Generator().manual_seed(0))
    return View(x, torch.tensor(lengths)).changed(x)


def equalised(given: View, *, seed: int = 0, **options: float) -> View:
    changed: View = configure("view", {"uses": "equaliser", **options}).build()(
        given, generator=torch.Generator().manual_seed(seed)
    )
    return changed


def test_no_gain_changes_nothing() -> None:
    given = view(100, 40)
    torch.testing.assert_close(equalised(given, decibels=0.0).x, given.x, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("share", "decibels"), [(0.25, 3.0), (0.5, 6.0), (0.75, 9.0)])
def test_a_tone_gets_the_gain_of_its_frequency(share: float, decibels: float) -> None:
    """Gains on a straight line from 0 dB at frequency 0 to 12 dB at half of the rate."""
    tone = torch.sin(math.pi * share * torch.arange(400.0))[None, :, None]
    heard = through(tone, taps_of(torch.tensor([[0.0, 12.0]])))[0, 100:300, 0]
    found = 20 * math.log10(heard.square().mean().sqrt() / tone[0, 100:300, 0].square().mean().sqrt())
    assert found == pytest.approx(decibels, abs=0.3)


@pytest.mark.parametrize("time", [1, 63, 64, 65, 200])
def test_blocks_of_values_hold_what_a_transform_of_the_whole_gives(time: int) -> None:
    x = torch.randn(3, time, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    taps = taps_of(torch.tensor([[3.0, -8.0, 1.0], [0.0, 5.0, 9.0], [1.0, 1.0, 1.0]], dtype=torch.float64))
    spectra = [torch.fft.rfft(one, n=time + TAPS, dim=1) for one in (x, taps)]
    whole = torch.fft.irfft(spectra[0] * spectra[1][..., None], n=time + TAPS, dim=1)
    torch.testing.assert_close(through(x, taps), whole[:, TAPS // 2 : TAPS // 2 + time], rtol=0, atol=1e-9)


def test_nothing_is_delayed_and_nothing_reaches_far() -> None:
    impulse = torch.zeros(1, 301, 1)
    impulse[0, 150] = 1
    heard = through(impulse, taps_of(torch.tensor([[10.0, -10.0, 5.0, 0.0, -7.0]])))[0, :, 0]
    torch.testing.assert_close(heard, heard.flip(0), rtol=1e-4, atol=1e-6)
    assert heard.argmax() == 150
    assert heard[: 150 - TAPS // 2].abs().max() < 1e-6


def test_neither_padding_nor_the_others_of_a_batch_take_part() -> None:
    both, alone = view(100, 40), view(100, 40)
    alone = View(both.x[1:, :40], both.lengths[1:])
    taps = taps_of(torch.tensor([[3.0, -8.0, 1.0]]))
    torch.testing.assert_close(
        through(both.x, taps.expand(2, -1))[1:, :40], through(alone.x, taps), rtol=1e-4, atol=1e-5
    )
    changed = equalised(both)
    assert not changed.x[1, 40:].any()
    assert torch.equal(changed.lengths, both.lengths)


def test_each_sequence_has_a_filter_of_its_own_that_follows_from_the_generator() -> None:
    given = view(80, 80)
    given = View(given.x[:1].repeat(2, 1, 1), given.lengths)
    first = equalised(given)
    assert not torch.allclose(first.x[0], first.x[1])
    assert torch.equal(first.x, equalised(given).x)
    assert not torch.allclose(first.x, equalised(given, seed=1).x)


def test_missing_values_stay_missing_and_spread_nowhere() -> None:
    given = view(80, 80)
    given.x[0, 10, 1] = torch.nan
    changed = equalised(given)
    assert changed.x.isnan().nonzero().tolist() == [[0, 10, 1]]
    assert given.x.isnan().sum() == 1


def test_half_precision_is_filtered_in_single() -> None:
    given = view(80, 80)
    half = equalised(View(given.x.bfloat16(), given.lengths))
    assert half.x.dtype == torch.bfloat16
    torch.testing.assert_close(half.x.float(), equalised(given).x, rtol=0.05, atol=0.1)


def test_a_slope_leans_the_whole_spectrum_one_way() -> None:
    """Without gains of their own, frequencies rise or fall together, by at most the tilt from one end to the other."""
    impulse = torch.zeros(200, 129, 1)
    impulse[:, 64] = 1
    heard = equalised(View(impulse, torch.full((200,), 129)), decibels=0.0, tilt=12.0)
    curve = 20 * torch.fft.rfft(heard.x[..., 0], dim=1).abs().log10()
    ends = curve[:, -1] - curve[:, 0]
    assert ends.abs().max() <= 12
    assert ends.max() > 8
    assert ends.min() < -8
    assert ((curve.diff(dim=1) * ends.sign()[:, None]) > -0.05).all()
