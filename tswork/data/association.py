"""How much one column of a table tells of another: of classes, and of numbers such as durations."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64


def crossed(one: Int64[np.ndarray, "row"], other: Int64[np.ndarray, "row"]) -> Int64[np.ndarray, "value other_value"]:
    """How often each pair of codes stands in one row; rows in which a code is negative (missing) do not count."""
    known = (one >= 0) & (other >= 0)
    shape = (int(one.max(initial=-1)) + 1, int(other.max(initial=-1)) + 1)
    counts = np.zeros(shape, np.int64)
    np.add.at(counts, (one[known], other[known]), 1)
    return counts


def cramers_v(counts: Int64[np.ndarray, "value other_value"]) -> float:
    """Cramér's V without the bias of small tables (Bergsma, 2013): 0 for independent columns, 1 where one tells the other."""
    counts = counts[counts.any(axis=1)][:, counts.any(axis=0)]
    total = int(counts.sum())
    if min(counts.shape, default=0) < 2 or total < 2:
        return 0.0
    expected = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / total
    mean_square = float((((counts - expected) ** 2) / expected).sum()) / total
    rows, columns = counts.shape
    unbiased = max(0.0, mean_square - (rows - 1) * (columns - 1) / (total - 1))
    smaller = min(size - (size - 1) ** 2 / (total - 1) for size in (rows, columns)) - 1
    return float(np.sqrt(unbiased / smaller)) if smaller > 0 else 0.0


def rank_share(numbers: Float64[np.ndarray, "row"], groups: Int64[np.ndarray, "row"]) -> float:
    """The share of the variance of ranks that groups explain, less what chance explains (epsilon squared, Kelley, 1935)."""
    from scipy.stats import rankdata

    known = groups >= 0
    numbers, groups = numbers[known], np.unique(groups[known], return_inverse=True)[1]
    count, kinds = len(numbers), int(groups.max(initial=-1)) + 1
    ranks = rankdata(numbers)
    total = float(((ranks - ranks.mean()) ** 2).sum()) if count else 0.0
    if kinds < 2 or count <= kinds or total == 0:
        return 0.0
    means = np.bincount(groups, weights=ranks) / np.bincount(groups)
    within = float(((ranks - means[groups]) ** 2).sum())
    return max(0.0, 1 - (within / (count - kinds)) / (total / (count - 1)))
