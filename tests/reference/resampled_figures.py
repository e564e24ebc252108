"""Figures of a resample, computed from its items repeated: what the weighted forms must agree with."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from tswork.metrics import classification


def repeated_figure(
    figure: str,
    truth: Int[np.ndarray, "item"],
    predicted: Int[np.ndarray, "item"],
    scores: Float[np.ndarray, "item class"],
    counts: Int[np.ndarray, "item"],
) -> float:
    """The figure of a data set that holds item i `counts[i]` times."""
    rows = np.repeat(np.arange(len(truth)), counts)
    return classification.measures(truth[rows], predicted[rows], scores[rows])[figure]
