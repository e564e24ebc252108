"""Where forecasts start, and what is known there: the past to forecast from and the future to compare with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from tswork.data.collection import Collection, Part

Rows = slice | Int[Tensor, "row"]
"""Which origins: a range or positions."""


@dataclass(frozen=True, eq=False)
class Origins:
    """Forecast starts of a part: the last known step of each forecast.

    Those with the longest future inside their span come first, so that the origins a horizon can use (the whole horizon
    lies inside the span) are a prefix for every horizon.
    """

    sequence: Int[Tensor, "origin"]
    position: Int[Tensor, "origin"]
    """Counted inside the sequence."""
    age: Int[Tensor, "origin"]
    """Steps since the beginning of the span."""
    future: Int[Tensor, "origin"]
    """Steps that follow inside the span."""

    @staticmethod
    def of(part: Part, *, drop: int = 0, least: int = 1) -> Origins:
        """All steps of a part's spans but the first `drop` and those with fewer than `least` steps after them."""
        count = (part.lengths - drop - least).clamp(min=0)
        span = torch.repeat_interleave(torch.arange(len(part)), count)
        first = torch.repeat_interleave(count.cumsum(0) - count, count)
        age = torch.arange(len(span)) - first + drop
        position = part.spans[span, 1] + age
        return Origins(part.spans[span, 0], position, age, part.spans[span, 2] - 1 - position)._longest_first()

    @staticmethod
    def at_the_end(part: Part) -> Origins:
        """The last step of every span, in order: where forecasts of the unknown future start."""
        last = part.spans[:, 2] - 1
        return Origins(part.spans[:, 0], last, last - part.spans[:, 1], torch.zeros_like(last))

    def __len__(self) -> int:
        """Number of origins."""
        return len(self.sequence)

    def count(self, horizon: int) -> int:
        """How many origins, from the first on, have a whole horizon after them."""
        return int((self.future >= horizon).sum())

    def sampled(self, limit: int, generator: torch.Generator) -> Origins:
        """At most `limit` origins, drawn without replacement."""
        if len(self) <= limit:
            return self
        return self._at(torch.randperm(len(self), generator=generator)[:limit])._longest_first()

    def _longest_first(self) -> Origins:
        return self._at(torch.argsort(self.future, descending=True, stable=True))

    def _at(self, rows: Int[Tensor, "row"]) -> Origins:
        return Origins(self.sequence[rows], self.position[rows], self.age[rows], self.future[rows])


class Series:
    """Targets and covariates of a collection in float64 on a device."""

    def __init__(self, collection: Collection, device: torch.device) -> None:
        self.collection = collection
        values = collection.values.to(device, torch.float64)
        self.targets = values[:, list(collection.target_index)].contiguous()
        self.covariates = values[:, list(collection.covariate_index)]
        self.offsets = collection.offsets.to(device)
        affine = collection.affine
        self.scale = self.offset = None
        if affine is not None:
            channels = list(collection.target_index)
            self.scale = affine.scale[:, channels].to(device, torch.float64)
            self.offset = affine.offset[:, channels].to(device, torch.float64)

    @property
    def width(self) -> int:
        """Number of targets."""
        return self.targets.shape[1]


@dataclass(frozen=True, eq=False)
class Sample:
    """The origins of one part with all that a forecast may be built from or compared with.

    `features` holds each model's representation of the window that ends at each origin, `(origin, dim)`.
    """

    origins: Origins
    series: Series
    window: int
    features: Mapping[str, Float[Tensor, "origin dim"]] = field(default_factory=dict)

    def count(self, horizon: int) -> int:
        """Origins that a horizon can use."""
        return self.origins.count(horizon)

    def present(self, rows: Rows) -> Float[Tensor, "row target"]:
        """Target values at the origins."""
        return self.series.targets[self._start(rows) + self.position(rows)]

    def covariates(self, rows: Rows) -> Float[Tensor, "row covariate"]:
        """Covariates at the origins."""
        return self.series.covariates[self._start(rows) + self.position(rows)]

    def lags(self, rows: Rows) -> Float[Tensor, "row window target"]:
        """The last `window` target values up to the origins; before a sequence's beginning its first value stands."""
        back = torch.arange(1 - self.window, 1, device=self.series.targets.device)
        return self.at(rows, (self.position(rows)[:, None] + back).clamp(min=0))

    def at(self, rows: Rows, steps: Int[Tensor, "row step"]) -> Float[Tensor, "row step target"]:
        """Target values at steps counted inside the origins' sequences."""
        return self.series.targets[self._start(rows)[:, None] + steps]

    def future(self, rows: Rows, horizon: int) -> Float[Tensor, "row output"]:
        """The next `horizon` values of all targets, step after step."""
        width = self.series.width
        windows = self.series.targets.view(-1).unfold(0, horizon * width, width)
        return windows[self._start(rows) + self.position(rows) + 1]

    def scale(self, rows: Rows) -> Float[Tensor, "scales target"] | None:
        """Original units a unit of the targets: one row for all origins or one each; None when they are not known."""
        return None if self.series.scale is None else self._of_sequences(self.series.scale, rows)

    def unscaled(self, rows: Rows, values: Float[Tensor, "row output"]) -> Float[Tensor, "row output"]:
        """Forecasts or truths in original units."""
        if self.series.scale is None or self.series.offset is None:
            return values
        scale, offset = (self._of_sequences(table, rows) for table in (self.series.scale, self.series.offset))
        steps = values.view(len(values), -1, self.series.width)
        return (steps * scale[:, None] + offset[:, None]).view(values.shape)

    def _of_sequences(self, table: Float[Tensor, "sequences target"], rows: Rows) -> Float[Tensor, "scales target"]:
        return table if len(table) == 1 else table[self.origins.sequence[rows].to(table.device)]

    def _start(self, rows: Rows) -> Int[Tensor, "row"]:
        offsets = self.series.offsets
        return offsets[self.origins.sequence[rows].to(offsets.device)]

    def position(self, rows: Rows) -> Int[Tensor, "row"]:
        """The origins' steps, counted inside their sequences."""
        return self.origins.position[rows].to(self.series.offsets.device)


def joined(parts: list[Shaped[Tensor, "row ..."]]) -> Float[Tensor, "row dim"]:
    """Feature blocks side by side in float64."""
    flat = [part.reshape(len(part), -1).double() for part in parts]
    return flat[0] if len(flat) == 1 else torch.cat(flat, dim=1)
