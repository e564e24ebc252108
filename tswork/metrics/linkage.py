"""Which classes or places lie nearest together, step by step: average linkage of their centroids.

Sokal and Michener, "A statistical method for evaluating systematic relationships", 1958: the two nearest clusters are joined, again and
again; the distance of two clusters is the mean over all pairs of their members. The path through the joins between two members is
their cophenetic distance; how well it agrees with the distances themselves (the cophenetic correlation) says how far a tree tells
the truth about them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float


def average_linkage(distances: Float[np.ndarray, "member member"]) -> Float[np.ndarray, "join 4"]:
    """The joins in their order, as scipy writes them: two clusters (members, then n, n + 1, ... of earlier joins), height, size."""
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform

    joins: np.ndarray = linkage(squareform(distances, checks=False), method="average")
    return joins


def cophenetic_correlation(joins: Float[np.ndarray, "join 4"], distances: Float[np.ndarray, "member member"]) -> float:
    """The correlation of the distances in the tree with the distances themselves; NaN with fewer than three members."""
    from scipy.cluster.hierarchy import cophenet
    from scipy.spatial.distance import squareform

    if len(distances) < 3 or np.ptp(distances[np.triu_indices(len(distances), 1)]) == 0:
        return float("nan")
    return float(cophenet(joins, squareform(distances, checks=False))[0])


def linkage_table(joins: Float[np.ndarray, "join 4"], names: Sequence[str]) -> pd.DataFrame:
    """The joins to read: columns step, one, other (names, several joined by `+`), height, size."""
    members: list[tuple[str, ...]] = [(name,) for name in names]
    lines = []
    for step, (one, other, height, size) in enumerate(joins, start=1):
        pair = members[int(one)], members[int(other)]
        members.append(pair[0] + pair[1])
        lines.append((step, " + ".join(pair[0]), " + ".join(pair[1]), float(height), int(size)))
    return pd.DataFrame(lines, columns=["step", "one", "other", "height", "size"])
