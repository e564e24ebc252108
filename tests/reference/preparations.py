"""Plain, slow preparations: one segment at a time, one output sample at a time."""

from __future__ import annotations

import math

import numpy as np


def segments(steps: int, length: int, overlap: float, rest: str) -> list[tuple[int, int]]:
    """Start and stop of every segment of a recording, walked one hop after another."""
    hop = max(1, round(length * (1 - overlap)))
    found: list[tuple[int, int]] = []
    start, covered = 0, 0
    while start + length <= steps:
        found.append((start, start + length))
        covered = start + length
        start += hop
    if covered < steps and rest != "drop":
        found.append((start, steps))
    return found


def resampled(values: np.ndarray, up: int, down: int, *, crossings: int, beta: float, roll_off: float) -> np.ndarray:
    """One channel at `up / down` times its rate: every output is a weighted mean of the inputs around its time.

    The weights are a Kaiser-windowed sinc over `crossings` periods of the slower rate on each side, normalised to one; beyond the
    ends the series is reflected through its end points, and held beyond its own length.
    """
    last = len(values) - 1

    def at(step: int) -> float:
        end = min(max(step, 0), last)
        mirrored = min(max(2 * end - step, 0), last)
        return float(values[step]) if step == end else 2 * float(values[end]) - float(values[mirrored])

    period = max(1.0, down / up)
    reach = crossings * period
    found = []
    for output in range(math.ceil(len(values) * up / down)):
        time = output * down / up
        steps = np.arange(math.ceil(time - reach - 1e-9), math.floor(time + reach + 1e-9) + 1)
        distance = (steps - time) / period
        window = np.i0(beta * np.sqrt(np.clip(1 - (distance / crossings) ** 2, 0, None))) / np.i0(beta)
        weights = np.sinc(distance * roll_off) * window
        found.append(sum(weight * at(int(step)) for step, weight in zip(steps, weights / weights.sum(), strict=True)))
    return np.array(found)
