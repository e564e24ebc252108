"""The penalty of a ridge row by blocked folds: every block of the training origins is forecast from the others.

Validation months can differ from the years before them, and one penalty that suits them alone is a noisy choice. Here the
training origins are cut into `BLOCKS` blocks in time; each is forecast by a fit on the other blocks, without the origins whose
futures share a step with it, and the validation origins are forecast by a fit on all. What is chosen has the least squared error
over all of these forecasts together.

No fit sees the rows again: the moments of a fit are those of all blocks minus those of the one left out and of its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from tswork.metrics.ridge import Blocks, Moments, RidgePath
from tswork.protocols.forecast_samples import Sample

BLOCKS = 5


@runtime_checkable
class RowsOf(Protocol):
    """Features and outputs of some origins of a sample for a horizon."""

    def blocks(self, sample: Sample, start: int, stop: int, horizon: int) -> Blocks: ...
    def weights(self, scale: float) -> Float[Tensor, "dim"] | None: ...


class Folds:
    """The moments of each block of a row's training origins, from the longest horizon down.

    Origins stand in the order of the steps that follow them inside their span, which is the order of time in every span; so
    blocks are ranges of origins, and those of a shorter horizon are the same with more origins in the last.
    """

    def __init__(self, row: RowsOf, train: Sample, longest: int, origins: tuple[Tensor, Tensor]) -> None:
        self._row, self._train = row, train
        count = train.count(longest)
        self._borders = [count * block // BLOCKS for block in range(BLOCKS)]
        self._moments = [Moments(*origins) for _ in range(BLOCKS)]

    def at(self, horizon: int) -> Moments:
        """Take up all origins of a horizon, which is no longer than the last one; their moments."""
        for moments, (start, stop) in zip(self._moments, self._ranges(horizon), strict=True):
            moments.keep(horizon * self._train.series.width)
            self._add(moments, start + moments.count, stop, horizon)
        return self._moments[0].plus(*self._moments[1:])

    def choose(
        self, every: Moments, validation: Moments, horizon: int, scales: Sequence[float], penalties: Sequence[float]
    ) -> tuple[int, float]:
        """Which scale and which penalty have the least squared error over all folds; `every` is what `at` gave."""
        errors = torch.zeros(len(scales), len(penalties), dtype=torch.float64, device=every.gram.device)
        for fitted, judged in ((every, validation), *self._held_out(every, horizon)):
            for index, scale in enumerate(scales):
                rmse = RidgePath(fitted, self._row.weights(scale)).rmse(judged, penalties)
                errors[index] += judged.count * rmse.square()
        scale, penalty = divmod(int(errors.argmin()), len(penalties))
        return scale, penalties[penalty]

    def _held_out(self, every: Moments, horizon: int) -> Iterator[tuple[Moments, Moments]]:
        """For each block what is fitted without it and its neighbours, and the block; none where nothing would be left."""
        future = self._train.origins.future[: self._train.count(horizon)]
        for moments, (start, stop) in zip(self._moments, self._ranges(horizon), strict=True):
            if start == stop:
                continue
            # Futures overlap where origins of a span are less than a horizon apart; `future` falls from the first origin on.
            before = int((future >= future[start] + horizon).sum())
            after = int((future > future[stop - 1] - horizon).sum())
            near = moments.emptied()
            self._add(near, before, start, horizon)
            self._add(near, stop, after, horizon)
            if every.count - moments.count - near.count > 1:
                yield every.minus(moments, near), moments

    def _ranges(self, horizon: int) -> list[tuple[int, int]]:
        borders = [*self._borders, self._train.count(horizon)]
        return list(pairwise(borders))

    def _add(self, moments: Moments, start: int, stop: int, horizon: int) -> None:
        for x, y in self._row.blocks(self._train, start, stop, horizon)():
            moments.add(x, y)
