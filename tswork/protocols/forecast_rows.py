"""The ridge rows of a forecast table: what each is fitted on, and the fit for all horizons.

The longest horizon is fitted first. A shorter one can use all of its origins and a few more, and its outputs are the
first columns of the longer one's, so that the moments of the fit (and of the validation rows) are carried over: rows are
added, columns are dropped, nothing is computed twice. Scales of the representation share these moments too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from tswork.metrics.ridge import BLOCK, Blocks, Moments, RidgePath, choose_among
from tswork.protocols.forecast_folds import Folds
from tswork.protocols.forecast_samples import Rows, Sample, joined


@dataclass(frozen=True)
class RidgeRow:
    """A row of the table: ridge on past values, on a model's representation, or on both.

    `change` predicts the difference from the present value; `standardise` brings features to unit variance on the
    training origins. Beside past values the representation is multiplied by the best of `scales`, which gives it a penalty
    of its own: the row's penalty over the square of the scale.
    """

    name: str
    role: str
    penalties: tuple[float, ...]
    model: str | None = None
    lags: Literal["none", "raw", "relative"] = "none"
    change: bool = False
    standardise: bool = False
    scales: tuple[float, ...] = (1.0,)

    def features(self, sample: Sample, rows: Rows) -> Float[Tensor, "row dim"]:
        """What the row sees at some origins: past values with covariates, relative past values, representation."""
        parts: list[Tensor] = []
        if self.lags == "raw":
            parts += [sample.lags(rows), sample.covariates(rows)]
        elif self.lags == "relative":
            parts += [sample.lags(rows) - sample.present(rows)[:, None]]
        if self.model is not None:
            parts += [sample.features[self.model][rows]]
        return joined(parts)

    def outputs(self, sample: Sample, rows: Rows, horizon: int) -> Float[Tensor, "row output"]:
        """What the row is to predict."""
        future = sample.future(rows, horizon)
        return future - sample.present(rows).repeat(1, horizon) if self.change else future


@dataclass(frozen=True, eq=False)
class Head:
    """A fitted row of one horizon: `forecast = features @ weights + intercept`, added to the present when `change`."""

    weights: Float[Tensor, "dim output"]
    intercept: Float[Tensor, "output"]
    change: bool
    penalty: float
    scale: float = 1.0

    def forecast(
        self, features: Float[Tensor, "row dim"], present: Float[Tensor, "row target"]
    ) -> Float[Tensor, "row output"]:
        """Values of all steps and targets, step after step."""
        forecast = torch.addmm(self.intercept, features, self.weights)
        return forecast + present.repeat(1, len(self.intercept) // present.shape[1]) if self.change else forecast


Select = Literal["validation", "blocks"]


def fit_horizons(
    row: RidgeRow, train: Sample, validation: Sample, horizons: Sequence[int], *, select: Select = "validation"
) -> Iterator[tuple[int, Head]]:
    """The row's head of every horizon, the longest first, with the scale and penalty that are best on the validation origins.

    With `select="blocks"` with those that are best on the blocks of the training origins, too (`forecast_folds`).
    """
    scaled = _Scaled(row, train)
    width = train.series.width
    longest = max(horizons)
    x_origin = torch.zeros_like(scaled.mean)
    y_origin = row.outputs(train, slice(0, 1), longest).new_zeros(longest * width)
    if not row.change:
        y_origin += train.series.targets.mean(dim=0).repeat(longest)
    fitted, judged = Moments(x_origin, y_origin), Moments(x_origin, y_origin)
    folds = Folds(scaled, train, longest, (x_origin, y_origin)) if select == "blocks" else None
    for horizon in sorted(set(horizons), reverse=True):
        for moments, sample in ((judged, validation), *(((fitted, train),) if folds is None else ())):
            moments.keep(horizon * width)
            for x, y in scaled.blocks(sample, moments.count, sample.count(horizon), horizon)():
                moments.add(x, y)
        if folds is not None:
            fitted = folds.at(horizon)
            chosen, penalty = folds.choose(fitted, judged, horizon, row.scales, row.penalties)
            yield (
                horizon,
                scaled.head(RidgePath(fitted, scaled.weights(row.scales[chosen])), penalty, row.scales[chosen]),
            )
            continue
        paths = [RidgePath(fitted, scaled.weights(scale)) for scale in row.scales]
        blocks = scaled.blocks(validation, 0, validation.count(horizon), horizon)
        chosen, penalty = choose_among(paths, blocks, judged, row.penalties)
        yield horizon, scaled.head(paths[chosen], penalty, row.scales[chosen])


class _Scaled:
    """A row's features about their training mean, and over their training deviation when the row standardises."""

    def __init__(self, row: RidgeRow, train: Sample) -> None:
        self.row = row
        self.own = 0 if row.model is None or row.lags == "none" else train.features[row.model].shape[1]
        """The last features, which are the representation beside past values."""
        total: Tensor | float = 0.0
        for rows in _ranges(0, len(train.origins)):
            total = total + row.features(train, rows).sum(dim=0)
        assert isinstance(total, Tensor)
        self.mean = total / len(train.origins)
        self.scale = torch.ones_like(self.mean)
        if row.standardise:
            squares = torch.zeros_like(self.mean)
            for rows in _ranges(0, len(train.origins)):
                squares += (row.features(train, rows) - self.mean).square().sum(dim=0)
            deviation = (squares / len(train.origins)).sqrt()
            # A constant feature says nothing; dividing by its rounding error would make it noise.
            constant = deviation <= 1e-9 * self.mean.abs().clamp(min=1e-30)
            self.scale = deviation.masked_fill(constant, 1.0)

    def blocks(self, sample: Sample, start: int, stop: int, horizon: int) -> Blocks:
        def pass_over() -> Iterator[tuple[Tensor, Tensor]]:
            for rows in _ranges(start, stop):
                features = (self.row.features(sample, rows) - self.mean) / self.scale
                yield features, self.row.outputs(sample, rows, horizon)

        return pass_over

    def weights(self, scale: float) -> Float[Tensor, "dim"] | None:
        """What features are multiplied by when the representation has this scale; None: nothing changes."""
        if scale == 1 or not self.own:
            return None
        weights = torch.ones_like(self.mean)
        weights[-self.own :] = scale
        return weights

    def head(self, path: RidgePath, penalty: float, scale: float) -> Head:
        weights, intercept = path.coefficients(penalty)
        weights = weights / self.scale[:, None]
        return Head(weights, intercept - self.mean @ weights, self.row.change, penalty, scale)


def _ranges(start: int, stop: int) -> Iterator[slice]:
    return (slice(begin, min(begin + BLOCK, stop)) for begin in range(start, stop, BLOCK))
