"""Whether places that lie far apart also sound far apart: Mantel's test of two matrices of distances.

Mantel, "The detection of disease clustering and a generalized regression approach", Cancer Research 27, 1967. The statistic is the
correlation of the two sets of distances over all pairs. Pairs that share a place are not independent, so its null distribution comes
from places that change names: the rows and columns of one matrix are permuted together. One-sided: only a positive correlation
counts. The observed order is one of the permutations, so that p is never 0.
"""

from __future__ import annotations

import math
from itertools import permutations as every_order
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

EARTH_RADIUS = 6371.0088
"""Kilometres; the mean radius of the ellipsoid of reference."""
FEW = 7
"""Up to so many places all orders are looked at (5,040) instead of a draw of them."""
AT_ONCE = 256


class Mantel(NamedTuple):
    """The correlation, its one-sided p, the places, and the orders that p was counted over."""

    correlation: float
    p: float
    places: int
    orders: int


def great_circle(degrees: Float[np.ndarray, "place 2"]) -> Float[np.ndarray, "place place"]:
    """Kilometres between places given as latitude and longitude in degrees, on a sphere (the haversine formula)."""
    latitude, longitude = np.radians(degrees).T
    half_latitude = np.sin((latitude[:, None] - latitude) / 2) ** 2
    half_longitude = np.sin((longitude[:, None] - longitude) / 2) ** 2
    haversine = half_latitude + np.cos(latitude)[:, None] * np.cos(latitude) * half_longitude
    found: np.ndarray = 2 * EARTH_RADIUS * np.arcsin(np.sqrt(np.clip(haversine, 0, 1)))
    return found


def mantel(
    one: Float[np.ndarray, "place place"],
    other: Float[np.ndarray, "place place"],
    *,
    permutations: int = 9999,
    seed: int = 0,
) -> Mantel:
    """Mantel's test of two symmetric matrices; both figures NaN with fewer than three places or distances that are all equal.

    Up to `FEW` places p is exact: the share of all orders whose correlation is at least the observed one. Beyond, `permutations`
    random orders are drawn beside the observed one.
    """
    places = len(one)
    upper = np.triu_indices(places, 1)
    x, y = one[upper] - one[upper].mean() if places > 1 else one[upper], other[upper]
    if places < 3 or np.ptp(one[upper]) == 0 or np.ptp(y) == 0:
        return Mantel(math.nan, math.nan, places, 0)
    scale = float(np.linalg.norm(x) * np.linalg.norm(y - y.mean()))
    observed = float(x @ y) / scale
    orders = _orders(places, permutations, seed)
    reached = 0
    for start in range(0, len(orders), AT_ONCE):
        order = orders[start : start + AT_ONCE]
        correlations = other[order[:, upper[0]], order[:, upper[1]]] @ x / scale
        reached += int((correlations >= observed - 1e-12).sum())
    return Mantel(observed, reached / len(orders), places, len(orders))


def _orders(places: int, permutations: int, seed: int) -> np.ndarray:
    """The observed order, and all others or a draw of them."""
    if places <= FEW:
        return np.array(list(every_order(range(places))))
    draw = np.random.default_rng(seed)
    rows = np.tile(np.arange(places), (permutations + 1, 1))
    rows[1:] = draw.permuted(rows[1:], axis=1)
    return rows
