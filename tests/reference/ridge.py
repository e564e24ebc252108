"""Plain twins of the ridge path and of the forecasting protocol: one scikit-learn fit a penalty, one window at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from sklearn.linear_model import Ridge

from tswork.data.collection import Collection, Part, Split


def fit_and_choose(
    train: tuple[np.ndarray, np.ndarray], validation: tuple[np.ndarray, np.ndarray], penalties: Sequence[float]
) -> tuple[float, Ridge]:
    """A refit for every penalty; the first of the lowest RMSE + MAE on the validation rows."""
    best: tuple[float, float, Ridge] | None = None
    for penalty in penalties:
        model = Ridge(alpha=penalty).fit(*train)
        residual = model.predict(validation[0]).reshape(validation[1].shape) - validation[1]
        score = float(np.sqrt((residual**2).mean()) + np.abs(residual).mean())
        if best is None or score < best[0]:
            best = (score, penalty, model)
    assert best is not None
    return best[1], best[2]


def forecast_errors(
    split: Split,
    features: Callable[[np.ndarray, np.ndarray, int], np.ndarray],
    *,
    horizon: int,
    drop: int,
    penalties: Sequence[float],
    change: bool,
    standardise_on: int | None,
) -> tuple[float, float, float]:
    """Penalty, MSE and MAE of one row at one horizon.

    `features(targets, covariates, t)` sees a whole sequence and the origin t; `standardise_on` is the horizon whose
    training origins give the features' mean and deviation.
    """
    parts = [
        _pairs(part, features, horizon, drop if part is split.train else 0, change) for part in split.parts.values()
    ]
    if standardise_on is not None:
        everything = _pairs(split.train, features, standardise_on, drop, change)[0]
        mean, scale = everything.mean(axis=0), everything.std(axis=0)
        parts = [((x - mean) / np.where(scale < 1e-12, 1, scale), y) for x, y in parts]
    penalty, model = fit_and_choose(parts[0], parts[1], penalties)
    residual = model.predict(parts[2][0]).reshape(parts[2][1].shape) - parts[2][1]
    return penalty, float((residual**2).mean()), float(np.abs(residual).mean())


def _pairs(
    part: Part, features: Callable[[np.ndarray, np.ndarray, int], np.ndarray], horizon: int, drop: int, change: bool
) -> tuple[np.ndarray, np.ndarray]:
    xs, ys = [], []
    for sequence, start, stop in part.spans.tolist():
        targets, covariates = series_of(part.collection, sequence)
        for t in range(start + drop, stop - horizon):
            xs.append(features(targets, covariates, t))
            future = targets[t + 1 : t + 1 + horizon]
            ys.append((future - targets[t] if change else future).reshape(-1))
    return np.array(xs), np.array(ys)


def series_of(collection: Collection, sequence: int) -> tuple[np.ndarray, np.ndarray]:
    values = collection.sequence(sequence).double().numpy()
    return values[:, list(collection.target_index)], values[:, list(collection.covariate_index)]


def choose_by_blocks(
    split: Split,
    features: Callable[[np.ndarray, np.ndarray, int], np.ndarray],
    *,
    horizon: int,
    longest: int,
    drop: int,
    penalties: Sequence[float],
    blocks: int,
) -> float:
    """A refit for every penalty and every block of the training origins, and one for the validation origins.

    A block is forecast from the origins whose future shares no step with that of one of its origins.
    """
    rows = []
    for sequence, start, stop in split.train.spans.tolist():
        targets, covariates = series_of(split.train.collection, sequence)
        for t in range(start + drop, stop - horizon):
            rows.append(
                (stop - 1 - t, sequence, features(targets, covariates, t), targets[t + 1 : t + 1 + horizon].reshape(-1))
            )
    rows.sort(key=lambda row: -row[0])
    count = sum(row[0] >= longest for row in rows)
    borders = [*(count * block // blocks for block in range(blocks)), len(rows)]
    future, x, y = (
        np.array([row[0] for row in rows]),
        np.array([row[2] for row in rows]),
        np.array([row[3] for row in rows]),
    )
    folds = [((x, y), _pairs(split.validation, features, horizon, 0, False))]
    for start, stop in pairwise(borders):
        inside = np.arange(len(rows))[start:stop]
        apart = np.array([all(abs(one - other) >= horizon for other in future[inside]) for one in future])
        apart[inside] = False
        folds.append(((x[apart], y[apart]), (x[inside], y[inside])))
    folds = [fold for fold in folds if len(fold[0][0]) > 1]
    errors = [
        sum(
            float(
                ((Ridge(alpha=penalty).fit(*fitted).predict(judged[0]).reshape(judged[1].shape) - judged[1]) ** 2).sum()
            )
            for fitted, judged in folds
        )
        for penalty in penalties
    ]
    return penalties[int(np.argmin(errors))]
