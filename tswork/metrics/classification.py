"""Metrics of classification, right also where a class is absent from the truth, from the predictions, or from both.

Classes are integers 0..n-1. Scores `(item, class)` rank items within a class; they need not be probabilities.
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
    truth: Int[np.ndarray, "item"], predicted: Int[np.ndarray, "item"], scores: Float[np.ndarray, "item class"]
) -> dict[str, float]:
    """Every figure of `METRICS`; what the truth leaves undefined is NaN."""
    counts = confusion(truth, predicted, scores.shape[1])
    return {
        "accuracy": accuracy(counts),
        "macro_precision": macro_precision(counts),
        "macro_recall": macro_recall(counts),
        "macro_f1": macro_f1(counts),
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


def macro_f1(counts: Int[np.ndarray, "c c"]) -> float:
    """Mean F1 over the classes that occur in the truth or in the predictions."""
    return _mean_over_occurring(counts, "f1")


def macro_precision(counts: Int[np.ndarray, "c c"]) -> float:
    """Mean precision over the classes that occur in the truth or in the predictions; one never predicted counts 0."""
    return _mean_over_occurring(counts, "precision")


def macro_recall(counts: Int[np.ndarray, "c c"]) -> float:
    """Mean recall over the classes that occur in the truth or in the predictions; one absent from the truth counts 0."""
    return _mean_over_occurring(counts, "recall")


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


def _mean_over_occurring(counts: Int[np.ndarray, "c c"], column: str) -> float:
    occurs = (counts.sum(axis=0) + counts.sum(axis=1)) > 0
    return _ratio(float(per_class(counts)[column].to_numpy()[occurs].sum()), float(occurs.sum()))


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else float("nan")
