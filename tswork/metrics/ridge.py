"""Multi-output ridge regression: all penalties from one eigendecomposition, and the exact choice among them.

With centred features X and outputs Y, ridge solves `(X'X + penalty I) W = X'Y`. The eigendecomposition X'X = V diag(l) V'
turns that into `W = V diag(1 / (l + penalty)) V'X'Y`, so every further penalty costs one scaling. Nothing but the
moments X'X and X'Y is kept of the rows, so they may arrive in blocks and further rows may be added later.

The penalty of the lowest RMSE + MAE on validation rows is found without predicting with all of them. The RMSE of every
penalty follows from the moments of the validation rows. The MAE is convex in the predictions, so computing it at one
penalty also gives, through its subgradient, a lower bound for all others; penalties are tried in the order of their
bounds until no bound is below the best score (cutting planes). The result is that of the full search.

A block of features can have a penalty of its own: features multiplied by a scale s are penalised by penalty / s^2. Scaled moments
are the scaled rows and columns of the unscaled ones, so that every further choice of scales costs one eigendecomposition and no
pass over the rows; and as the predictions of all scales and penalties lie in one space, one cut bounds them all.

Everything is in float64: at small penalties a float32 Gram matrix of learned features is numerically singular.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

Blocks = Callable[[], Iterable[tuple[Tensor, Tensor]]]
"""Starts a new pass over rows: blocks of features `(row, dim)` and outputs `(row, output)`."""

BLOCK = 512


def in_blocks(x: Float[Tensor, "row dim"], y: Float[Tensor, "row output"], *, size: int = BLOCK) -> Blocks:
    """Blocks of rows that are all at hand."""
    return lambda: ((x[start : start + size], y[start : start + size]) for start in range(0, len(x), size))


class Moments:
    """Sums over rows from which ridge follows: count, sums, X'X, X'Y and squares of Y.

    Features and outputs are taken about fixed origins near their means, so that centring later costs no digits.
    """

    def __init__(self, x_origin: Float[Tensor, "dim"], y_origin: Float[Tensor, "output"]) -> None:
        self.x_origin, self.y_origin = x_origin.double(), y_origin.double()
        self.count = 0
        self.x_sum = torch.zeros_like(self.x_origin)
        self.y_sum = torch.zeros_like(self.y_origin)
        self.y_square = torch.zeros_like(self.y_origin)
        self.gram = self.x_origin.new_zeros(len(x_origin), len(x_origin))
        self.cross = self.x_origin.new_zeros(len(x_origin), len(y_origin))

    def add(self, x: Float[Tensor, "row dim"], y: Float[Tensor, "row output"]) -> None:
        """Count further rows in."""
        x, y = x.double() - self.x_origin, y.double() - self.y_origin
        self.count += len(x)
        self.x_sum += x.sum(dim=0)
        self.y_sum += y.sum(dim=0)
        self.y_square += torch.linalg.vector_norm(y, dim=0).square()
        self.gram.addmm_(x.T, x)
        self.cross.addmm_(x.T, y)

    def keep(self, outputs: int) -> None:
        """Forget all outputs but the first ones."""
        self.y_origin = self.y_origin[:outputs]
        self.y_sum = self.y_sum[:outputs]
        self.y_square = self.y_square[:outputs]
        self.cross = self.cross[:, :outputs].clone()

    def plus(self, *others: Moments) -> Moments:
        """The moments of all these rows together; origins are the same."""
        return self._with(others, 1)

    def minus(self, *others: Moments) -> Moments:
        """The moments of these rows without those, which are among them."""
        return self._with(others, -1)

    def emptied(self) -> Moments:
        """Of no rows, about the same origins."""
        return Moments(self.x_origin, self.y_origin)

    def _with(self, others: Sequence[Moments], sign: int) -> Moments:
        found = self.emptied()
        found.count = self.count + sign * sum(one.count for one in others)
        for name in ("x_sum", "y_sum", "y_square", "gram", "cross"):
            total = getattr(self, name).clone()
            for one in others:
                total.add_(getattr(one, name), alpha=sign)
            setattr(found, name, total)
        return found

    @staticmethod
    def of(blocks: Blocks, x_origin: Float[Tensor, "dim"], y_origin: Float[Tensor, "output"]) -> Moments:
        """The moments of all rows of some blocks."""
        moments = Moments(x_origin, y_origin)
        for x, y in blocks():
            moments.add(x, y)
        return moments


class RidgePath:
    """Ridge with an intercept at every penalty, from the moments of the training rows.

    `RidgePath.fit(x, y).predict(x_new, penalty)` is the least-squares fit with `penalty * ||weights||^2` added; the
    intercept is not penalised. With `scales` it is that of features times their scales (0: left out); coefficients
    stay those of the features as they came. At least one row is needed, and penalties are positive.
    """

    def __init__(self, moments: Moments, scales: Float[Tensor, "dim"] | None = None) -> None:
        mean = moments.x_sum / moments.count
        self.x_mean = moments.x_origin + mean
        self.y_mean = moments.y_origin + moments.y_sum / moments.count
        gram = moments.gram.addr(mean, mean, alpha=-moments.count)
        if scales is not None:
            gram = gram * scales[:, None] * scales
        eigenvalues, basis = torch.linalg.eigh(gram)
        # Directions in the space of the unscaled features: W = (S V) diag(1 / (l + penalty)) (S V)'X'Y.
        self._basis = basis if scales is None else scales[:, None] * basis
        self._eigenvalues = eigenvalues.clamp(min=0)
        self._rotated = self._basis.T @ moments.cross.addr(mean, moments.y_sum, alpha=-1)

    @staticmethod
    def fit(x: Float[Tensor, "row dim"], y: Float[Tensor, "row output"]) -> RidgePath:
        """The path of rows that are all at hand."""
        return RidgePath(Moments.of(in_blocks(x, y), x.double().mean(dim=0), y.double().mean(dim=0)))

    def coefficients(self, penalty: float) -> tuple[Float[Tensor, "dim output"], Float[Tensor, "output"]]:
        """Weights and intercept of one penalty: `prediction = x @ weights + intercept`."""
        weights = (self._basis * self._shrinkage(penalty)) @ self._rotated
        return weights, self.y_mean - self.x_mean @ weights

    def predict(self, x: Float[Tensor, "row dim"], penalty: float) -> Float[Tensor, "row output"]:
        """Predictions with one penalty."""
        weights, intercept = self.coefficients(penalty)
        return torch.addmm(intercept, x.double(), weights)

    def choose(self, x: Float[Tensor, "row dim"], y: Float[Tensor, "row output"], penalties: Sequence[float]) -> float:
        """The penalty of the lowest RMSE + MAE over the given (validation) rows and all outputs."""
        blocks = in_blocks(x, y)
        return self.choose_in_blocks(blocks, Moments.of(blocks, self.x_mean, self.y_mean), penalties)

    def choose_in_blocks(self, blocks: Blocks, moments: Moments, penalties: Sequence[float]) -> float:
        """The same for rows in blocks, whose moments are at hand."""
        return choose_among([self], blocks, moments, penalties)[1]

    def rmse(self, moments: Moments, penalties: Sequence[float]) -> Float[Tensor, "penalty"]:
        """The root mean squared error of every penalty over the rows of some moments and all outputs."""
        return self._rmse(moments, torch.stack([self._shrinkage(penalty) for penalty in penalties]))

    def _shrinkage(self, penalty: float) -> Float[Tensor, "dim"]:
        return torch.reciprocal(self._eigenvalues + penalty)

    def _rmse(self, moments: Moments, shrinkages: Float[Tensor, "penalty dim"]) -> Float[Tensor, "penalty"]:
        """Root of |Y - Z diag(s) C|^2 / n with Z the rotated features and C the rotated cross moments.

        Expanded: |Y|^2 - 2 s'diag(Z'Y C') + s'(Z'Z * CC')s, where Z'Z and Z'Y are rotations of the moments about
        the training means.
        """
        count, x_sum, y_sum = moments.count, moments.x_sum, moments.y_sum
        x_shift, y_shift = moments.x_origin - self.x_mean, moments.y_origin - self.y_mean
        gram = moments.gram.addr(x_sum, x_shift).addr_(x_shift, x_sum + count * x_shift)
        cross = moments.cross.addr(x_sum, y_shift).addr_(x_shift, y_sum + count * y_shift)
        square = moments.y_square.sum() + y_shift @ (2 * y_sum + count * y_shift)
        linear = ((self._basis.T @ cross) * self._rotated).sum(dim=1)
        quadratic = (self._basis.T @ gram @ self._basis) * (self._rotated @ self._rotated.T)
        errors = square - 2 * shrinkages @ linear + ((shrinkages @ quadratic) * shrinkages).sum(dim=1)
        mean: Tensor = errors.clamp(min=0) / (count * len(self.y_mean))
        return mean.sqrt()

    def _mae(self, blocks: Blocks, penalty: float) -> tuple[Float[Tensor, ""], Float[Tensor, "dim output"]]:
        """The mean absolute error at one penalty, and its subgradient with respect to the weights there."""
        weights, intercept = self.coefficients(penalty)
        signs_sum = torch.zeros_like(intercept)
        pulls = torch.zeros_like(weights)
        total, count = intercept.new_zeros(()), 0
        for x, y in blocks():
            x = x.double()
            errors = torch.addmm(intercept - y.double(), x, weights)
            count += errors.numel()
            signs = errors.sign()
            signs_sum += signs.sum(dim=0)
            pulls.addmm_(x.T, signs)
            total += errors.abs_().sum()
        pulls.addr_(self.x_mean, signs_sum, alpha=-1)
        return total / count, pulls.div_(count)

    def _along(self, pulls: Float[Tensor, "dim output"]) -> Float[Tensor, "dim"]:
        """The inner product of `pulls` with the weights, as a function of the shrinkage: `_along(pulls) @ shrinkage`."""
        along: Tensor = ((self._basis.T @ pulls) * self._rotated).sum(dim=1)
        return along


def choose_among(
    paths: Sequence[RidgePath], blocks: Blocks, moments: Moments, penalties: Sequence[float]
) -> tuple[int, float]:
    """Which path and which penalty have the lowest RMSE + MAE over the rows of `blocks`, whose moments are at hand.

    The paths are of the same training rows (scales differ). Of equal scores the first path's first penalty wins.
    """
    shrinkages = [torch.stack([path._shrinkage(penalty) for penalty in penalties]) for path in paths]
    rmse = torch.stack([path._rmse(moments, those) for path, those in zip(paths, shrinkages, strict=True)])
    bounds = rmse
    best, chosen = math.inf, (0, 0)
    while float(bounds.min()) < best:
        path, penalty = divmod(int(bounds.argmin()), len(penalties))
        mae, pulls = paths[path]._mae(blocks, penalties[penalty])
        score = float(rmse[path, penalty] + mae)
        if score < best or (score == best and (path, penalty) < chosen):
            best, chosen = score, (path, penalty)
        # MAE is convex in the weights: it lies above its tangent at these, for the weights of every path.
        heights = torch.stack([those @ one._along(pulls) for one, those in zip(paths, shrinkages, strict=True)])
        bounds = torch.maximum(bounds, rmse + mae + heights - heights[path, penalty])
        bounds[path, penalty] = math.inf
    return chosen[0], penalties[chosen[1]]
