"""What becomes of sequences with missing values and of those with a flat channel: kept, left out, filled, or refused.

A channel is flat in a sequence where it holds one value throughout: an electrode that fell off, a lead that was not recorded. After
`segment` the sequences are segments, so one bad second costs that second alone. What is left out or filled is told in a warning
and stays in `Collection.notes`, which every run records with its data. Channels that are flat everywhere are a matter for
`channels` or `drop_channels`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from jaxtyping import Bool, Int
from pydantic import Field
from torch import Tensor

from tswork.config import Config
from tswork.data.collection import Collection
from tswork.data.faults import each, refuse
from tswork.data.locating import called, named
from tswork.data.missing import interpolated, missing_problems
from tswork.data.prepare.base import Preparation
from tswork.data.selecting import leave_out
from tswork.errors import Problem
from tswork.registry import register
from tswork.wording import counted


class QualityConfig(Config):
    missing: Literal["refuse", "drop", "interpolate"] = Field(
        default="refuse", description="sequences with missing values: refused, left out, or filled inside each sequence"
    )
    flat: Literal["keep", "drop", "refuse"] = Field(
        default="keep", description="sequences in which a channel holds one value throughout"
    )


@register("preparation", "quality", version=1, config=QualityConfig)
class Quality(Preparation[QualityConfig]):
    """Keeps, leaves out, fills or refuses sequences with missing values and with flat channels."""

    def apply(self, collection: Collection) -> Collection:
        problems = missing_problems(collection) if self.config.missing == "refuse" else []
        if self.config.flat == "refuse":
            problems += _flat_problems(collection)
        refuse(problems)
        if self.config.missing == "drop":
            left = missing_counts(collection) > 0
            collection = leave_out(collection, left, step="quality", what="sequences with missing values")
        elif self.config.missing == "interpolate":
            collection = _filled(collection)
        if self.config.flat == "drop":
            left = flat_channels(collection).any(dim=1)
            collection = leave_out(collection, left, step="quality", what="sequences with a flat channel")
        return collection


def missing_counts(collection: Collection) -> Int[Tensor, "sequence"]:
    """How many values each sequence lacks."""
    lacking = torch.zeros(len(collection), dtype=torch.int64)
    if not collection.values.is_floating_point():
        return lacking
    return lacking.index_add_(0, _owner(collection), torch.isnan(collection.values).sum(dim=1))


def flat_channels(collection: Collection) -> Bool[Tensor, "sequence channel"]:
    """Where a channel holds one value through all of a sequence of at least two known steps."""
    values = collection.values if collection.values.is_floating_point() else collection.values.to(torch.int64)
    known = ~torch.isnan(values) if values.is_floating_point() else torch.ones_like(values, dtype=torch.bool)
    owner = _owner(collection)[:, None].expand(values.shape)
    shape = (len(collection), values.shape[1])
    ends = torch.finfo(values.dtype) if values.is_floating_point() else torch.iinfo(values.dtype)
    low = values.new_full(shape, ends.max).scatter_reduce(
        0, owner, values.where(known, values.new_tensor(ends.max)), "amin"
    )
    high = values.new_full(shape, ends.min).scatter_reduce(
        0, owner, values.where(known, values.new_tensor(ends.min)), "amax"
    )
    count = torch.zeros(shape, dtype=torch.int64).index_add_(0, _owner(collection), known.long())
    return (low == high) & (count > 1)


def _owner(collection: Collection) -> Int[Tensor, "time"]:
    """The sequence of each step."""
    return torch.repeat_interleave(torch.arange(len(collection)), collection.lengths)


def _filled(collection: Collection) -> Collection:
    lacking = missing_counts(collection)
    rows = torch.nonzero(lacking).flatten().tolist()
    if not rows:
        return collection
    filled, problems = interpolated(collection)
    refuse(problems)
    text = f"quality fills {counted(int(lacking.sum()), 'missing value')} of {len(rows)} of {counted(len(collection), 'sequence')}"
    return filled.replaced(notes=(*collection.notes, f"{text}: {named(collection, rows)}"))


def _flat_problems(collection: Collection) -> Iterator[Problem]:
    def problem(where: tuple[int, int]) -> Problem:
        row, channel = where
        path = f"{called(collection, row)}, {collection.channels[channel]}"
        return Problem("holds one value throughout", path, remedy="Leave out the channel, or give `flat: drop`.")

    flat = [(row, channel) for row, channel in flat_channels(collection).nonzero().tolist()]
    return each(flat, problem, rest="channels that hold one value throughout a sequence")
