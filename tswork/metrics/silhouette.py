"""How much nearer items lie to their own class than to the next one.

Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of cluster analysis", 1987: with a the mean distance of an
item to the others of its class and b the least mean distance to another class, the silhouette of the item is (b - a) / max(a, b); an
item that is alone in its class has 0. The same items may be looked at by class, by speaker and by place: by what they lie nearest
together is what the space is about.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int


def silhouettes(distances: Float[np.ndarray, "item item"], codes: Int[np.ndarray, "item"]) -> Float[np.ndarray, "item"]:
    """The silhouette of every item; NaN for items without a class (-1), and for all where fewer than two classes are left.

    Also NaN for all where every item is a class of its own, which says nothing.
    """
    from sklearn.metrics import silhouette_samples

    found = np.full(len(codes), np.nan)
    known = np.flatnonzero(codes >= 0)
    classes = len(np.unique(codes[known]))
    if 2 <= classes < len(known):
        found[known] = silhouette_samples(distances[np.ix_(known, known)], codes[known], metric="precomputed")
    return found


def silhouette(distances: Float[np.ndarray, "item item"], codes: Int[np.ndarray, "item"]) -> float:
    """The mean silhouette of the items that have a class; NaN where there is none."""
    found = silhouettes(distances, codes)
    return float(np.nanmean(found)) if not np.isnan(found).all() else float("nan")
