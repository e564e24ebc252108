"""Metrics of classification, right also where a class is absent from the truth, from the predictions, or from both.

Classes are integers 0..n-1. Scores `(item, class)` rank items within a class; they need not be probabilities.

A mean over classes is taken over those that occur in the truth or in the predictions. With `averaged` it is divided by that number of
classes instead (those that a classifier was trained on): one of them that has no items counts 0, and is not left out in silence.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

METRICS = (
    "accuracy",
    "macro_precision",
    "macro_recall",
    "macro_f1",
    "balanced_accuracy",
    "macro_auroc",
    "macro_auprc",
)
"""All figures of one classifier, in the order of tables."""


def measures(
    truth: Int[np.ndarray, "item"],
    predicted: Int[np.ndarray, "item"],
    scores: Float[np.ndarray, "item class"],
    *,
    averaged: int | None = None,
) -> dict[str, float]:
    """Every figure of `METRICS`; what the truth leaves undefined is NaN."""
    counts = confusion(truth, predicted, scores.shape[1])
    return {
        "accuracy": accuracy(counts),
        "macro_precision": macro_precision(counts, averaged=averaged),
        "macro_recall": macro_recall(counts, averaged=averaged),
        "macro_f1": macro_f1(counts, averaged=averaged),
        "balanced_accuracy": balanced_accuracy(counts),
        "macro_auroc": macro_auroc(truth, scores),
        "macro_auprc": macro_auprc(truth, scores),
    }


def confusion(
    truth: Int[np.ndarray, "item"], predicted: Int[np.ndarray, "item"], classes: int
) -> Int[np.ndarray, "c c"]:
    """Counts with the truth in rows and the prediction in columns."""
    return np.bincount(truth * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def accuracy(counts: Int[np.ndarray, "c c"]) -> float:
    """Share of items on the diagonal; NaN without items."""
    return _ratio(float(np.trace(counts)), float(counts.sum()))


def balanced_accuracy(counts: Int[np.ndarray, "c c"]) -> float:
    """Mean recall over the classes that the truth has."""
    support = counts.sum(axis=1)
    present = support > 0
    return _ratio(float((np.diag(counts)[present] / support[present]).sum()), float(present.sum()))


def macro_f1(counts: Int[np.ndarray, "c c"], *, averaged: int | None = None) -> float:
    """Mean F1 over the classes that occur in the truth or in the predictions."""
    return _mean_over_classes(counts, "f1", averaged)


def macro_precision(counts: Int[np.ndarray, "c c"], *, averaged: int | None = None) -> float:
    """Mean precision over the classes that occur in the truth or in the predictions; one never predicted counts 0."""
    return _mean_over_classes(counts, "precision", averaged)


def macro_recall(counts: Int[np.ndarray, "c c"], *, averaged: int | None = None) -> float:
    """Mean recall over the classes that occur in the truth or in the predictions; one absent from the truth counts 0."""
    return _mean_over_classes(counts, "recall", averaged)


def symmetrised(counts: Int[np.ndarray, "c c"]) -> Int[np.ndarray, "c c"]:
    """How often two classes are taken for one another, in either direction: C + transposed C above the diagonal.

    Each pair stands once, the diagonal as it is and 0 below it, so that the total count stays.
    """
    pairs: Int[np.ndarray, "c c"] = np.triu(counts + counts.T, 1) + np.diag(np.diag(counts))
    return pairs


def per_class(counts: Int[np.ndarray, "c c"], names: Sequence[str] | None = None) -> pd.DataFrame:
    """Columns class, precision, recall, f1, support; what has no items is 0, as is usual."""
    hits = np.diag(counts).astype(float)
    support, chosen = counts.sum(axis=1), counts.sum(axis=0)
    return pd.DataFrame(
        {
            "class": list(names) if names is not None else list(range(len(counts))),
            "precision": hits / np.maximum(chosen, 1),
            "recall": hits / np.maximum(support, 1),
            "f1": 2 * hits / np.maximum(support + chosen, 1),
            "support": support,
        }
    )


def macro_auroc(truth: Int[np.ndarray, "item"], scores: Float[np.ndarray, "item class"]) -> float:
    """Mean one-against-rest area under the ROC curve over the classes that have items and others beside them.

    With two classes and one score for both this is the usual area. NaN when the truth has fewer than two classes.
    """
    from scipy.stats import rankdata

    positive = truth[:, None] == np.arange(scores.shape[1])
    count = positive.sum(axis=0)
    usable = (count > 0) & (count < len(truth))
    if not usable.any():
        return float("nan")
    ranks = (rankdata(scores[:, usable], axis=0) * positive[:, usable]).sum(axis=0)
    count = count[usable].astype(float)
    return float(((ranks - count * (count + 1) / 2) / (count * (len(truth) - count))).mean())


def macro_auprc(truth: Int[np.ndarray, "item"], scores: Float[np.ndarray, "item class"]) -> float:
    """Mean one-against-rest average precision over the classes that the truth has; NaN without items."""
    found = [_average_precision(truth == name, scores[:, name]) for name in np.unique(truth)]
    return float(np.mean(found)) if found else float("nan")


def _average_precision(positive: np.ndarray, score: np.ndarray) -> float:
    """Sum of precision times the gain in recall over falling thresholds; equal scores share one threshold."""
    order = np.argsort(-score, kind="stable")
    hits, sorted_score = np.cumsum(positive[order]), score[order]
    last = np.flatnonzero(np.append(sorted_score[1:] != sorted_score[:-1], True))
    precision = hits[last] / (last + 1)
    recall = hits[last] / hits[-1]
    return float((precision * np.diff(recall, prepend=0.0)).sum())


def _mean_over_classes(counts: Int[np.ndarray, "c c"], column: str, averaged: int | None) -> float:
    occurs = (counts.sum(axis=0) + counts.sum(axis=1)) > 0
    over = occurs.sum() if averaged is None or not counts.any() else averaged
    return _ratio(float(per_class(counts)[column].to_numpy()[occurs].sum()), float(over))


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else float("nan")
