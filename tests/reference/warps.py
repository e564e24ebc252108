"""Views that move steps or bend them, one sequence and one step at a time."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

Array = NDArray[np.float64]


def at_positions(sequence: Array, positions: ArrayLike) -> Array:
    """`(time, channel)` read at places between steps: see `tswork.augment.resampling` for what is missing."""
    found = []
    for place in np.asarray(positions, dtype=np.float64):
        place = min(max(float(place), 0.0), len(sequence) - 1.0)
        left = math.floor(place)
        right = min(left + 1, len(sequence) - 1)
        share = place - left
        row = []
        for a, b in zip(sequence[left], sequence[right], strict=True):
            if math.isnan(a) or math.isnan(b):
                row.append(a if share < 0.5 else b)
            else:
                row.append((1 - share) * a + share * b)
        found.append(row)
    return np.array(found)


def curve(knots: Array, length: int) -> Array:
    """The natural spline through `(knot,)` values at every step of a sequence."""
    if length == 1:
        return knots[:1]
    spline = CubicSpline(np.linspace(0, length - 1, len(knots)), knots, bc_type="natural")
    return np.array([float(spline(step)) for step in range(length)])


def travelled(speed: Array) -> Array:
    """Places reached at these speeds, from the first to the last step."""
    way = [0.0]
    for before, after in pairwise(speed.tolist()):
        way.append(way[-1] + (before + after) / 2)
    if len(speed) == 1:
        return np.array(way)
    return np.array([reached * (len(speed) - 1) / way[-1] for reached in way])


def warped(length: int, start: float, width: float, factor: float) -> Array:
    """Places whose time, a stretch taking `factor` times its width, runs evenly: by inversion of the broken line."""
    last = length - 1.0
    place = np.array([0.0, start, start + width, last])
    moment = np.array([0.0, start, start + factor * width, last + (factor - 1) * width])
    found: Array = np.interp(np.linspace(0, moment[-1], length), moment, place)
    return found


def permuted(length: int, keys: list[float]) -> list[int]:
    """Steps of the segments in the order of their keys."""
    count = min(len(keys), length)
    segments = [list(range(k * length // count, (k + 1) * length // count)) for k in range(count)]
    order = sorted(range(count), key=lambda k: keys[k])
    return [step for k in order for step in segments[k]]
