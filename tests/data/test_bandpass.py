"""Bands: what is inside stays without delay, what is outside goes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.signal import butter, sosfiltfilt

from tswork.config import configure
from tswork.data.collection import Collection
from tswork.errors import DataInvalid

RATE = 200.0


def bandpass(collection: Collection, **options: Any) -> Collection:
    found: Collection = configure("preparation", {"uses": "bandpass", **options}).build().apply(collection)
    return found


def wave(frequency: float, steps: int = 2000) -> np.ndarray:
    return np.asarray(np.sin(2 * np.pi * frequency * np.arange(steps) / RATE)[:, None], np.float32)


@pytest.mark.parametrize(
    ("options", "kept"), [({"low": 5.0, "high": 40.0}, 15.0), ({"low": 5.0}, 60.0), ({"high": 40.0}, 1.0)]
)
def test_what_is_inside_stays_without_delay(options: dict[str, float], kept: float) -> None:
    found = bandpass(Collection.from_sequences([wave(kept)], rate=RATE), **options)
    np.testing.assert_allclose(found.values.numpy()[400:-400], wave(kept)[400:-400], atol=2e-3)


@pytest.mark.parametrize(
    ("options", "gone"),
    [
        ({"low": 5.0, "high": 40.0}, 90.0),
        ({"low": 5.0, "high": 40.0}, 0.5),
        ({"low": 5.0}, 0.5),
        ({"high": 40.0}, 90.0),
    ],
)
def test_what_is_outside_goes(options: dict[str, float], gone: float) -> None:
    found = bandpass(Collection.from_sequences([wave(gone) + 3 * ("low" in options)], rate=RATE), **options)
    assert float(found.values[400:-400].abs().max()) < 2e-3


def test_sequences_of_several_lengths_equal_scipy_one_by_one() -> None:
    draw = np.random.default_rng(0)
    cases = [draw.normal(size=(steps, 2)).astype(np.float32) for steps in (60, 100, 60, 301)]
    found = bandpass(Collection.from_sequences(cases, rate=RATE), low=1.0, high=30.0, order=3)
    sections = butter(3, [1.0, 30.0], "bandpass", fs=RATE, output="sos")
    for row, case in enumerate(cases):
        wanted = sosfiltfilt(sections, case.astype(np.float64), axis=0, padlen=3 * (2 * len(sections) + 1))
        np.testing.assert_allclose(found.sequence(row).numpy(), wanted, atol=1e-5)


def test_sound_becomes_numbers_between_minus_one_and_one() -> None:
    sound = (wave(15.0) * 16384).astype(np.int16)
    found = bandpass(Collection.from_sequences([sound], rate=RATE), low=5.0).values
    assert found.dtype == torch.float32
    assert 0.45 < float(found.max()) < 0.55


@pytest.mark.parametrize(
    ("values", "options", "told"),
    [
        (wave(1.0), {"high": 100.0}, "data.prepare: 100 Hz is not below half of the 200 samples a second"),
        (wave(1.0, 20), {"high": 20.0}, "data.prepare: 1 of 1 sequence is shorter than the 16 steps that 'bandpass' needs: 0. Use a lower order, or leave these sequences out."),
        (np.full((50, 1), np.nan, np.float32), {"low": 5.0}, "data.missing: 'bandpass' cannot go over missing values; there are some in 0. Give `missing: interpolate`."),
    ],
)  # fmt: skip
def test_what_cannot_be_filtered_is_refused(values: np.ndarray, options: dict[str, float], told: str) -> None:
    values = values[:10] if len(values) == 20 else values
    with pytest.raises(DataInvalid) as refused:
        bandpass(Collection.from_sequences([values], rate=RATE), **options)
    assert str(refused.value) == told
