"""The circular block bootstrap written plainly: blocks that begin at any start, drawn one by one."""

from __future__ import annotations

import math

import numpy as np


def block_error(differences: np.ndarray, length: int, draw: np.random.Generator, *, resamples: int = 500) -> float:
    """Standard error of the mean; the share of the variance that lies inside the mean itself is put back."""
    count = len(differences)
    blocks = math.ceil(count / length)
    means = []
    for _ in range(resamples):
        taken = [differences[np.arange(start, start + length) % count] for start in draw.integers(count, size=blocks)]
        means.append(np.concatenate(taken).mean())
    return math.sqrt(np.var(means, ddof=1) * (blocks * length / count) / (1 - length / count))
