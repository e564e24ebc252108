"""Generated speech varieties: the class is a frequency, so is the speaker, places of a class lie near one another, and leaks are planted."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
import torch

from tswork.data.collection import Collection, Part, Split

Planted = Literal["nothing", "silence", "level", "rate"]

RATE = 4000.0


def toy_varieties(
    *,
    classes: int = 3,
    places: int = 4,
    speakers: int = 2,
    clips: int = 6,
    strength: float = 1.0,
    voice: float = 1.0,
    planted: Planted = "nothing",
    seconds: float = 0.3,
    seed: int = 0,
) -> Split:
    """Clips of `seconds` at 4 kHz; the first half of each class's places trains, the second half is the test part.

    `strength` is that of the tone of the class, `voice` that of the speaker's own tone. `planted` gives the class away by a hum in
    the silence before the sound, by the level, or by a spectrum that ends at 600 Hz (a lower rate of the original).
    """
    draw = np.random.default_rng(seed)
    count = classes * places * speakers * clips
    kind, place, speaker, _ = (index.reshape(-1) for index in np.indices((classes, places, speakers, clips)))
    clock = np.arange(round(seconds * RATE)) / RATE
    own = draw.uniform(1200, 1900, (classes, places, speakers))[kind, place, speaker]
    tone = 300 + 250 * kind + 30 * place
    wave = strength * _sines(clock, tone, draw) + voice * _sines(clock, own, draw)
    wave = wave + 0.2 * draw.normal(size=wave.shape)
    quiet = round(0.1 * len(clock) * 2)
    hum = _sines(clock, 400 + 500 * kind, draw) if planted == "silence" else np.zeros_like(wave)
    values = 0.1 * wave
    values[:, :quiet] = 2e-4 * (hum + draw.normal(size=wave.shape))[:, :quiet]
    if planted == "level":
        values *= (0.3**kind)[:, None]
    if planted == "rate":
        spectrum = np.fft.rfft(values)
        spectrum[np.ix_(kind == 0, np.fft.rfftfreq(len(clock), 1 / RATE) > 600)] = 0
        values = np.fft.irfft(spectrum, len(clock))
    names = [f"c{one}p{two}" for one, two in zip(kind, place, strict=True)]
    table = pd.DataFrame(
        {
            "id": [f"clip{number:03d}" for number in range(count)],
            "region": [f"region{one}" for one in kind],
            "location": names,
            "speaker": [f"{name}s{one}" for name, one in zip(names, speaker, strict=True)],
            "gender": np.where(speaker % 2 == 0, "f", "m"),
            "lat": 37.0 + 3.0 * kind + 0.3 * place,
            "lon": 8.0 + 2.0 * kind + 0.2 * place,
        }
    )
    collection = Collection.from_sequences(
        list(values[:, :, None].astype(np.float32)),
        table=table,
        channels=("sound",),
        rate=RATE,
        label="region",
        groups=("location", "speaker"),
        name="varieties",
    )
    train, test = (np.flatnonzero(chosen) for chosen in (place < places // 2, place >= places // 2))
    none = Part(collection, torch.empty(0, 3, dtype=torch.int64))
    parts = (Part.of(collection, torch.from_numpy(rows)) for rows in (train, test))
    first, second = parts
    return Split(first, none, second, groups=("location", "speaker"))


def _sines(clock: np.ndarray, frequency: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    phase = draw.uniform(0, 2 * np.pi, (len(frequency), 1))
    found: np.ndarray = np.sin(2 * np.pi * frequency[:, None] * clock + phase)
    return found
