"""Mantel's test: by hand, against all orders in plain loops, its level, and distances on a sphere."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from tests.reference.varieties import slow_mantel
from tswork.metrics.mantel import EARTH_RADIUS, great_circle, mantel

ROME, MILAN, NEW_YORK = (41.9028, 12.4964), (45.4642, 9.1900), (40.7128, -74.0060)


def apart(x: np.ndarray) -> np.ndarray:
    found: np.ndarray = cdist(x, x)
    return found


def test_distances_on_the_earth() -> None:
    found = great_circle(np.array([[0.0, 0.0], [0.0, 90.0], [90.0, 17.0], [0.0, 180.0]]))
    quarter = EARTH_RADIUS * math.pi / 2
    assert found[0].tolist() == pytest.approx([0, quarter, quarter, 2 * quarter])
    cities = great_circle(np.array([ROME, MILAN, NEW_YORK]))
    assert cities[0, 1] == pytest.approx(477, abs=2)
    assert cities[0, 2] == pytest.approx(6891, abs=10)
    np.testing.assert_allclose(cities, cities.T)


def test_the_date_line_is_no_border() -> None:
    assert great_circle(np.array([[0.0, 179.9], [0.0, -179.9]]))[0, 1] == pytest.approx(22.24, abs=0.01)


def test_three_places_by_hand() -> None:
    one = np.array([[0.0, 1, 2], [1, 0, 3], [2, 3, 0]])
    other = np.array([[0.0, 1, 3], [1, 0, 2], [3, 2, 0]])
    found = mantel(one, other)
    # (1, 2, 3) against (1, 3, 2): 0.5. Of the six orders of the second, correlations are 1, 0.5, 0.5, -0.5, -0.5, -1.
    assert found.correlation == pytest.approx(0.5)
    assert (found.p, found.places, found.orders) == (3 / 6, 3, 6)


@pytest.mark.parametrize("seed", range(3))
def test_few_places_are_looked_at_in_all_orders(seed: int) -> None:
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(5, 2))
    one, other = apart(x), apart(x + 0.5 * draw.normal(size=(5, 2)))
    found = mantel(one, other)
    assert (found.correlation, found.p) == pytest.approx(slow_mantel(one, other))
    assert found.orders == 120


def test_many_places_are_drawn_and_the_draw_is_the_seed() -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(20, 2))
    near = mantel(apart(x), apart(x + 0.3 * draw.normal(size=x.shape)), permutations=499, seed=1)
    assert near.p == 1 / 500  # the observed order alone
    far = apart(draw.normal(size=(20, 2)))
    one, two, three = (mantel(apart(x), far, permutations=499, seed=seed) for seed in (1, 1, 2))
    assert one == two
    assert one.p != three.p
    assert abs(one.p - three.p) < 0.1


def test_places_that_have_nothing_to_do_with_distance_are_rarely_called_so() -> None:
    draw = np.random.default_rng(0)
    found = [
        mantel(apart(draw.normal(size=(12, 2))), apart(draw.normal(size=(12, 2))), permutations=99, seed=run).p
        for run in range(200)
    ]
    assert np.mean(np.array(found) <= 0.05) < 0.09
    assert 0.4 < np.mean(found) < 0.6


def test_other_units_and_other_names_change_nothing() -> None:
    draw = np.random.default_rng(3)
    one, other = apart(draw.normal(size=(6, 2))), apart(draw.normal(size=(6, 2)))
    order = draw.permutation(6)
    found, scaled = mantel(one, other), mantel(3 * one + 1 - np.eye(6), other)
    renamed = mantel(one[np.ix_(order, order)], other[np.ix_(order, order)])
    assert found == pytest.approx(scaled)
    assert found == pytest.approx(renamed)


@pytest.mark.parametrize("places", [1, 2])
def test_two_places_say_nothing(places: int) -> None:
    found = mantel(np.zeros((places, places)), np.zeros((places, places)))
    assert math.isnan(found.p)
    even = np.ones((4, 4)) - np.eye(4)
    assert math.isnan(mantel(even, apart(np.arange(8.0).reshape(4, 2))).correlation)
