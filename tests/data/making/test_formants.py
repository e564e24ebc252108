"""The synthesis against its formulas: resonances where they are asked for, pulses when they are due."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tests.reference import making as reference
from tswork.data.making import formants
from tswork.data.making.formants import FRAMES_PER_SECOND, Tracks, pulses, synthesise
from tswork.data.making.maps import Place, kilometres

RATE = 16_000
FORMANTS = (500.0, 1500.0, 2500.0, 3500.0)


def tracks(frames: int, *, voice: float = 1.0, noise: float = 0.0) -> Tracks:
    """A sound that never changes."""
    return Tracks(
        pitch=np.full(frames, 125.0),
        formants=np.tile(FORMANTS, (frames, 1)),
        voice=np.full(frames, voice),
        noise=np.full(frames, noise),
        band=np.tile((5000.0, 1000.0), (frames, 1)),
    )


def spoken(made: Tracks, *, breath: float = 0.0) -> np.ndarray:
    return synthesise(made, softness=4000.0, breath=breath, rate=RATE, draw=np.random.default_rng(0))


def test_a_frame_fewer_than_the_tracks_have() -> None:
    assert len(spoken(tracks(101))) == 100 * RATE // FRAMES_PER_SECOND


def test_harmonics_of_a_still_vowel_are_as_high_as_the_resonances_make_them() -> None:
    """Measured over a whole number of periods, against the responses of four resonances and the fall of the source."""
    sound = spoken(tracks(401))[RATE // 2 : RATE // 2 + RATE]
    harmonics = np.array([125.0 * number for number in range(1, 29)])
    measured = 20 * np.log10(np.abs(np.fft.rfft(sound))[harmonics.astype(int)])
    cutoff = 1 - np.exp(-2 * np.pi * 4000.0 / RATE)
    expected = [
        20 * np.log10(
            abs(np.prod([reference.resonance(one, centre, width, RATE) for centre, width in zip(FORMANTS, formants.WIDTHS, strict=True)]))
            * abs(cutoff / (1 - (1 - cutoff) * np.exp(-2j * np.pi * one / RATE)))
        )
        for one in harmonics
    ]  # fmt: skip
    assert_allclose(measured - measured[0], np.array(expected) - expected[0], atol=1.0)


def test_noise_lies_in_its_band() -> None:
    sound = spoken(tracks(401, voice=0.0, noise=1.0))
    power = np.abs(np.fft.rfft(sound)) ** 2
    frequency = np.fft.rfftfreq(len(sound), 1 / RATE)
    inside = (frequency > 4000) & (frequency < 6000)
    assert power[inside].mean() > 5 * power[~inside].mean()


def test_silence_is_silent() -> None:
    assert not spoken(tracks(41, voice=0.0)).any()


def test_pulses_come_when_a_turn_is_complete() -> None:
    pitch = np.linspace(90.0, 260.0, 4000)
    train = pulses(pitch, RATE) * np.sqrt(pitch / RATE)
    expected = np.zeros(len(pitch))
    for time in reference.pulse_times(pitch.tolist(), RATE):
        before = int(np.floor(time))
        expected[before] += 1 - (time - before)
        expected[before + 1] += time - before
    # The loudness of each half of a pulse follows the pitch at its own sample.
    assert_allclose(train, expected, atol=1e-3)


def test_pieces_of_a_long_sound_make_the_same_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = spoken(tracks(101, noise=0.5), breath=0.1)
    monkeypatch.setattr(formants, "PIECE", 7)
    assert_allclose(spoken(tracks(101, noise=0.5), breath=0.1), whole, atol=1e-12)


def test_distances_on_the_map_are_great_circles() -> None:
    places = [(45.6, 11.9), (37.6, 14.1), (45.5, 11.8)]
    found = kilometres([Place(str(at), *at) for at in places])
    assert_allclose(found, [[reference.kilometres(one, other) for other in places] for one in places], atol=1e-3)
