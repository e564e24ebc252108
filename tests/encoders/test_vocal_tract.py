"""Frequencies of clips stretched in training: where they go, what stays, and that evaluation knows nothing of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from tests.encoders.test_front_ends import RATE, SMALL, SOUND, front_end, speech
from tswork.config import configure, keyed
from tswork.data.collection import DataInfo
from tswork.encoders.front_ends.base import FrontEnd
from tswork.encoders.front_ends.mel import MelConfig, MelEnergies
from tswork.encoders.front_ends.vocal_tract import VocalTract, VocalTractConfig, read_at, warped
from tswork.errors import ModelUnfit
from tswork.methods.model import draws_nothing, evaluating, frozen
from tswork.random import seeded


def noise(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    with seeded(0):
        return torch.randn(shape, dtype=dtype)


def stretching(info: DataInfo = SOUND, *, factor: float | None = None, **options: Any) -> FrontEnd:
    """A front end that stretches by one factor, or by any of its options, in training."""
    stretch = {} if factor is None else {"low": factor, "high": factor}
    return front_end({"uses": "log_mel", "normalise": "none", "vocal_tract": stretch, **options}, info).train()


def plain_warp(frequency: float, *, factor: float, boundary: float, half: float) -> float:
    """The warping function of one frequency, written down as it is printed."""
    knee = boundary * min(factor, 1) / factor
    if frequency <= knee:
        return frequency * factor
    steep = (half - boundary * min(factor, 1)) / (half - knee)
    return half - steep * (half - frequency)


# The map of frequencies


@pytest.mark.parametrize("factor", [0.8, 0.9, 1.0, 1.07, 1.25])
@pytest.mark.parametrize("boundary", [31.5, 153.6, 200.0])
def test_frequencies_go_where_the_warping_function_says(factor: float, boundary: float) -> None:
    found = warped(torch.tensor([factor, 1.0], dtype=torch.float64), boundary=boundary, last=256)
    expected = [plain_warp(one, factor=factor, boundary=boundary, half=256) for one in range(257)]
    np.testing.assert_allclose(found[0].numpy(), expected, rtol=1e-12)
    assert torch.equal(found[1], torch.arange(257, dtype=torch.float64))


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.1, 2.0])
def test_both_ends_stay_and_the_inverse_factor_leads_back(factor: float) -> None:
    there = warped(torch.tensor([factor], dtype=torch.float64), boundary=150.0, last=256)[0]
    assert there[[0, -1]].tolist() == [0, 256]
    assert (there.diff() > 0).all()
    back = [plain_warp(one, factor=1 / factor, boundary=150.0, half=256) for one in there.tolist()]
    np.testing.assert_allclose(back, np.arange(257), atol=1e-9)


def test_spectra_are_read_on_straight_lines_between_frequencies() -> None:
    spectrum, places = noise(3, 5, 17), noise(3, 17).double().sigmoid() * 16
    places[0, 3], places[1, 0] = 16, 0
    found = read_at(spectrum, places)
    for clip in range(3):
        for frame in range(5):
            expected = np.interp(places[clip].numpy(), np.arange(17), spectrum[clip, frame].numpy())
            np.testing.assert_allclose(found[clip, frame].numpy(), expected, rtol=1e-5)


# What a clip becomes


def test_a_factor_of_1_changes_nothing() -> None:
    x, lengths = speech(4000, 1237)
    front = stretching(factor=1.0)
    torch.testing.assert_close(front(x, lengths).values, front.eval()(x, lengths).values, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("factor", [0.85, 0.9, 1.1, 1.2])
@pytest.mark.parametrize("hertz", [500.0, 1500.0, 3500.0])
def test_a_tone_is_heard_at_the_factor_times_its_frequency(factor: float, hertz: float) -> None:
    def loudest(hz: float, front: FrontEnd) -> int:
        tone = 0.1 * torch.sin(2 * math.pi * hz * torch.arange(4000) / RATE)[None, :, None]
        return int(front(tone).values[0, 12].argmax())

    front = stretching(factor=factor)
    moved, expected, unmoved = loudest(hertz, front), loudest(hertz * factor, front.eval()), loudest(hertz, front)
    assert abs(moved - expected) <= 1
    assert moved != unmoved


@pytest.mark.parametrize("factor", [0.7, 0.9, 1.1, 1.4])
def test_a_flat_spectrum_stays_flat(factor: float) -> None:
    click = torch.zeros(1, 1600, 1)
    click[0, 720] = 1.0
    front = stretching(factor=factor)
    torch.testing.assert_close(front(click).values, front.eval()(click).values, rtol=1e-4, atol=1e-4)


def test_length_and_silence_stay() -> None:
    x, lengths = speech(4000, 1237)
    x[0, 1000:3000] = 0
    front = stretching()
    found, plain = front(x, lengths), front.eval()(x, lengths)
    assert torch.equal(found.lengths, plain.lengths)
    assert torch.equal(found.values[0, 9:16], plain.values[0, 9:16])
    assert not found.values[1, 8:].any()


def test_energies_are_those_of_spectra_read_elsewhere() -> None:
    """Against a transform of each window by itself, read by numpy's interpolation."""
    config = MelConfig(mels=4, unit="samples", window=16.0, hop=4.0, low=0.0)
    energies, x = MelEnergies(config, RATE).double(), noise(2, 40, dtype=torch.float64)
    places = warped(torch.tensor([1.1, 0.8], dtype=torch.float64), boundary=4.0, last=8)
    found = energies(x, places=places)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(16) / 16)
    for clip in range(2):
        filled = np.pad(x[clip].numpy(), (6, 20))
        for frame in range(10):
            power = np.abs(np.fft.rfft(filled[frame * 4 : frame * 4 + 16] * hann)) ** 2
            bands = np.interp(places[clip].numpy(), np.arange(9), power) @ energies.weights[::2].numpy()
            np.testing.assert_allclose(found[clip, frame].numpy(), np.log(np.maximum(bands, 1e-6)), atol=1e-5)


