"""Sequences at other speeds, tap by tap."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def speed(
    x: NDArray[np.float64], factors: list[float], longest: int, *, reach: float, crossings: int = 6
) -> NDArray[np.float64]:
    """Sums of a Hann-windowed sinc over the steps around each place, sequence by sequence; beyond both ends is 0."""
    found = np.zeros((len(x), longest, x.shape[2]))
    for row, factor in enumerate(factors):
        scale = max(1.0, factor)
        for place in range(longest):
            middle = place * factor
            for step in range(math.floor(middle - crossings * reach), math.ceil(middle + crossings * reach) + 1):
                distance = (middle - step) / scale
                if 0 <= step < x.shape[1] and abs(distance) < crossings:
                    weight = np.sinc(distance) * math.cos(math.pi * distance / 2 / crossings) ** 2 / scale
                    found[row, place] += weight * x[row, step]
    return found
