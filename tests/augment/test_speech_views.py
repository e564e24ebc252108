"""Views of sound and of spectrograms: speed, noise, gain and wiped spans."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from tests.augment.test_views import batch, generator, inside, same
from tests.reference.speed import speed as plain_speed
from tswork.augment.base import Augmentation, View
from tswork.augment.spec_augment import SpecAugmentConfig, wiped
from tswork.augment.tape import played, speeds_of
from tswork.config import configure
from tswork.data.collection import DataInfo
from tswork.methods.model import draws_nothing, evaluating, frozen
from tswork.random import seeded

VIEWS: dict[str, dict[str, Any]] = {
    "speed": {},
    "noise": {},
    "pink noise": {"uses": "noise", "colour": "pink"},
    "gain": {},
    "reverb": {"rate": 100.0},
    "spec_augment": {"time_share": 0.5, "band_share": 0.6},
}
ALL = pytest.mark.parametrize("name", VIEWS)


def augmentation(name: str, **options: Any) -> Augmentation[Any]:
    view: Augmentation[Any] = configure("view", {"uses": name, **VIEWS.get(name, {}), **options}).build()
    return view


def sound(*lengths: int) -> View:
    with seeded(4):
        x = torch.randn(len(lengths), max(lengths), 1)
    known = torch.tensor(lengths)
    return View(torch.where(inside(known, x.shape[1])[..., None], x, 0.0), known)


def tone(hertz: float, rate: float = 8000.0, samples: int = 8000) -> View:
    x = torch.sin(2 * math.pi * hertz / rate * torch.arange(samples, dtype=torch.float64))
    return View(x.float()[None, :, None], torch.tensor([samples]))


# What every view keeps


@ALL
def test_a_sequence_of_no_steps_stays_one(name: str) -> None:
    found = augmentation(name)(sound(0, 4, 9), generator=generator(1))
    assert int(found.lengths[0]) == 0
    assert not found.x[0].any()


@ALL
def test_equal_generators_give_equal_views_and_others_do_not(name: str) -> None:
    change, given = augmentation(name), batch()
    first, again, other = (change(given, generator=generator(seed)) for seed in (1, 1, 2))
    assert same(first, again)
    assert not same(first, other)


@ALL
def test_the_given_view_is_left_alone_and_padding_stays_zero(name: str) -> None:
    given = batch()
    before = View(given.x.clone(), given.lengths.clone())
    changed = augmentation(name)(given, generator=generator())
    assert same(given, before)
    assert not changed.x[~inside(changed.lengths, changed.x.shape[1])].any()


@ALL
def test_missing_values_stay_missing_and_spread_no_further(name: str) -> None:
    given = batch()
    changed = augmentation(name, **({"factors": [1.0]} if name == "speed" else {}))(given, generator=generator())
    assert torch.equal(changed.x.isnan(), given.x.isnan())


@ALL
def test_sequences_do_not_depend_on_what_others_hold(name: str) -> None:
    given = batch()
    other = View(torch.cat([given.x[:1], given.x[1:] * 2]), given.lengths)
    first, second = (augmentation(name)(view, generator=generator()) for view in (given, other))
    torch.testing.assert_close(first.x[0], second.x[0], rtol=0, atol=0, equal_nan=True)


@ALL
def test_a_sequence_of_one_step_can_be_viewed(name: str) -> None:
    change = augmentation(name, **({"factors": [1.0, 1.1]} if name == "speed" else {}))
    changed = change(View(torch.ones(2, 1, 1), torch.tensor([1, 1])), generator=generator())
    assert changed.lengths.tolist() == [1, 1]
    assert changed.x.isfinite().all()


@ALL
def test_half_precision_stays_half_precision(name: str) -> None:
    given = sound(40, 13)
    half = augmentation(name)(View(given.x.bfloat16(), given.lengths), generator=generator())
    exact = augmentation(name)(given, generator=generator())
    assert half.x.dtype == torch.bfloat16
    torch.testing.assert_close(half.x.float(), exact.x, rtol=0.05, atol=0.05)


@ALL
def test_hidden_steps_stay_hidden(name: str) -> None:
    given = sound(40, 13)
    hidden = View(given.x, given.lengths, torch.zeros(2, 40, dtype=torch.bool))
    changed = augmentation(name)(hidden, generator=generator())
    assert changed.keep is not None
    assert changed.keep.shape == changed.x.shape[:2]
    assert not changed.keep.any()


# Speed


@pytest.mark.parametrize(("factor", "expected"), [(1.1, 91), (0.9, 112), (1.0, 100), (2.0, 50), (0.5, 200)])
def test_a_sequence_of_n_steps_has_n_over_the_factor_rounded_up(factor: float, expected: int) -> None:
    changed = augmentation("speed", factors=[factor])(sound(100, 11), generator=generator())
    assert changed.x.shape[1] == expected
    assert changed.lengths.tolist() == [expected, math.ceil(11 / factor)]


def test_a_whole_number_of_steps_is_not_rounded_up_for_an_error_of_the_last_digit() -> None:
    for factor, length, expected in ((0.9, 9, 10), (1.1, 99, 90), (1.1, 110, 100), (0.7, 7, 10)):
        assert augmentation("speed", factors=[factor])(sound(length), generator=generator()).lengths.item() == expected


def test_a_sequence_without_steps_has_none_at_any_speed() -> None:
    x = torch.ones(3, 20, 1)
    x[1] = 0
    changed = augmentation("speed")(View(x, torch.tensor([20, 0, 20])), generator=generator())
    assert changed.lengths[1] == 0
    assert not changed.x[1].any()


def test_speed_1_changes_nothing() -> None:
    given = sound(50, 17)
    changed = augmentation("speed", factors=[1.0])(given, generator=generator())
    torch.testing.assert_close(changed.x, given.x, rtol=0, atol=1e-6)


@pytest.mark.parametrize("factor", [0.9, 1.1, 1.5])
def test_a_tone_becomes_one_of_the_factor_times_its_pitch(factor: float) -> None:
    changed = augmentation("speed", factors=[factor])(tone(440.0), generator=generator())
    time = torch.arange(changed.x.shape[1], dtype=torch.float64)
    expected = torch.sin(2 * math.pi * 440.0 * factor / 8000 * time)
    torch.testing.assert_close(changed.x[0, 20:-20, 0].double(), expected[20:-20], rtol=0, atol=5e-3)


def test_what_a_faster_tape_cannot_hold_is_filtered_away() -> None:
    plain = augmentation("speed", factors=[2.0])(tone(3000.0), generator=generator())
    assert plain.x[0, 20:-20].square().mean().sqrt() < 0.02


@pytest.mark.parametrize("factors", [(1.0,), (0.88, 0.92, 1.0, 1.14), (0.333, 1.777), (0.25, 4.0), (1.001,)])
@pytest.mark.parametrize("time", [1, 31, 257])
def test_blocks_of_places_hold_what_plain_sums_over_taps_give(factors: tuple[float, ...], time: int) -> None:
    with seeded(3):
        x = torch.randn(6, time, 2, dtype=torch.float64)
        chosen = torch.randint(len(factors), (6,))
    longest = math.ceil(time / min(factors))
    found = played(x, speeds_of(factors, x.device), chosen, longest)
    expected = plain_speed(x.numpy(), [factors[index] for index in chosen.tolist()], longest, reach=max(1.0, *factors))
    torch.testing.assert_close(found, torch.from_numpy(expected), rtol=0, atol=1e-6)


def test_speeds_are_drawn_for_each_sequence() -> None:
    changed = augmentation("speed")(sound(*[100] * 60), generator=generator())
    assert set(changed.lengths.tolist()) == {112, 100, 91}
    assert changed.x.shape == (60, 112, 1)


def test_a_speed_of_nothing_is_refused() -> None:
    with pytest.raises(Exception, match="the block has faults") as refused:
        augmentation("speed", factors=[0.0])
    assert "greater than or equal to 0.25" in str(refused.value.__cause__)


def test_a_speed_of_four_decimals_is_refused() -> None:
    with pytest.raises(Exception, match="the block has faults") as refused:
        augmentation("speed", factors=[0.9, 1.12345])
    assert "1.12345: give three decimals at most, as 1.123" in str(refused.value.__cause__)


# Noise and gain


@pytest.mark.parametrize("colour", ["white", "pink", "brown"])
@pytest.mark.parametrize("below", [0.0, 10.0, 25.0])
def test_noise_lies_the_drawn_decibels_below_what_is_there(colour: str, below: float) -> None:
    given = sound(2000, 300, 40)
    changed = augmentation("noise", low=below, high=below, colour=colour)(given, generator=generator())
    for row, length in enumerate(given.lengths.tolist()):
        signal, noise = given.x[row, :length].double(), (changed.x - given.x)[row, :length].double()
        found = 10 * torch.log10(signal.square().mean() / noise.square().mean())
        assert found.item() == pytest.approx(below, abs=1e-3)


def test_distances_are_drawn_evenly_between_both_ends() -> None:
    given = View(torch.ones(2000, 50, 1), torch.full((2000,), 50))
    changed = augmentation("noise", low=5.0, high=15.0)(given, generator=generator())
    found = -10 * torch.log10((changed.x - 1).square().mean(dim=(1, 2)))
    assert 5.0 <= found.min() < 5.2
    assert 14.8 < found.max() <= 15.001
    assert found.mean() == pytest.approx(10.0, abs=0.3)


@pytest.mark.parametrize(("colour", "slope"), [("white", 0.0), ("pink", -1.0), ("brown", -2.0)])
def test_power_of_coloured_noise_falls_as_its_colour_says(colour: str, slope: float) -> None:
    given = View(torch.ones(64, 1024, 1), torch.full((64,), 1024))
    changed = augmentation("noise", low=0.0, high=0.0, colour=colour)(given, generator=generator())
    power = torch.fft.rfft((changed.x - 1)[..., 0]).abs().square().mean(dim=0)
    found = torch.log2(power[200:264].mean() / power[25:33].mean()) / math.log2(231.5 / 28.5)
    assert found.item() == pytest.approx(slope, abs=0.15)


def test_silence_stays_silence() -> None:
    silence = View(torch.zeros(2, 30, 1), torch.tensor([30, 4]))
    assert not augmentation("noise")(silence, generator=generator()).x.any()


def test_gain_multiplies_by_decibels() -> None:
    given = sound(30, 9)
    changed = augmentation("gain", low=20.0, high=20.0)(given, generator=generator())
    torch.testing.assert_close(changed.x, 10 * given.x)
    many = augmentation("gain", low=-6.0, high=6.0)(
        View(torch.ones(500, 3, 1), torch.full((500,), 3)), generator=generator()
    )
    decibels = 20 * torch.log10(many.x)
    assert (decibels == decibels[:, :1]).all()
    assert -6.001 < decibels.min() < -5.8
    assert 5.8 < decibels.max() < 6.001


@pytest.mark.parametrize("name", ["noise", "gain"])
def test_ends_out_of_order_are_refused(name: str) -> None:
    with pytest.raises(Exception, match="the block has faults") as refused:
        augmentation(name, low=40.0, high=35.0)
    assert isinstance(refused.value.__cause__, ValidationError)
    assert "`low` (40 dB) should not be above `high` (35 dB)" in str(refused.value.__cause__)


# SpecAugment


def frames(sequences: int, time: int, bands: int) -> Tensor:
    with seeded(5):
        return torch.randn(sequences, time, bands)


def test_whole_frames_and_whole_bands_are_wiped_out() -> None:
    x, config = frames(200, 100, 80), SpecAugmentConfig(time_masks=1, band_masks=1)
    wiped_out = wiped(x, torch.full((200,), 100), config, generator=generator()) != x
    in_time, in_bands = wiped_out.all(dim=2), wiped_out.all(dim=1)
    assert torch.equal(wiped_out, in_time[:, :, None] | in_bands[:, None, :])
    for found, limit in ((in_time.sum(dim=1), 20), (in_bands.sum(dim=1), 27)):
        assert found.min() == 0
        assert found.max() == limit
        assert found.double().mean().item() == pytest.approx(limit / 2, rel=0.15)
    starts = in_time.int().diff(dim=1).abs().sum(dim=1)
    assert starts.max() <= 2


def test_wiped_cells_have_the_mean_of_their_band_over_the_clip() -> None:
    x, lengths = frames(2, 30, 8), torch.tensor([30, 12])
    x[1, 12:] = 0
    found = wiped(x, lengths, SpecAugmentConfig(band_share=1.0), generator=generator())
    for row, length in enumerate(lengths.tolist()):
        changed = found[row, :length] != x[row, :length]
        assert changed.any()
        mean = x[row, :length].mean(dim=0).expand(length, -1)
        torch.testing.assert_close(found[row, :length][changed], mean[changed])


@pytest.mark.parametrize("length", [1, 2, 4, 9])
def test_no_clip_is_too_short_to_be_masked(length: int) -> None:
    x = frames(50, 100, 8)
    lengths = torch.full((50,), length)
    config = SpecAugmentConfig(band_masks=0)
    found = wiped(x, lengths, config, generator=generator())
    share = (found != x).any(dim=2).sum(dim=1)
    assert share.max() <= 2 * int(length * config.time_share)
    assert not (found != x)[:, length:].any()


def test_without_masks_nothing_is_wiped_out() -> None:
    x = frames(2, 10, 4)
    assert torch.equal(wiped(x, torch.tensor([10, 4]), SpecAugmentConfig(time_masks=0, band_masks=0)), x)


def test_a_front_end_wipes_out_in_training_alone() -> None:
    block = {"uses": "recurrent", "dim": 8, "dropout": 0.0, "front_end": {"uses": "log_mel", "spec_augment": {}}}
    encoder = configure("encoder", block).build(DataInfo(("sound",), rate=8000.0)).train()
    x = 0.1 * torch.randn(2, 4000, 1)
    with seeded(1):
        first = encoder(x).values
        other = encoder(x).values
    with seeded(1):
        assert torch.equal(encoder(x).values, first)
    assert not torch.equal(first, other)
    assert not draws_nothing(encoder)
    with frozen(encoder):
        assert torch.equal(encoder(x).values, encoder(x).values)
    with evaluating(encoder):
        plain = encoder(x).values
    assert not torch.equal(first, plain)
    torch.testing.assert_close(encoder.eval()(x).values, plain)


@pytest.mark.parametrize("samples", [1, 79, 81, 400])
def test_training_on_clips_of_a_few_samples_does_not_fail(samples: int) -> None:
    block = {"uses": "conformer_small", "dim": 8, "layers": 1, "front_end": {"uses": "log_mel", "spec_augment": {}}}
    encoder = configure("encoder", block).build(DataInfo(("sound",), rate=8000.0)).train()
    encoder(torch.randn(3, samples, 1), torch.tensor([samples, 1, 1])).values.square().mean().backward()
    assert all(one.grad is None or one.grad.isfinite().all() for one in encoder.parameters())
