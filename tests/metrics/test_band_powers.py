"""Band powers: a wave of known frequency falls into its band, with its power."""

from __future__ import annotations

import numpy as np
import pytest

from tswork.metrics.band_powers import BANDS, FLOOR, log_band_powers


def wave(hertz: float, *, rate: float = 128.0, seconds: float = 4.0, amplitude: float = 1.0) -> np.ndarray:
    values: np.ndarray = amplitude * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)
    return values[None, :, None]


@pytest.mark.parametrize(("hertz", "band"), [(2, 0), (6, 1), (10, 2), (20, 3), (40, 4)])
def test_a_wave_falls_into_its_band_with_its_power(hertz: float, band: int) -> None:
    powers = np.exp(log_band_powers(wave(hertz, amplitude=3.0), rate=128.0))[0]
    assert powers.argmax() == band
    assert powers[band] == pytest.approx(4.5, rel=0.02)  # half of the squared amplitude
    assert np.delete(powers, band).max() < 0.02 * powers[band]


def test_channels_stand_side_by_side_and_an_offset_adds_nothing() -> None:
    both = np.concatenate([wave(10), wave(20)], axis=2)
    powers = log_band_powers(both, rate=128.0)
    assert powers.shape == (1, 2 * len(BANDS))
    np.testing.assert_allclose(powers[:, :5], log_band_powers(wave(10), rate=128.0))
    np.testing.assert_allclose(powers[:, 5:], log_band_powers(wave(20), rate=128.0))
    np.testing.assert_allclose(log_band_powers(both + 100.0, rate=128.0)[0], powers[0], atol=1e-3)


def test_bands_that_the_rate_or_the_length_cannot_show_are_not_defined() -> None:
    def lacking(x: np.ndarray, rate: float) -> list[str]:
        undefined = np.isnan(log_band_powers(x, rate=rate)).reshape(-1, len(BANDS))
        assert (undefined == undefined[0]).all(), "of every channel the same"
        return [band for band, one in zip(BANDS, undefined[0], strict=True) if one]

    assert lacking(np.tile(wave(5, rate=32.0), 2), 32.0) == ["gamma"], "nothing above 16 Hz"
    assert lacking(np.tile(wave(5, rate=128.0, seconds=0.1), 2), 128.0) == ["delta", "theta"]
    assert lacking(wave(5, rate=128.0, seconds=0.142), 128.0) == ["delta", "alpha"], "frequencies 7.1 Hz apart"


def test_a_silent_channel_has_the_floor() -> None:
    assert np.exp(log_band_powers(np.zeros((2, 256, 1)), rate=128.0)) == pytest.approx(FLOOR)
