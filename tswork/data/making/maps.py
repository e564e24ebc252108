"""Where synthetic varieties are spoken: regions on a map, each with cities around its centre."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tswork.random import derive

Layout = Literal["free", "vivaldi"]

SOUTH, NORTH, WEST, EAST = 37.5, 46.5, 7.5, 17.5
NEAR_DEGREES = 0.35
"""Spread of the cities of a region around its centre, in degrees of latitude."""
LONGITUDE = 1.35
"""Degrees of longitude that are as long as one of latitude, in the middle of the map."""

VIVALDI: dict[str, tuple[int, float, float]] = {
    "abr": (10, 42.2, 13.8), "bas": (14, 40.5, 16.1), "cal": (4, 39.0, 16.5), "cam": (1, 40.9, 14.8),
    "eml": (3, 44.5, 11.0), "fvg": (28, 46.1, 13.1), "laz": (1, 41.9, 12.7), "lig": (14, 44.3, 8.7),
    "lom": (25, 45.6, 9.8), "mol": (17, 41.7, 14.6), "pie": (24, 45.0, 7.9), "pug": (10, 41.0, 16.7),
    "sar": (19, 40.1, 9.0), "sic": (16, 37.6, 14.1), "tos": (10, 43.4, 11.1), "tre": (32, 46.4, 11.3),
    "umb": (14, 43.0, 12.5), "vda": (10, 45.7, 7.4), "ven": (35, 45.6, 11.9),
}  # fmt: skip
"""Cities of each region in VIVALDI as the authors' repository SALVI counts them (Marche has none), and about where its middle is."""


@dataclass(frozen=True)
class Place:
    """A point on the map, in degrees."""

    name: str
    latitude: float
    longitude: float


@dataclass(frozen=True)
class Region:
    """A region, its centre, and its cities."""

    centre: Place
    cities: tuple[Place, ...]


def draw_map(layout: Layout, *, regions: int, cities: int, seed: int) -> tuple[Region, ...]:
    """The regions of a layout; a region keeps its place and its cities when others are added."""
    if layout == "vivaldi":
        return tuple(_region(Place(name, *at), count, seed) for name, (count, *at) in VIVALDI.items())
    return tuple(_region(centre, cities, seed) for centre in _spread(regions, seed))


def kilometres(places: Sequence[Place]) -> np.ndarray:
    """Great-circle distances between places, on a sphere of 6371 km."""
    latitude, longitude = np.radians([(place.latitude, place.longitude) for place in places]).T
    chord = (
        np.sin((latitude[:, None] - latitude) / 2) ** 2
        + np.cos(latitude[:, None]) * np.cos(latitude) * np.sin((longitude[:, None] - longitude) / 2) ** 2
    )
    return np.asarray(2 * 6371.0 * np.arcsin(np.sqrt(np.clip(chord, 0, 1))))


def _spread(regions: int, seed: int) -> list[Place]:
    """Centres from a sequence that fills the map evenly however long it is (Roberts' R2), from a drawn start."""
    start = np.random.default_rng(derive(seed, "map")).random(2)
    steps = np.arange(regions)[:, None] * (0.7548776662466927, 0.5698402909980532)
    shares = (start + steps) % 1
    return [
        Place(f"region{number + 1:02}", SOUTH + (NORTH - SOUTH) * float(north), WEST + (EAST - WEST) * float(east))
        for number, (north, east) in enumerate(shares)
    ]


def _region(centre: Place, cities: int, seed: int) -> Region:
    offsets = np.random.default_rng(derive(seed, "cities", centre.name)).normal(0, NEAR_DEGREES, (cities, 2))
    return Region(
        centre,
        tuple(
            Place(
                f"{centre.name}_city{number + 1:02}",
                round(centre.latitude + float(north), 4),
                round(centre.longitude + LONGITUDE * float(east), 4),
            )
            for number, (north, east) in enumerate(offsets)
        ),
    )
