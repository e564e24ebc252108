"""Of what class the neighbours of an item are, with and without those of its own speaker.

The share of an item's k nearest others that have its class. Neighbours of the same speaker are of the same class because they are of
the same speaker; without them the purity says what the space knows of the class itself.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int


def knn_purity(
    distances: Float[np.ndarray, "item item"],
    codes: Int[np.ndarray, "item"],
    *,
    neighbours: int,
    groups: Int[np.ndarray, "item"] | None = None,
) -> Float[np.ndarray, "item"]:
    """The share of every item's nearest others that have its class; of equal distances the first item counts as nearer.

    Items of the same group are no neighbours where `groups` are given (-1: of none). With fewer than `neighbours` others all
    of them count; NaN for an item that has none, and for items without a class (-1), which are nobody's neighbours.
    """
    known = codes >= 0
    barred = np.eye(len(codes), dtype=bool) | ~known[None, :]
    if groups is not None:
        barred |= (groups[:, None] == groups[None, :]) & (groups[:, None] >= 0)
    nearest = np.argsort(np.where(barred, np.inf, distances), axis=1, kind="stable")[:, :neighbours]
    counted = ~np.take_along_axis(barred, nearest, axis=1)
    alike = (codes[nearest] == codes[:, None]) & counted
    others = counted.sum(axis=1)
    share: np.ndarray = np.where(known & (others > 0), alike.sum(axis=1) / np.maximum(others, 1), np.nan)
    return share


def chance_purity(codes: Int[np.ndarray, "item"]) -> float:
    """The purity that neighbours drawn at random would have: the chance that two different items share their class."""
    counts = np.bincount(codes[codes >= 0]).astype(float)
    items = counts.sum()
    return float((counts * (counts - 1)).sum() / (items * (items - 1))) if items > 1 else float("nan")
