"""A speaker of a variety reads the questionnaire: from phones to tracks of pitch, formants and amplitudes, and to sound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int16, Int64

from tswork.data.making.accents import Accent
from tswork.data.making.formants import FRAMES_PER_SECOND, Tracks, synthesise
from tswork.data.making.phones import NAMES, Questionnaire
from tswork.data.making.voices import Voice

STRESSED = 1.3
"""A stressed vowel is so much longer than another one."""
GEMINATE = 2.0
HIGHER_FORMANTS = (3500.0, 1000.0)
"""The fourth formant and the distance of all above it, Hz; they never move."""
APART = (1.4, 1.1)
"""The second and third formant stay above so many times the one below, however strong a variety is."""
SHORTEST_TRACT = 1.23
"""No formant of a tract as short as this comes above half the rate."""
DECLINE = 2.0
"""Semitones that the pitch falls in a word."""
ACCENT_SECONDS = 0.08
CARELESSNESS = 0.05
"""Relative deviation of lengths from one phone to the next; half of it for formants."""
FULL_SCALE = 32767
HEADROOM = 0.9
"""Of full scale, for the loudest sample of a session."""


@dataclass(frozen=True)
class Timing:
    """When each phone begins and ends, in frames (not whole ones but at the bounds of items)."""

    start: Float64[np.ndarray, "phone"]
    stop: Float64[np.ndarray, "phone"]
    bounds: Int64[np.ndarray, "item_plus_one"]

    @property
    def length(self) -> Float64[np.ndarray, "phone"]:
        return np.asarray(self.stop - self.start)


def read_aloud(
    read: Questionnaire, voice: Voice, accent: Accent, *, rate: int, draw: np.random.Generator
) -> list[Int16[np.ndarray, "_ 1"]]:
    """The recording of each item, cut out of one session."""
    timing = timed(read, voice, accent, draw)
    sound = synthesise(
        _tracks(read, timing, voice, accent, rate, draw),
        softness=voice.softness,
        breath=voice.breath,
        rate=rate,
        draw=draw,
    )
    bounds = timing.bounds * (rate // FRAMES_PER_SECOND)
    return np.split(recorded(sound, bounds, voice, draw)[:, None], bounds[1:-1])


def recorded(
    sound: Float64[np.ndarray, "time"],
    bounds: Int64[np.ndarray, "item_plus_one"],
    voice: Voice,
    draw: np.random.Generator,
) -> Int16[np.ndarray, "time"]:
    """What the speaker's recorder makes of it: words of one level, noise and colour; turned down where it would clip."""
    power = np.add.reduceat(sound**2, bounds[:-1]) / np.diff(bounds)
    sound = sound * np.repeat(voice.level / np.sqrt(power), np.diff(bounds))  # words change in a pause
    sound += voice.hiss * draw.standard_normal(len(sound))
    sound = (sound - voice.colour * np.concatenate([[0.0], sound[:-1]])) / (1 + abs(voice.colour))
    sound *= min(1.0, HEADROOM / float(np.abs(sound).max()))
    return np.asarray(np.round(sound * FULL_SCALE).astype(np.int16))


def timed(read: Questionnaire, voice: Voice, accent: Accent, draw: np.random.Generator) -> Timing:
    """Lengths of phones as speaker and variety have them; every item takes a whole number of frames."""
    vowels = np.where(read.stressed, STRESSED * accent.stressed, accent.unstressed)
    factor = np.where(read.vowel >= 0, vowels, accent.consonants)
    factor = np.where(read.long, factor * max(1.0, GEMINATE * accent.geminates), factor)
    factor = np.where(read.phone == NAMES.index("pause"), 1.0, factor)
    slips = np.exp(CARELESSNESS * draw.standard_normal(len(factor)))
    frames = read.of_phones("seconds")[:, 0] * factor * slips / voice.pace * FRAMES_PER_SECOND
    items = int(read.item.max()) + 1
    totals = np.ceil(np.bincount(read.item, frames, items)).astype(np.int64)
    bounds = np.concatenate([[0], np.cumsum(totals)])
    last = np.flatnonzero(np.diff(read.item, append=items))
    frames[last] += totals - np.bincount(read.item, frames, items)
    stop = np.cumsum(frames)
    return Timing(stop - frames, stop, bounds)


def _tracks(
    read: Questionnaire, timing: Timing, voice: Voice, accent: Accent, rate: int, draw: np.random.Generator
) -> Tracks:
    """Every track stands still in the middle half of a phone and moves on a straight line to the next."""
    at = np.arange(timing.bounds[-1] + 1)
    anchors = np.stack([timing.start + 0.25 * timing.length, timing.start + 0.75 * timing.length], axis=1).reshape(-1)

    def over_time(values: Float64[np.ndarray, "phone value"]) -> Float64[np.ndarray, "frame value"]:
        return np.stack([np.interp(at, anchors, np.repeat(column, 2)) for column in values.T], axis=1)

    targets = read.of_phones("formants")
    targets[:, :2] *= np.where(read.vowel[:, None] >= 0, accent.formants[read.vowel], 1.0)
    for formant, apart in enumerate(APART, start=1):
        targets[:, formant] = np.maximum(targets[:, formant], apart * targets[:, formant - 1])
    targets *= np.exp(CARELESSNESS / 2 * draw.standard_normal(targets.shape))
    fourth, step = HIGHER_FORMANTS
    higher = np.arange(fourth, rate / 2 / SHORTEST_TRACT, step)
    targets = np.concatenate([targets, np.broadcast_to(higher, (len(targets), len(higher)))], axis=1) * voice.tract
    return Tracks(
        pitch=_pitch(read, timing, voice, accent, at) * (1 + voice.jitter * draw.standard_normal(len(at))),
        formants=over_time(targets),
        voice=over_time(read.of_phones("voice"))[:, 0],
        noise=over_time(read.of_phones("noise"))[:, 0],
        band=over_time(read.of_phones("band")),
    )


def _pitch(
    read: Questionnaire, timing: Timing, voice: Voice, accent: Accent, at: Int64[np.ndarray, "frame"]
) -> Float64[np.ndarray, "frame"]:
    """The melody of each word: a slow fall, an accent on the stressed vowel, and a rise or fall at the end."""
    item = np.clip(np.searchsorted(timing.bounds, at, side="right") - 1, 0, len(timing.bounds) - 2)
    first, total = timing.bounds[:-1], np.diff(timing.bounds)
    share = (at - first[item]) / total[item]
    stressed = np.flatnonzero(read.stressed)
    peak = (timing.start + (0.5 + accent.peak) * timing.length)[stressed]
    away = (at - peak[item]) / FRAMES_PER_SECOND / ACCENT_SECONDS
    semitones = -DECLINE * share + (voice.span + accent.height) * np.exp(-(away**2) / 2)
    semitones += accent.rise * np.clip((share - 0.6) / 0.4, 0, 1)
    return np.asarray(voice.pitch * 2 ** (semitones / 12))
