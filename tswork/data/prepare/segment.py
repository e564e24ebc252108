"""Recordings cut into segments of one length, the units that are classified.

Segment k of a recording begins k hops after its start; a hop is the length times `1 - overlap`, so a recording of n steps has
`floor((n - length) / hop) + 1` whole segments. What remains is dropped, kept as a shorter segment, or filled up (missing values;
silence in sound). The table column `recording` holds the recording each segment was cut from, so that a split keeps them
together. Everything is one gather by index arithmetic.

Segments may be cut again. With `column: trial` the first cut writes each segment's id, so that a window knows its trial:

    prepare: [{uses: segment, seconds: 10, column: trial}, {uses: segment, seconds: 1, overlap: .5}]
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, model_validator

from tswork.config import Config
from tswork.data.collection import Collection
from tswork.data.prepare.base import Preparation
from tswork.data.prepare.pieces import filled_up, piece_table
from tswork.data.prepare.requirements import not_shorter, positions, rate_of, uncontinued
from tswork.data.selecting import affine_of, leave_out
from tswork.errors import DataInvalid, Problem
from tswork.registry import register
from tswork.wording import counted


class SegmentConfig(Config):
    seconds: float | None = Field(default=None, gt=0, description="length of a segment in seconds")
    steps: int | None = Field(default=None, ge=1, description="length of a segment in time steps")
    overlap: float = Field(default=0.0, ge=0, lt=1, description="share of a segment that the next one repeats")
    rest: Literal["drop", "keep", "pad"] = Field(
        default="drop", description="steps after the last whole segment: unused, a shorter segment, or one filled up"
    )
    short: Literal["refuse", "drop"] = Field(
        default="refuse", description="recordings shorter than a segment, with `rest: drop`"
    )
    column: str | None = Field(
        default=None, min_length=1, description="table column for the segment's id, which pieces of it keep: `trial`"
    )

    @model_validator(mode="after")
    def _one_length(self) -> SegmentConfig:
        if (self.seconds is None) == (self.steps is None):
            raise ValueError("give `seconds` or `steps`")
        return self


@register("preparation", "segment", version=1, config=SegmentConfig)
class Segment(Preparation[SegmentConfig]):
    """Cuts recordings into segments of one length, with or without overlap."""

    def apply(self, collection: Collection) -> Collection:
        uncontinued(collection, "segment")
        length, hop = self._length(collection)
        collection = self._long_enough(collection, length)
        whole = torch.where(collection.lengths >= length, (collection.lengths - length) // hop + 1, 0)
        covered = torch.where(whole > 0, (whole - 1) * hop + length, 0)
        count = whole + ((covered < collection.lengths) & (self.config.rest != "drop"))
        row = torch.repeat_interleave(torch.arange(len(collection)), count)
        number = positions(torch.zeros_like(count), count)
        lengths = torch.clamp(collection.lengths[row] - number * hop, max=length)
        source = positions(collection.offsets[row] + number * hop, lengths)
        cut = collection.replaced(
            values=collection.values[source],
            offsets=torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)]),
            times=collection.times[source] if collection.times is not None else None,
            table=piece_table(collection, row, number, column=self.config.column, step="segment"),
            affine=affine_of(collection, row),
        )
        return (
            filled_up(cut, torch.full_like(cut.lengths, length), step="segment") if self.config.rest == "pad" else cut
        )

    def _length(self, collection: Collection) -> tuple[int, int]:
        """Steps of a segment, and from one to the next."""
        length = self.config.steps
        if length is None:
            assert self.config.seconds is not None
            length = round(self.config.seconds * rate_of(collection, "segment"))
            if length < 1:
                text = f"{self.config.seconds:g} seconds are less than one time step"
                raise DataInvalid([Problem(text, "data.prepare")])
        return length, max(1, round(length * (1 - self.config.overlap)))

    def _long_enough(self, collection: Collection, length: int) -> Collection:
        """The recordings that give a segment; others are refused by name, or left out with a warning."""
        fewest = length if self.config.rest == "drop" else 1
        if self.config.short == "refuse":
            remedy = "Give `rest: keep`, `rest: pad` or `short: drop`." if fewest > 1 else "Give `short: drop`."
            not_shorter(collection, fewest, "segment", remedy)
            return collection
        left = collection.lengths < fewest
        return leave_out(collection, left, step="segment", what=f"recordings shorter than {counted(fewest, 'step')}")
