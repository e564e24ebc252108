"""Plain loops for what the analysis of varieties measures: silhouettes, purity, Mantel's test, average linkage."""

from __future__ import annotations

import itertools
import math

import numpy as np
from jaxtyping import Float, Int


def slow_silhouettes(distances: Float[np.ndarray, "item item"], codes: Int[np.ndarray, "item"]) -> list[float]:
    """One item after another, from the definition."""
    found = []
    for item, own in enumerate(codes):
        fellows = [distances[item, other] for other in range(len(codes)) if codes[other] == own and other != item]
        if not fellows:
            found.append(0.0)
            continue
        a = sum(fellows) / len(fellows)
        b = min(
            sum(distances[item, codes == code]) / int((codes == code).sum()) for code in set(codes.tolist()) - {own}
        )
        found.append((b - a) / max(a, b))
    return found


def slow_purity(
    distances: Float[np.ndarray, "item item"],
    codes: Int[np.ndarray, "item"],
    groups: Int[np.ndarray, "item"],
    neighbours: int,
) -> list[float]:
    """The neighbours of other groups, sorted by distance and then by their place."""
    found = []
    for item in range(len(codes)):
        others = [other for other in range(len(codes)) if groups[other] != groups[item]]
        nearest = sorted(others, key=lambda other: (distances[item, other], other))[:neighbours]
        found.append(sum(codes[other] == codes[item] for other in nearest) / len(nearest) if nearest else math.nan)
    return found


def slow_mantel(one: Float[np.ndarray, "n n"], other: Float[np.ndarray, "n n"]) -> tuple[float, float]:
    """The correlation and the share of all orders of the places whose correlation is as large."""
    places = range(len(one))
    pairs = list(itertools.combinations(places, 2))

    def correlation(order: tuple[int, ...]) -> float:
        x = [one[i, j] for i, j in pairs]
        y = [other[order[i], order[j]] for i, j in pairs]
        return float(np.corrcoef(x, y)[0, 1])

    observed = correlation(tuple(places))
    found = [correlation(order) for order in itertools.permutations(places)]
    return observed, sum(value >= observed - 1e-12 for value in found) / len(found)


def slow_linkage(distances: Float[np.ndarray, "n n"]) -> list[tuple[frozenset[int], float]]:
    """The members of each join and its height; the distance of clusters is the mean over pairs of members."""
    clusters = [frozenset([member]) for member in range(len(distances))]
    joins = []
    while len(clusters) > 1:

        def apart(pair: tuple[frozenset[int], frozenset[int]]) -> float:
            return float(np.mean([distances[i, j] for i in pair[0] for j in pair[1]]))

        first, second = min(itertools.combinations(clusters, 2), key=apart)
        joins.append((first | second, apart((first, second))))
        clusters = [one for one in clusters if one not in (first, second)] + [first | second]
    return joins
