"""A space of embeddings: one vector for every training and test item, on a common scale."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float

from tswork.metrics.probes import standard

Distance = Literal["euclidean", "cosine"]


@dataclass(frozen=True, eq=False)
class Space:
    """What one row makes of the items, as it comes from the model or the features."""

    row: str
    role: str
    train: Float[np.ndarray, "train dim"]
    test: Float[np.ndarray, "test dim"]

    @cached_property
    def scaled(self) -> Float[np.ndarray, "test dim"]:
        """The test items with every dimension centred and scaled by the training items."""
        mean, scale = standard(self.train)
        found: np.ndarray = (self.test - mean) / scale
        return found


def pairwise(x: Float[np.ndarray, "item dim"], distance: Distance) -> Float[np.ndarray, "item item"]:
    """Distances of all pairs; `cosine` is 1 minus the cosine, 1 from and to a vector of zeros."""
    if distance == "cosine":
        found = 1.0 - cosines(x)
    else:
        squares = (x**2).sum(axis=1)
        found = np.sqrt(np.maximum(squares[:, None] + squares - 2 * x @ x.T, 0.0))
    np.fill_diagonal(found, 0.0)
    symmetric: np.ndarray = (found + found.T) / 2
    return symmetric


def cosines(x: Float[np.ndarray, "item dim"]) -> Float[np.ndarray, "item item"]:
    """Cosines of all pairs; 0 with a vector of zeros."""
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    unit = x / np.where(norms > 0, norms, 1.0)
    found: np.ndarray = np.clip(unit @ unit.T, -1.0, 1.0)
    return found
