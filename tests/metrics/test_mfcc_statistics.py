"""Features of sound: the library's own where they are its own, windows that are the same time at every rate, the reach of a spectrum."""

from __future__ import annotations

import numpy as np
import pytest

from tswork.metrics.bandwidth import SHARES, rolloffs
from tswork.metrics.mfcc_statistics import FEATURES, mfcc_statistics


def sound(*frequencies: float, rate: float, seconds: float = 0.5, items: int = 1, seed: int = 0) -> np.ndarray:
    clock = np.arange(round(seconds * rate)) / rate
    wave = sum(np.sin(2 * np.pi * frequency * clock) for frequency in frequencies)
    noise = np.random.default_rng(seed).normal(size=(items, len(clock), 1))
    found: np.ndarray = np.asarray(wave)[None, :, None] * np.ones((items, 1, 1)) + 0.1 * noise
    return found


def test_the_features_are_those_of_the_library() -> None:
    import librosa

    x = sound(440, rate=8000.0, items=2)
    found = mfcc_statistics(x, rate=8000.0)
    assert found.shape == (2, FEATURES)
    for item in range(2):
        frames = librosa.feature.mfcc(y=x[item, :, 0], sr=8000, n_mfcc=20, n_fft=256, hop_length=80, n_mels=40)
        slopes = librosa.feature.delta(frames, mode="nearest")
        expected = [frames.mean(1), slopes.mean(1), frames.std(1), slopes.std(1)]
        np.testing.assert_allclose(found[item], np.concatenate(expected), rtol=1e-6, atol=1e-8)


def test_channels_stand_side_by_side() -> None:
    x = np.concatenate([sound(440, rate=8000.0), sound(900, rate=8000.0, seed=1)], axis=2)
    both = mfcc_statistics(x, rate=8000.0)
    alone = [mfcc_statistics(x[:, :, [channel]], rate=8000.0) for channel in (0, 1)]
    np.testing.assert_allclose(both, np.concatenate(alone, axis=1), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("rate", [4000.0, 8000.0, 11025.0, 16000.0, 44100.0])
def test_every_rate_of_sound_is_described_in_full(rate: float) -> None:
    found = mfcc_statistics(sound(440, rate=rate), rate=rate)
    assert found.shape == (1, FEATURES)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("steps", [1, 10, 255, 300])
def test_a_sound_shorter_than_a_window_has_features_too(steps: int) -> None:
    assert np.isfinite(mfcc_statistics(sound(440, rate=8000.0)[:, :steps], rate=8000.0)).all()


def test_louder_changes_the_first_mean_alone() -> None:
    x = sound(440, 700, rate=8000.0)
    quiet, loud = mfcc_statistics(x, rate=8000.0), mfcc_statistics(10 * x, rate=8000.0)
    changed = np.flatnonzero(~np.isclose(quiet[0], loud[0], rtol=1e-4, atol=1e-4))
    assert changed.tolist() == [0]


def test_the_reach_of_a_spectrum() -> None:
    low = rolloffs(sound(300, rate=8000.0), rate=8000.0)[0]
    high = rolloffs(sound(300, 3000, rate=8000.0), rate=8000.0)[0]
    assert len(low) == len(SHARES)
    assert low[0] == pytest.approx(300, abs=40)
    assert high[0] == pytest.approx(3000, abs=40)
    assert (np.diff(low) >= 0).all()
    assert np.isnan(rolloffs(np.zeros((1, 400, 1)), rate=8000.0)).all()


def test_a_resampled_recording_keeps_the_reach_of_its_original() -> None:
    from scipy.signal import resample_poly

    draw = np.random.default_rng(0)
    narrow = resample_poly(draw.normal(size=(1, 4000, 1)), 2, 1, axis=1)
    wide = draw.normal(size=(1, 8000, 1))
    assert rolloffs(narrow, rate=16000.0)[0, 2] < 4200
    assert rolloffs(wide, rate=16000.0)[0, 2] > 7500
