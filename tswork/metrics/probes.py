"""The three classifiers that judge embeddings: a kernel machine, a linear model, and the nearest neighbour.

Each `fit_...` gives plain arrays, from which `decide` computes the class and a score for every class again: what was
fitted can be stored and used without the library that fitted it. Classes are integers; a probe knows only those that its
training items have, and gives all others the score -inf.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float, Int

ProbeName = Literal["svm", "logistic", "knn"]
Fold = tuple[np.ndarray, np.ndarray]
"""Rows of the items that are fitted and of those that are held out."""
PROBES: tuple[ProbeName, ...] = get_args(ProbeName)

Arrays = Mapping[str, np.ndarray]

FOLDS = 5
SVM_COSTS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3, 1e4, math.inf)
LOGISTIC_COSTS = (1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2)
MAX_ITERATIONS = 1_000_000
"""Where the solver of a machine without cost limit gives up on items that cannot be separated (published: ten times more)."""


def few(truth: Int[np.ndarray, "item"]) -> bool:
    """Too few items for cross-validation: below 5 a class on average, or below 50 in all (TS2Vec's rule)."""
    return len(truth) / len(np.unique(truth)) < 5 or len(truth) < 50


def fit(
    name: ProbeName,
    x: Float[np.ndarray, "item dim"],
    truth: Int[np.ndarray, "item"],
    *,
    groups: Int[np.ndarray, "item"] | None = None,
) -> dict[str, np.ndarray]:
    """A fitted probe as arrays. At least two classes are needed; items of one of the `groups` are in one of the folds."""
    if name == "knn":
        return fit_nearest(x.astype(np.float64), truth)
    return (fit_svm if name == "svm" else fit_logistic)(x.astype(np.float64), truth, groups=groups)


def decide(
    name: ProbeName, arrays: Arrays, x: Float[np.ndarray, "item dim"], classes: int
) -> tuple[Int[np.ndarray, "item"], Float[np.ndarray, "item class"]]:
    """The class of each item and its score in every class, from a fitted probe's arrays."""
    decision = {"svm": _decide_svm, "logistic": _decide_logistic, "knn": _decide_nearest}[name]
    chosen, known = decision(arrays, x.astype(np.float64))
    scores = np.full((len(x), classes), -np.inf)
    scores[:, arrays["classes"]] = known
    return arrays["classes"][chosen], scores


def fit_svm(
    x: Float[np.ndarray, "item dim"], truth: Int[np.ndarray, "item"], *, groups: Int[np.ndarray, "item"] | None = None
) -> dict[str, np.ndarray]:
    """RBF support vector machine, gamma 1 / (dim * variance), cost by accuracy in 5 folds (no cost limit with few items).

    Squared distances are computed once for all folds and costs. As in TS2Vec's `eval_protocols/fit_svm`.
    """
    from sklearn.svm import SVC

    distances = _squared_distances(x, x)

    def machine(rows: np.ndarray, cost: float) -> tuple[SVC, float]:
        gamma = _gamma(x[rows])
        kernel = np.exp(-gamma * distances[np.ix_(rows, rows)])
        svc = SVC(C=cost, kernel="precomputed", max_iter=MAX_ITERATIONS)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Solver terminated early")
            return svc.fit(kernel, truth[rows]), gamma

    def accuracies(train: np.ndarray, held_out: np.ndarray) -> Iterator[float]:
        for cost in SVM_COSTS:
            svc, gamma = machine(train, cost)
            kernel = np.exp(-gamma * distances[np.ix_(held_out, train)])
            yield float((svc.predict(kernel) == truth[held_out]).mean())

    cost = _best(SVM_COSTS, accuracies, _folds(truth, groups), otherwise=math.inf)
    svc, gamma = machine(np.arange(len(x)), cost)
    return machine_arrays(svc, x, gamma, cost)


def machine_arrays(svc: Any, x: Float[np.ndarray, "item dim"], gamma: float, cost: float) -> dict[str, np.ndarray]:
    """What decides in a fitted kernel machine, from the items it was fitted on."""
    return {
        "classes": svc.classes_.astype(np.int64),
        "support": x[svc.support_],
        "pairs": _pair_coefficients(svc.dual_coef_, svc.n_support_),
        "intercept": svc.intercept_.astype(np.float64),
        "gamma": np.array([gamma]),
        "cost": np.array([cost]),
    }


def fit_logistic(
    x: Float[np.ndarray, "item dim"], truth: Int[np.ndarray, "item"], *, groups: Int[np.ndarray, "item"] | None = None
) -> dict[str, np.ndarray]:
    """Multinomial logistic regression on standardised features, cost by accuracy in 5 folds (1 with few items)."""

    def accuracies(train: np.ndarray, held_out: np.ndarray) -> Iterator[float]:
        for cost in LOGISTIC_COSTS:
            chosen, _ = _decide_logistic(_logistic(x[train], truth[train], cost), x[held_out])
            yield float((np.unique(truth[train])[chosen] == truth[held_out]).mean())

    return _logistic(x, truth, _best(LOGISTIC_COSTS, accuracies, _folds(truth, groups), otherwise=1.0))


def fit_balanced(
    x: Float[np.ndarray, "item dim"], truth: Int[np.ndarray, "item"], *, cost: float
) -> dict[str, np.ndarray]:
    """Logistic regression on standardised features with a given cost, every class of the same weight; `logistic` decides by it."""
    return _logistic(x.astype(np.float64), truth, cost, balanced=True)


def fit_nearest(x: Float[np.ndarray, "item dim"], truth: Int[np.ndarray, "item"]) -> dict[str, np.ndarray]:
    """The nearest training item by Euclidean distance of standardised features."""
    mean, scale = standard(x)
    classes, codes = np.unique(truth, return_inverse=True)
    return {"classes": classes, "items": (x - mean) / scale, "codes": codes, "mean": mean, "scale": scale}


def _decide_svm(arrays: Arrays, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One-against-one votes; scores are the votes, with the sum of margins deciding among equal ones."""
    kernel = np.exp(-arrays["gamma"] * _squared_distances(x, arrays["support"]))
    margins = kernel @ arrays["pairs"] + arrays["intercept"]
    count = len(arrays["classes"])
    if count == 2:  # the library turns the sign, so that a positive margin means the second class
        return (margins[:, 0] > 0).astype(int), np.concatenate([-margins, margins], axis=1)
    first, second = np.triu_indices(count, 1)
    sign = np.zeros((len(first), count))
    sign[np.arange(len(first)), first], sign[np.arange(len(first)), second] = 1.0, -1.0
    votes = (margins > 0) @ (sign > 0).astype(float) + (margins <= 0) @ (sign < 0).astype(float)
    sums = margins @ sign
    return votes.argmax(axis=1), votes + sums / (3 * (np.abs(sums) + 1))


def _decide_logistic(arrays: Arrays, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    logits = ((x - arrays["mean"]) / arrays["scale"]) @ arrays["weights"] + arrays["intercept"]
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return logits.argmax(axis=1), shifted / shifted.sum(axis=1, keepdims=True)


def _decide_nearest(arrays: Arrays, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores are the negative distances to the nearest item of each class."""
    distances = np.sqrt(_squared_distances((x - arrays["mean"]) / arrays["scale"], arrays["items"]))
    nearest = np.stack(
        [distances[:, arrays["codes"] == code].min(axis=1) for code in range(len(arrays["classes"]))], axis=1
    )
    return nearest.argmin(axis=1), -nearest


def _logistic(x: np.ndarray, truth: np.ndarray, cost: float, *, balanced: bool = False) -> dict[str, np.ndarray]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    mean, scale = standard(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        weight = "balanced" if balanced else None
        model = LogisticRegression(C=cost, class_weight=weight, max_iter=1000).fit((x - mean) / scale, truth)
    weights, intercept = model.coef_.T, model.intercept_
    if len(model.classes_) == 2:  # one column for both classes: half of it for each gives the same probabilities
        weights, intercept = (
            np.concatenate([-weights, weights], axis=1) / 2,
            np.array([-intercept[0], intercept[0]]) / 2,
        )
    return {
        "classes": model.classes_.astype(np.int64),
        "weights": weights,
        "intercept": intercept,
        "mean": mean,
        "scale": scale,
        "cost": np.array([cost]),
    }


def _best(
    costs: Sequence[float],
    accuracies: Callable[[np.ndarray, np.ndarray], Iterator[float]],
    folds: Sequence[Fold],
    *,
    otherwise: float,
) -> float:
    """The first cost of the highest mean accuracy over folds; without any `otherwise`."""
    if not folds:
        return otherwise
    found = np.array([list(accuracies(train, held_out)) for train, held_out in folds])
    return costs[int(found.mean(axis=0).argmax())]


def _folds(truth: Int[np.ndarray, "item"], groups: Int[np.ndarray, "item"] | None) -> list[Fold]:
    """Stratified folds, none with few items; with groups as stratified as these allow, where two classes are left to fit."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    count = FOLDS if groups is None else min(FOLDS, len(np.unique(groups)))
    if few(truth) or count < 2:
        return []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        if groups is None:
            return list(StratifiedKFold(count).split(truth, truth))
        folds = list(StratifiedGroupKFold(count).split(truth, truth, groups))
    return [(train, held_out) for train, held_out in folds if len(held_out) and len(np.unique(truth[train])) > 1]


def _gamma(x: np.ndarray) -> float:
    variance = float(x.var())
    return 1.0 / (x.shape[1] * variance) if variance > 0 else 1.0


def standard(x: Float[np.ndarray, "item dim"]) -> tuple[Float[np.ndarray, "dim"], Float[np.ndarray, "dim"]]:
    """Mean and deviation of every dimension; a constant one has the deviation 1."""
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    constant = deviation <= 1e-9 * np.maximum(np.abs(mean), 1e-30)
    return mean, np.where(constant, 1.0, deviation)


def _squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    squares = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * x @ y.T
    return np.asarray(np.maximum(squares, 0.0))


def _pair_coefficients(dual: np.ndarray, support: np.ndarray) -> np.ndarray:
    """`(support vector, pair)` coefficients of every pair of classes (i < j).

    The library packs them: row j - 1 holds, for vectors of class i, those of the pair (i, j), and row i, for vectors of
    class j, those of the same pair.
    """
    borders = np.concatenate([[0], np.cumsum(support)])
    pairs = np.zeros((dual.shape[1], len(support) * (len(support) - 1) // 2))
    for pair, (i, j) in enumerate(zip(*np.triu_indices(len(support), 1), strict=True)):
        of_i, of_j = slice(borders[i], borders[i + 1]), slice(borders[j], borders[j + 1])
        pairs[of_i, pair] = dual[j - 1, of_i]
        pairs[of_j, pair] = dual[i, of_j]
    return pairs
