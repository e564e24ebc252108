"""Another rate: what is below the new Nyquist frequency stays, what is above goes, constants stay constant, ends do not jump."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.reference import preparations as plain
from tswork.config import configure
from tswork.data.collection import Collection
from tswork.data.prepare.resample import KAISER_BETA, ROLL_OFF, ZERO_CROSSINGS
from tswork.errors import DataInvalid

RATES = [(256.0, 100.0), (100.0, 256.0), (500.0, 250.0), (44100.0, 16000.0), (1 / 3600, 1 / 86400), (8.0, 24.0)]


def resample(collection: Collection, rate: float, **options: Any) -> Collection:
    block = {"uses": "resample", "rate": rate, **options}
    found: Collection = configure("preparation", block).build().apply(collection)
    return found


def sines(rate: float, frequency: float, steps: int, **fields: Any) -> Collection:
    wave = np.sin(2 * np.pi * frequency * np.arange(steps) / rate + 0.3)[:, None]
    return Collection.from_sequences([wave.astype(np.float32)], rate=rate, **fields)


@pytest.mark.parametrize(("old", "new"), RATES)
def test_a_wave_below_the_new_nyquist_frequency_is_the_same_wave(old: float, new: float) -> None:
    frequency = 0.35 * min(old, new)
    found = resample(sines(old, frequency, 3000), new)
    assert found.rate == new
    wanted = np.sin(2 * np.pi * frequency * np.arange(len(found.values)) / new + 0.3)
    middle = slice(len(wanted) // 4, -len(wanted) // 4)
    np.testing.assert_allclose(found.values[:, 0].numpy()[middle], wanted[middle], atol=2e-4)


@pytest.mark.parametrize(("old", "new"), [pair for pair in RATES if pair[1] < pair[0]])
def test_a_wave_above_the_new_nyquist_frequency_is_gone(old: float, new: float) -> None:
    found = resample(sines(old, 0.51 * new, 6000), new).values[:, 0]
    middle = found[len(found) // 4 : -len(found) // 4]
    assert float(middle.abs().max()) < 2e-4


@pytest.mark.parametrize(("old", "new"), RATES)
def test_constants_stay_constant_to_both_ends_and_lengths_follow_the_ratio(old: float, new: float) -> None:
    cases = [np.full((steps, 1), 1000.0, np.float32) for steps in (1, 2, 50)]
    found = resample(Collection.from_sequences(cases, rate=old), new)
    assert found.lengths.tolist() == [int(np.ceil(round(steps * new / old, 9))) for steps in (1, 2, 50)]
    assert found.values.unique().tolist() == [1000.0]


@pytest.mark.parametrize(("up", "down"), [(2, 5), (5, 2), (1, 3), (3, 1), (7, 6)])
def test_values_equal_a_plain_weighted_mean_around_each_time(up: int, down: int) -> None:
    draw = np.random.default_rng(0)
    cases = [draw.normal(size=(steps, 2)).astype(np.float32) for steps in (40, 3, 1, 17)]
    found = resample(Collection.from_sequences(cases, rate=float(down)), float(up))
    for row, case in enumerate(cases):
        for channel in range(2):
            wanted = plain.resampled(
                case[:, channel], up, down, crossings=ZERO_CROSSINGS, beta=KAISER_BETA, roll_off=ROLL_OFF
            )
            np.testing.assert_allclose(found.sequence(row)[:, channel].numpy(), wanted, atol=1e-5)


def test_a_sequence_does_not_depend_on_its_neighbours() -> None:
    draw = np.random.default_rng(0)
    cases = [draw.normal(size=(int(draw.integers(1, 60)), 1)).astype(np.float32) for _ in range(20)]
    together = resample(Collection.from_sequences(cases, rate=50.0), 32.0)
    for row, case in enumerate(cases):
        alone = resample(Collection.from_sequences([case], rate=50.0), 32.0)
        assert torch.equal(together.sequence(row), alone.values)


def test_bounded_memory_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [np.random.default_rng(row).normal(size=(30, 2)).astype(np.float32) for row in range(9)]
    whole = resample(Collection.from_sequences(cases, rate=50.0), 20.0)
    monkeypatch.setattr("tswork.data.prepare.resample.CHUNK", 500)
    assert torch.equal(resample(Collection.from_sequences(cases, rate=50.0), 20.0).values, whole.values)


@pytest.mark.parametrize(("old", "new"), [(500.0, 256.0), (1000.0, 250.0), (256.0, 500.0), (3.0, 2.0)])
def test_straight_lines_are_those_of_numpy_and_keep_lines_straight(
    old: float, new: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = np.random.default_rng(0)
    cases = [draw.normal(size=(steps, 2)).astype(np.float32) for steps in (40, 3, 1, 17)]
    monkeypatch.setattr("tswork.data.prepare.resample.CHUNK", 60)
    found = resample(Collection.from_sequences(cases, rate=old), new, method="linear")
    assert found.rate == new
    assert found.lengths.tolist() == [int(np.ceil(round(len(case) * new / old, 9))) for case in cases]
    for row, case in enumerate(cases):
        times = np.arange(len(found.sequence(row))) / new
        for channel in range(2):
            wanted = np.interp(times, np.arange(len(case)) / old, case[:, channel])
            np.testing.assert_allclose(found.sequence(row)[:, channel].numpy(), wanted, atol=1e-6)
    line = resample(
        Collection.from_sequences([np.arange(50, dtype=np.float32)[:, None]], rate=old), new, method="linear"
    )
    inside = line.values[:, 0].numpy()[: int(49 * new / old)]
    np.testing.assert_allclose(inside, np.arange(len(inside)) * old / new, rtol=1e-6)


def test_straight_lines_let_what_is_too_fast_come_back_as_something_slower() -> None:
    wave = sines(1000.0, 240.0, 4000)  # 240 Hz at 250 samples a second looks like 10 Hz
    found = resample(wave, 250.0, method="linear").values[:, 0]
    assert torch.equal(found, wave.values[::4, 0])
    strongest = int(torch.fft.rfft(found).abs().argmax()) * 250 / len(found)
    assert strongest == pytest.approx(10.0)
    assert float(resample(wave, 250.0).values[100:-100].abs().max()) < 2e-4


def test_straight_lines_between_sound_samples_are_rounded() -> None:
    sound = np.array([[0], [3], [32767]], np.int16)
    found = resample(Collection.from_sequences([sound], rate=8000.0), 16000.0, method="linear")
    assert found.values.dtype == torch.int16
    assert found.values.flatten().tolist() == [0, 2, 3, 16385, 32767, 32767]


def test_time_stamps_keep_their_start_and_take_the_new_spacing() -> None:
    second = 10**9
    times = torch.cat([torch.arange(10), 100 + torch.arange(4)]) * second
    cases = [np.zeros((10, 1), np.float32), np.zeros((4, 1), np.float32)]
    found = resample(Collection.from_sequences(cases, times=times), 2.0)
    assert found.times is not None
    assert found.times[:3].tolist() == [0, second // 2, second]
    assert found.times[20:22].tolist() == [100 * second, 100 * second + second // 2]
    assert found.lengths.tolist() == [20, 8]


def test_sound_stays_sound() -> None:
    steps = np.arange(4000)
    sound = np.rint(32767 * np.sin(2 * np.pi * 440 * steps / 16000)).astype(np.int16)[:, None]
    found = resample(Collection.from_sequences([sound], rate=16000.0), 8000.0)
    assert found.values.dtype == torch.int16
    wanted = np.rint(32767 * np.sin(2 * np.pi * 440 * np.arange(2000) / 8000))
    assert np.abs(found.values[100:-100, 0].numpy() - wanted[100:-100]).max() <= 8


def test_loud_sound_is_clipped_and_does_not_wrap_around() -> None:
    loud = np.where(np.arange(4000) % 40 < 20, 32767, -32768).astype(np.int16)[:, None]
    found = resample(Collection.from_sequences([loud], rate=16000.0), 12000.0).values[:, 0].float()
    inside = np.arange(3000) % 30
    assert float(found[(inside > 2) & (inside < 12)].min()) > 28000
    assert float(found[(inside > 17) & (inside < 27)].max()) < -28000


def test_the_same_rate_changes_nothing() -> None:
    collection = sines(50.0, 3.0, 20)
    assert torch.equal(resample(collection, 50.0).values, collection.values)


@pytest.mark.parametrize(
    ("collection", "rate", "told"),
    [
        (sines(50.0, 1.0, 20).replaced(values=torch.full((20, 1), torch.nan)), 25.0, "data.missing: 'resample' cannot go over missing values; there are some in 0. Give `missing: interpolate`."),
        (sines(50.0, 1.0, 20).replaced(rate=None), 25.0, "data.rate: 'resample' needs to know how many samples a second there are. Give `rate:`, or name time stamps with `time:`."),
        (sines(50.0, 1.0, 20), 25.000001, "data.prepare: from 50 to 25 samples a second is no ratio of whole numbers up to 10,000. Choose a rate that is a simple share of the old one."),
        (sines(50.0, 1.0, 4).replaced(times=torch.tensor([0, 10, 20, 25])), 25.0, "data.time: 'resample' needs regular time stamps; 1 step differs from the usual 1e-08 s, in 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_resampled_is_refused(collection: Collection, rate: float, told: str) -> None:
    with pytest.raises(DataInvalid) as refused:
        resample(collection, rate)
    assert str(refused.value) == told
