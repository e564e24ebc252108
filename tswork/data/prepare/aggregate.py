"""Intervals of the clock in place of single steps: quarter hours summed to hours, hours averaged to days.

An interval begins at a whole multiple of its length since 1970-01-01 00:00 of the time stamps (hours on the hour, days at
midnight); without time stamps intervals are counted from the first step. `closed` says which of its two ends belongs to it:
`left` where a stamp is the beginning of what it measures, `right` where it is the end. The new stamps are always the intervals'
beginnings, so that quarter hours stamped 00:15, 00:30, 00:45, 01:00 at their ends become the hour 00:00, as in pandas'
`resample("1h", closed="right").sum()`. A sum over a part of an interval would be too small, so incomplete intervals at both ends
are left out (pandas keeps them); a missing value makes its interval missing.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from tswork.config import Config
from tswork.data.backends import as_float
from tswork.data.collection import Affine, Collection
from tswork.data.locating import named
from tswork.data.prepare.base import Preparation
from tswork.data.prepare.requirements import positions, rate_of, spacing_of, uncontinued
from tswork.errors import DataInvalid, Problem
from tswork.registry import register
from tswork.wording import counted


class AggregateConfig(Config):
    seconds: float = Field(gt=0, description="length of an interval in seconds; a whole number of time steps")
    by: Literal["sum", "mean", "min", "max"] = Field(description="what stands for the values of an interval")
    closed: Literal["left", "right"] = Field(
        default="left",
        description="end that belongs to an interval: right where stamps mark the end of what they measure",
    )


@register("preparation", "aggregate", version=1, config=AggregateConfig)
class Aggregate(Preparation[AggregateConfig]):
    """Sums, averages or extremes of whole intervals, such as hours of quarter hours."""

    def apply(self, collection: Collection) -> Collection:
        uncontinued(collection, "aggregate")
        steps = self._steps(collection)
        skipped = self._skipped(collection, steps)
        count = (collection.lengths - skipped).clamp(min=0) // steps
        without = torch.nonzero(count == 0).flatten().tolist()
        if without:
            text = f"{counted(len(without), 'sequence holds', 'sequences hold')} no whole interval of {self.config.seconds:g} s"
            text = f"{text}: {named(collection, without)}"
            raise DataInvalid([Problem(text, "data.prepare", remedy="Choose shorter intervals.")])
        source = positions(collection.offsets[:-1] + skipped, count * steps)
        grouped = as_float(collection.values[source]).reshape(-1, steps, len(collection.channels))
        times = None
        if collection.times is not None:
            first = collection.times[source].reshape(-1, steps)[:, 0] - self._shift
            times = first - first.remainder(self._width)
        return collection.replaced(
            values=self._reduced(grouped),
            offsets=torch.cat([torch.zeros(1, dtype=torch.int64), count.cumsum(0)]),
            times=times,
            rate=None if collection.rate is None else 1 / self.config.seconds,
            affine=self._affine(collection.affine, steps),
        )

    @property
    def _width(self) -> int:
        """Nanoseconds of an interval."""
        return round(self.config.seconds * 1e9)

    @property
    def _shift(self) -> int:
        """A stamp on a border belongs to the interval before it when intervals are closed on the right."""
        return 1 if self.config.closed == "right" else 0

    def _steps(self, collection: Collection) -> int:
        """Time steps of an interval."""
        regular = collection.times is not None and len(collection.times) > 1
        spacing = spacing_of(collection, "aggregate") / 1e9 if regular else 1 / rate_of(collection, "aggregate")
        steps = self.config.seconds / spacing
        whole = round(steps)
        if whole < 1 or abs(steps - whole) > 1e-6 * whole:
            text = f"intervals of {self.config.seconds:g} s are no whole number of time steps of {spacing:g} s"
            raise DataInvalid([Problem(text, "data.prepare", remedy="Choose a multiple of the time step.")])
        return whole

    def _skipped(self, collection: Collection, steps: int) -> Int[Tensor, "sequence"]:
        """Steps before the first whole interval of each sequence."""
        if collection.times is None:
            return torch.zeros_like(collection.lengths)
        first = collection.times[collection.offsets[:-1].clamp(max=len(collection.times) - 1)] - self._shift
        place = first.remainder(self._width) // (self._width // steps)
        return (-place).remainder(steps)

    def _reduced(self, grouped: Float[Tensor, "interval step channel"]) -> Float[Tensor, "interval channel"]:
        if self.config.by == "sum":
            return grouped.sum(dim=1, dtype=torch.float64).to(grouped.dtype)
        if self.config.by == "mean":
            return grouped.mean(dim=1, dtype=torch.float64).to(grouped.dtype)
        return grouped.amin(dim=1) if self.config.by == "min" else grouped.amax(dim=1)

    def _affine(self, affine: Affine | None, steps: int) -> Affine | None:
        """The way back of the new values: a sum adds its steps' offsets up."""
        if affine is None or self.config.by != "sum":
            return affine
        return Affine(affine.scale, affine.offset * steps)
