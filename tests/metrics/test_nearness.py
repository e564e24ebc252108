"""Silhouettes, purity of neighbours and average linkage: by hand, against plain loops, and what must not change them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from tests.reference.varieties import slow_linkage, slow_purity, slow_silhouettes
from tswork.metrics.knn_purity import chance_purity, knn_purity
from tswork.metrics.linkage import average_linkage, cophenetic_correlation, linkage_table
from tswork.metrics.silhouette import silhouette, silhouettes


def points(seed: int = 0, items: int = 24) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distances of random points, their classes and their groups."""
    draw = np.random.default_rng(seed)
    classes = np.arange(items) % 4
    x = draw.normal(size=(items, 3)) + 0.7 * classes[:, None]
    return cdist(x, x), classes, draw.integers(0, 5, items)


def on_a_line(*places: float) -> np.ndarray:
    line = np.array(places, dtype=float)
    found: np.ndarray = np.abs(line[:, None] - line)
    return found


def test_a_silhouette_by_hand() -> None:
    found = silhouettes(on_a_line(0, 1, 10, 12), np.array([0, 0, 1, 1]))
    assert found.tolist() == pytest.approx([(11 - 1) / 11, (10 - 1) / 10, (9.5 - 2) / 9.5, (11.5 - 2) / 11.5])
    assert silhouette(on_a_line(0, 1, 10, 12), np.array([0, 0, 1, 1])) == pytest.approx(found.mean())


@pytest.mark.parametrize("seed", range(3))
def test_silhouettes_are_those_of_plain_loops(seed: int) -> None:
    distances, classes, _ = points(seed)
    classes[5] = 7  # alone in its class
    assert silhouettes(distances, classes).tolist() == pytest.approx(slow_silhouettes(distances, classes))


def test_items_without_a_class_take_no_part_in_a_silhouette() -> None:
    distances, classes, _ = points()
    holed = np.where(np.arange(len(classes)) < 4, -1, classes)
    found = silhouettes(distances, holed)
    assert np.isnan(found[:4]).all()
    np.testing.assert_allclose(found[4:], silhouettes(distances[4:, 4:], classes[4:]))


@pytest.mark.parametrize("codes", [[0, 0, 0], [0, 1, 2], [-1, -1, -1], [0, 0, -1]])
def test_a_silhouette_needs_two_classes_and_two_of_one(codes: list[int]) -> None:
    assert math.isnan(silhouette(on_a_line(0, 1, 3), np.array(codes)))


def test_purity_by_hand() -> None:
    distances, codes = on_a_line(0, 1, 2.5, 10, 12), np.array([0, 0, 1, 1, 1])
    assert knn_purity(distances, codes, neighbours=1).tolist() == [1, 1, 0, 1, 1]
    assert knn_purity(distances, codes, neighbours=2).tolist() == [0.5, 0.5, 0, 1, 1]
    assert knn_purity(distances, codes, neighbours=99).tolist() == [0.25, 0.25, 0.5, 0.5, 0.5]


@pytest.mark.parametrize("neighbours", [1, 4, 30])
def test_purity_is_that_of_plain_loops(neighbours: int) -> None:
    distances, classes, groups = points(1)
    found = knn_purity(distances.round(1), classes, neighbours=neighbours, groups=groups)  # equal distances occur
    assert found.tolist() == pytest.approx(slow_purity(distances.round(1), classes, groups, neighbours))


def test_a_space_of_speakers_is_pure_only_with_their_own_clips() -> None:
    draw = np.random.default_rng(0)
    speaker = np.repeat(np.arange(20), 6)
    x = 20 * draw.normal(size=(20, 3))[speaker] + draw.normal(size=(120, 3))
    distances, classes = cdist(x, x), speaker % 2
    assert np.nanmean(knn_purity(distances, classes, neighbours=5)) > 0.97
    assert np.nanmean(knn_purity(distances, classes, neighbours=5, groups=speaker)) < 0.65


def test_purity_is_not_defined_without_neighbours_or_a_class() -> None:
    distances, groups = on_a_line(0, 1, 2), np.array([0, 0, 0])
    assert np.isnan(knn_purity(distances, np.array([0, 0, 1]), neighbours=2, groups=groups)).all()
    found = knn_purity(distances, np.array([0, 0, -1]), neighbours=2, groups=np.array([-1, -1, -1]))
    assert found.tolist()[:2] == [1, 1]
    assert math.isnan(found[2])


def test_purity_by_chance_is_the_share_of_equal_pairs() -> None:
    codes = np.array([0, 0, 0, 1, -1])
    assert chance_purity(codes) == pytest.approx(6 / 12)
    assert math.isnan(chance_purity(np.array([0])))


def test_the_nearest_two_are_joined_and_then_the_third_at_the_mean() -> None:
    joins = average_linkage(on_a_line(0, 1, 10))
    assert joins[:, 2].tolist() == [1, 9.5]
    table = linkage_table(joins, ["a", "b", "c"])
    assert table.to_dict("list") == {
        "step": [1, 2],
        "one": ["a", "c"],
        "other": ["b", "a + b"],
        "height": [1.0, 9.5],
        "size": [2, 3],
    }


@pytest.mark.parametrize("seed", range(3))
def test_joins_are_those_of_plain_loops(seed: int) -> None:
    distances, _, _ = points(seed, items=9)
    joins = average_linkage(distances)
    members = [frozenset([number]) for number in range(9)]
    for one, other, _, size in joins:
        members.append(members[int(one)] | members[int(other)])
        assert len(members[-1]) == size
    expected = slow_linkage(distances)
    assert members[9:] == [joined for joined, _ in expected]
    assert joins[:, 2].tolist() == pytest.approx([height for _, height in expected])


def test_a_tree_tells_the_whole_truth_of_distances_that_are_a_tree() -> None:
    distances = np.array([[0.0, 1, 4, 4], [1, 0, 4, 4], [4, 4, 0, 2], [4, 4, 2, 0]])
    assert cophenetic_correlation(average_linkage(distances), distances) == pytest.approx(1)
    even = np.ones((3, 3)) - np.eye(3)
    assert math.isnan(cophenetic_correlation(average_linkage(even), even))
