"""Log-mel frames of one clip by a plain sum over samples for every frame, frequency and band."""

from __future__ import annotations

import math

import numpy as np


def log_mel(
    clip: np.ndarray, *, rate: float, window: int, hop: int, mels: int, low: float, high: float, floor: float
) -> np.ndarray:
    """`(frame, band)` of a clip of samples."""
    size = 1
    while size < window:
        size *= 2
    edges = [hertz(mel(low) + (mel(high) - mel(low)) * number / (mels + 1)) for number in range(mels + 2)]
    frames = []
    for first in range(0, len(clip), hop):
        begin = first - (size - hop) // 2 + (size - window) // 2  # where the window's first sample lies
        powers = []
        for frequency in range(size // 2 + 1):
            total = 0j
            for place in range(window):
                inside = 0 <= begin + place < len(clip)
                sample = clip[begin + place] if inside else 0.0
                hann = 0.5 - 0.5 * math.cos(2 * math.pi * place / window)
                total += sample * hann * np.exp(-2j * math.pi * frequency * place / size)
            powers.append(abs(total) ** 2)
        bands = []
        for band in range(mels):
            left, peak, right = edges[band : band + 3]
            energy = 0.0
            for frequency, power in enumerate(powers):
                hz = frequency * rate / size
                energy += power * max(0.0, min((hz - left) / (peak - left), (right - hz) / (right - peak)))
            bands.append(math.log(max(energy, floor)))
        frames.append(bands)
    return np.array(frames)


def mel(hz: float) -> float:
    return 2595 * math.log10(1 + hz / 700)


def hertz(mels: float) -> float:
    return 700 * (10 ** (mels / 2595) - 1)
