"""Figures of a classification in which groups of items count several times or not at all: what a bootstrap computes.

A figure of a resample is that of its items repeated. All resamples are computed at once from how often each group was drawn. Counts
and areas under the ROC curve need no item then: how often a predicted class meets a true one, and how many pairs of a positive and a
negative are ordered rightly, is summed once for every (pair of) groups, and a resample weights these sums.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

AT_ONCE = 2_000_000
"""Weights of items that are held at once."""

Curve = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""The area under a curve from which items are positive, their scores, their groups, and the weights of groups."""


def weighted_figure(
    figure: str,
    truth: Int[np.ndarray, "item"],
    predicted: Int[np.ndarray, "item"],
    scores: Float[np.ndarray, "item class"],
    weights: Float[np.ndarray, "resample group"],
    *,
    group: Int[np.ndarray, "item"] | None = None,
    averaged: int | None = None,
) -> Float[np.ndarray, "resample"]:
    """A figure of `classification.METRICS` where item i counts `weights[r, group[i]]` times, for all resamples r at once.

    Without `group` every item is one. `averaged` is the number of classes that macro figures are divided by, where it is fixed.
    NaN where a resample leaves the figure undefined.
    """
    group = np.arange(len(truth)) if group is None else group
    if figure in ("macro_auroc", "macro_auprc"):
        curve: Curve = _auroc if figure == "macro_auroc" else _auprc
        classes = range(scores.shape[1])
        columns = [curve(truth == number, scores[:, number], group, weights) for number in classes]
        return _mean_of_defined(np.stack(columns, axis=1))
    return _counts(figure, truth, predicted, scores.shape[1], group, weights, averaged)


def _counts(
    figure: str,
    truth: np.ndarray,
    predicted: np.ndarray,
    classes: int,
    group: np.ndarray,
    weights: np.ndarray,
    averaged: int | None,
) -> np.ndarray:
    cells = np.zeros((weights.shape[1], classes * classes))
    np.add.at(cells, (group, truth * classes + predicted), 1.0)
    counts = (weights @ cells).reshape(len(weights), classes, classes)
    hits = np.diagonal(counts, axis1=1, axis2=2)
    support, chosen = counts.sum(axis=2), counts.sum(axis=1)
    if figure == "accuracy":
        return _mean_of_defined(_over(hits.sum(axis=1), support.sum(axis=1))[:, None])
    if figure == "balanced_accuracy":
        return _mean_of_defined(_over(hits, support))
    of = {"macro_precision": chosen, "macro_recall": support, "macro_f1": (support + chosen) / 2}[figure]
    share = hits / np.where(of > 0, of, 1.0)
    if averaged is None:
        return _mean_of_defined(np.where(support + chosen > 0, share, np.nan))
    seen = (support > 0).sum(axis=1) / len(np.unique(truth))
    return _over(share.sum(axis=1), averaged * seen)


def _auroc(positive: np.ndarray, score: np.ndarray, group: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Share of pairs of a positive and a negative in which the positive has the higher score; equal ones count half."""
    if weights.shape[1] ** 2 <= len(score):
        return _auroc_of_groups(positive, score, group, weights)
    return _by_item(_auroc_of_items, positive, score, group, weights)


def _auroc_of_groups(positive: np.ndarray, score: np.ndarray, group: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """From the number of rightly ordered pairs of every two groups: operations groups squared for a resample."""
    order = np.argsort(score, kind="stable")
    first = _first_of_equal(score[order])
    of_group = group[order, None] == np.arange(weights.shape[1])
    ones = _summed((of_group & positive[order, None]).astype(float), first, axis=0)
    others = _summed((of_group & ~positive[order, None]).astype(float), first, axis=0)
    won = ones.T @ (others.cumsum(axis=0) - others / 2)
    return _over(((weights @ won) * weights).sum(axis=1), (weights @ ones.sum(axis=0)) * (weights @ others.sum(axis=0)))


def _auroc_of_items(positive: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    order = np.argsort(score, kind="stable")
    first = _first_of_equal(score[order])
    ones, others = weights[:, order] * positive[order], weights[:, order] * ~positive[order]
    negatives = _summed(others, first, axis=1)
    below = negatives.cumsum(axis=1) - negatives / 2
    won = (_summed(ones, first, axis=1) * below).sum(axis=1)
    return _over(won, ones.sum(axis=1) * others.sum(axis=1))


def _auprc(positive: np.ndarray, score: np.ndarray, group: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Average precision: precision at each threshold, times the share of the positives that it adds."""
    return _by_item(_auprc_of_items, positive, score, group, weights)


def _auprc_of_items(positive: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    order = np.argsort(-score, kind="stable")
    first = _first_of_equal(score[order])
    hits = _summed(weights[:, order] * positive[order], first, axis=1)
    chosen = _summed(weights[:, order], first, axis=1).cumsum(axis=1)
    precision = hits.cumsum(axis=1) / np.where(chosen > 0, chosen, 1.0)
    return _over((precision * hits).sum(axis=1), hits.sum(axis=1))


def _by_item(
    curve: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    positive: np.ndarray,
    score: np.ndarray,
    group: np.ndarray,
    weights: np.ndarray,
) -> np.ndarray:
    """A curve that needs the weight of every item, for as many resamples at once as fit."""
    size = max(1, AT_ONCE // len(score))
    starts = range(0, len(weights), size)
    return np.concatenate([curve(positive, score, weights[start : start + size, group]) for start in starts])


def _first_of_equal(ordered: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))


def _summed(values: np.ndarray, first: np.ndarray, *, axis: int) -> np.ndarray:
    """Sums over items of equal score, which begin at `first`."""
    return values if len(first) == values.shape[axis] else np.add.reduceat(values, first, axis=axis)


def _over(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """The quotient, NaN where nothing is divided by."""
    return np.where(denominator > 0, numerator / np.where(denominator > 0, denominator, 1.0), np.nan)


def _mean_of_defined(columns: Float[np.ndarray, "resample column"]) -> Float[np.ndarray, "resample"]:
    defined = ~np.isnan(columns)
    return _over(np.where(defined, columns, 0.0).sum(axis=1), defined.sum(axis=1).astype(float))