# Of a batch


def test_each_clip_has_a_factor_of_its_own_between_both_ends() -> None:
    draws = VocalTract(VocalTractConfig(low=0.9, high=1.2), rate=RATE, size=512).train()
    with seeded(3):
        places = draws(torch.zeros(4000, 1, 1))
    assert places is not None
    factors = 10 / places[:, 10]
    assert 0.9 <= factors.min() < 0.901
    assert 1.199 < factors.max() <= 1.2
    assert factors.mean().item() == pytest.approx(1.05, abs=0.005)
    assert factors.var().item() == pytest.approx(0.3**2 / 12, rel=0.05)


def test_neither_padding_nor_the_others_of_a_batch_take_part() -> None:
    x, lengths = speech(4000, 1237)
    front = stretching(factor=1.1)
    both, alone = front(x, lengths), front(x[1:, :1237])
    torch.testing.assert_close(both.values[1, :8], alone.values[0], rtol=1e-5, atol=1e-5)


def test_all_channels_of_a_clip_are_stretched_alike() -> None:
    one = speech(4000, 1237)[0]
    front = stretching(DataInfo(("left", "right"), rate=RATE))
    found = front(one.expand(-1, -1, 2)).values
    torch.testing.assert_close(found[..., :80], found[..., 80:], rtol=0, atol=0)
    assert not torch.allclose(found, front.eval()(one.expand(-1, -1, 2)).values)


def test_it_acts_in_training_alone_and_follows_from_the_seed() -> None:
    x, lengths = speech(4000, 1237)
    front = stretching()
    with seeded(1):
        first, other = front(x, lengths).values, front(x, lengths).values
    with seeded(1):
        assert torch.equal(front(x, lengths).values, first)
    assert not torch.equal(first, other)
    assert not draws_nothing(front)
    without = front_end({"uses": "log_mel", "normalise": "none"})
    plain = without(x, lengths).values
    assert torch.equal(without.train()(x, lengths).values, plain)
    with frozen(front):
        assert torch.equal(front(x, lengths).values, plain)
    with evaluating(front):
        assert torch.equal(front(x, lengths).values, plain)


# Numbers


def test_energies_have_the_gradient_of_their_differences() -> None:
    energies = MelEnergies(MelConfig(mels=3, unit="samples", window=6.0, hop=4.0, low=0.0), RATE).double()
    places = warped(torch.tensor([1.1, 0.8], dtype=torch.float64), boundary=2.5, last=4)
    x = noise(2, 11, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda given: energies(given, places=places), x)


def test_portions_of_time_give_what_the_whole_gives() -> None:
    energies = MelEnergies(MelConfig(mels=8), 8000.0)
    samples, lengths = noise(4, 40_000), torch.tensor([500, 3, 260, 129])
    places = warped(torch.tensor([1.1, 0.8, 1.0, 0.95], dtype=torch.float64), boundary=80.0, last=128)
    whole = energies(samples.clone().requires_grad_(), places=places).detach()
    found = energies(samples, lengths, places=places)
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(found[row, :length], whole[row, :length], rtol=1e-5, atol=1e-5)


def test_half_precision_is_stretched_in_single() -> None:
    x, lengths = speech(1600, 900)
    front = stretching(factor=1.1)
    half = front(x.to(torch.bfloat16), lengths).values
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, front(x, lengths).values, rtol=0.1, atol=0.2)


# Options


def test_keys_without_it_are_what_they_were() -> None:
    plain = keyed(configure("front_end", "log_mel"))
    assert "vocal_tract" not in plain
    assert keyed(configure("front_end", {"uses": "log_mel", "vocal_tract": {"high": 1.2}}))["vocal_tract"] == {
        "low": 0.9,
        "high": 1.2,
        "boundary": None,
    }


@pytest.mark.parametrize(("rate", "boundary"), [(16000.0, 4800.0), (44100.0, 4800.0), (8000.0, 3200.0)])
def test_the_boundary_is_4800_hertz_or_less_where_the_rate_is_low(rate: float, boundary: float) -> None:
    draws = VocalTract(VocalTractConfig(), rate=rate, size=512)
    assert draws.boundary * rate / 512 == pytest.approx(boundary)


def test_ends_out_of_order_and_a_boundary_beyond_the_spectrum_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"`low` \(1.2\) should not be above `high` \(1.1\)"):
        VocalTractConfig(low=1.2)
    with pytest.raises(ModelUnfit, match=r"`vocal_tract.boundary` \(8000 Hz\) is not below half of the 16000 samples"):
        stretching(vocal_tract={"boundary": 8000.0})


@pytest.mark.parametrize("samples", [1, 79, 400])
def test_training_on_clips_of_a_few_samples_does_not_fail(samples: int) -> None:
    block = {"uses": "recurrent", "dim": 8, "front_end": {**SMALL, "vocal_tract": {}, "spec_augment": {}}}
    encoder = configure("encoder", block).build(SOUND).train()
    encoder(noise(3, samples, 1), torch.tensor([samples, 1, 1])).values.square().mean().backward()
    assert all(one.grad is None or one.grad.isfinite().all() for one in encoder.parameters())
