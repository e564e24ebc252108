"""Plain slow twin of the synthesis of `tswork.data.making.formants`: one frame, one sample, one resonance at a time."""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence


def resonance(frequency: float, centre: float, width: float, rate: int) -> complex:
    """Response of a two-pole resonance with gain 1 at frequency 0."""
    radius, angle = math.exp(-math.pi * width / rate), 2 * math.pi * centre / rate
    turn = cmath.exp(-2j * math.pi * frequency / rate)

    def denominator(z: complex) -> complex:
        return (1 - radius * cmath.exp(1j * angle) * z) * (1 - radius * cmath.exp(-1j * angle) * z)

    return denominator(1) / denominator(turn)


def pulse_times(pitch: Sequence[float], rate: int) -> list[float]:
    """Times in samples at which the phase of a pitch completes a turn."""
    phase, times = 0.0, []
    for sample, frequency in enumerate(pitch):
        step = frequency / rate
        if math.floor(phase + step) > math.floor(phase) and sample:
            times.append(sample - (phase + step - math.floor(phase + step)) / step)
        phase += step
    return times


def kilometres(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Great-circle distance by the law of cosines."""
    (north, east), (theirs_north, theirs_east) = ([math.radians(value) for value in place] for place in (one, other))
    cosine = math.sin(north) * math.sin(theirs_north)
    cosine += math.cos(north) * math.cos(theirs_north) * math.cos(east - theirs_east)
    return 6371.0 * math.acos(max(-1.0, min(1.0, cosine)))
