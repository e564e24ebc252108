"""Two encoders side by side: spectra from their definition, and what pooling makes of the frames."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.encoders.blocks import DILATED_CONV, PATCHES, TREND_SEASONAL
from tests.reference import tf_c as plain
from tswork.config import configure
from tswork.data.collection import DataInfo
from tswork.encoders.base import full_lengths
from tswork.encoders.pooling import POOLINGS, Pooling, pooled
from tswork.encoders.time_frequency import TimeFrequency, frequencies, spectrum
from tswork.random import seeded

INFO = DataInfo(("a", "b"), max_length=24)


def built(**options: Any) -> TimeFrequency:
    with seeded(0):
        encoder = configure("encoder", {"uses": "time_frequency", "time": DILATED_CONV, **options}).build(INFO)
    assert isinstance(encoder, TimeFrequency)
    return encoder.eval()


@pytest.mark.parametrize("time", [1, 2, 8, 9])
def test_a_spectrum_is_what_its_definition_says(time: int) -> None:
    x = torch.randn(3, time, 2, dtype=torch.float64)
    x[1, 0, 1] = torch.nan
    expected = torch.stack([plain.amplitudes(row) for row in x])
    assert expected.shape[1] == frequencies(time)
    torch.testing.assert_close(spectrum(x), expected, rtol=1e-10, atol=1e-10)


def test_a_pure_wave_has_its_amplitude_at_its_frequency() -> None:
    clock = torch.arange(16, dtype=torch.float64) * 2 * math.pi * 3 / 16
    found = spectrum(torch.cos(clock + 0.7)[None, :, None])[0, :, 0]
    expected = torch.zeros(9, dtype=torch.float64)
    expected[3] = math.sqrt(16) / 2
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_noise_has_as_much_energy_in_both() -> None:
    x = torch.randn(200, 64, 1, generator=torch.Generator().manual_seed(0))
    assert spectrum(x)[:, 1:-1].square().mean().item() == pytest.approx(1, abs=0.03)


def test_padding_and_hidden_steps_count_as_zero() -> None:
    x, keep = torch.randn(2, 10, 2), torch.ones(2, 10, dtype=torch.bool)
    keep[:, 4] = False
    lengths = torch.tensor([10, 6])
    blank = x.clone()
    blank[:, 4] = 0
    blank[1, 6:] = 0
    assert torch.equal(spectrum(x, lengths, keep), spectrum(blank))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_transformed_in_single(dtype: torch.dtype) -> None:
    x = torch.randn(2, 12, 2).to(dtype)
    assert torch.equal(spectrum(x), spectrum(x.float()))


@pytest.mark.parametrize("pooling", [pooling for pooling in POOLINGS if pooling != "mean_std"])
def test_any_pooling_gives_both_features_side_by_side(pooling: Pooling) -> None:
    encoder, x = built(frequency=PATCHES, pooling="mean"), torch.randn(3, 24, 2)
    assert encoder.dim == encoder.time.dim + encoder.frequency.dim
    with torch.no_grad():
        time = pooled(encoder.time, x, pooling=pooling)
        whole = pooled(encoder.frequency, spectrum(x), pooling="mean")
        torch.testing.assert_close(pooled(encoder, x, pooling=pooling), torch.cat([time, whole], dim=1))


def test_mean_and_deviation_of_a_spectrum_are_twice_as_wide() -> None:
    encoder, x = built(frequency=PATCHES, pooling="mean_std"), torch.randn(3, 24, 2)
    assert encoder.dim == encoder.time.dim + 2 * encoder.frequency.dim
    assert encoder(x).values.shape[2] == encoder.dim


def test_the_second_encoder_is_as_the_first_with_weights_of_its_own() -> None:
    encoder = built()
    shapes = [[weight.shape for weight in one.parameters()] for one in (encoder.time, encoder.frequency)]
    assert shapes[0] == shapes[1]
    assert not torch.equal(next(encoder.time.parameters()), next(encoder.frequency.parameters()))


def test_a_shift_in_a_circle_leaves_the_features_of_the_spectrum() -> None:
    encoder, x = built(), torch.randn(2, 24, 2)
    with torch.no_grad():
        before, after = (pooled(encoder, one, pooling="max") for one in (x, x.roll(5, dims=1)))
    torch.testing.assert_close(after[:, encoder.time.dim :], before[:, encoder.time.dim :], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(after[:, : encoder.time.dim], before[:, : encoder.time.dim], atol=1e-3)


def test_it_takes_what_both_of_its_encoders_take() -> None:
    fixed = {**TREND_SEASONAL, "length": 10}
    assert built().max_length is None
    assert built(time=fixed, frequency=DILATED_CONV).max_length == 10
    assert built(frequency=fixed).max_length == 19
    encoder = built(frequency=fixed)
    assert encoder(torch.randn(1, 19, 2)).values.shape == (1, 19, encoder.dim)


def test_a_frame_step_is_that_of_the_time_encoder() -> None:
    encoder, x = built(time=PATCHES, frequency=DILATED_CONV), torch.randn(2, 10, 2)
    frames = encoder(x)
    assert (encoder.stride, encoder.padding_invariant) == (4, False)
    assert torch.equal(frames.lengths, encoder.time(x).lengths)
    assert torch.equal(encoder(x, full_lengths(x)).values, frames.values)


def test_gradients_reach_both() -> None:
    encoder = built()
    found: Tensor = encoder(torch.randn(2, 24, 2)).values
    found.square().mean().backward()
    assert all(bool(weight.grad is not None and weight.grad.any()) for weight in encoder.frequency.parameters())
    assert all(weight.grad is not None for weight in encoder.time.parameters())
