"""What preparations ask of a collection: a rate, regular time stamps, complete values, series that do not go on into a test part."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from tswork.data.collection import Collection
from tswork.data.faults import refuse
from tswork.data.locating import named
from tswork.data.time_steps import SECOND, odd_steps, sequences_at
from tswork.errors import DataInvalid, Problem
from tswork.wording import counted, worded


def rate_of(collection: Collection, step: str) -> float:
    """Samples a second, from the data block or from regular time stamps. Raises `DataInvalid` when neither tells."""
    if collection.rate is not None:
        return collection.rate
    if collection.times is None or len(collection.times) < 2:
        text = f"{step!r} needs to know how many samples a second there are"
        raise DataInvalid([Problem(text, "data.rate", remedy="Give `rate:`, or name time stamps with `time:`.")])
    return SECOND / spacing_of(collection, step)


def spacing_of(collection: Collection, step: str) -> int:
    """Nanoseconds between time stamps. Raises `DataInvalid` when they are not regular, with the sequences' names."""
    usual, odd = odd_steps(collection)
    if len(odd):
        differ = f"{counted(len(odd), 'step differs', 'steps differ')} from the usual {usual / SECOND:g} s"
        where = named(collection, sequences_at(collection, odd))
        raise DataInvalid([Problem(f"{step!r} needs regular time stamps; {differ}, in {where}", "data.time")])
    return usual


def complete(collection: Collection, step: str) -> None:
    """Raises `DataInvalid` with the names of sequences that have missing values."""
    if not collection.values.is_floating_point():
        return
    steps = torch.nonzero(torch.isnan(collection.values).any(1)).flatten()
    if len(steps):
        where = named(collection, sequences_at(collection, steps))
        text = f"{step!r} cannot go over missing values; there are some in {where}"
        raise DataInvalid([Problem(text, "data.missing", remedy="Give `missing: interpolate`.")])


def uncontinued(collection: Collection, step: str) -> None:
    """Raises `DataInvalid` when published test values go on where a series ends, since these would be mixed in."""
    if "test_start" in collection.table.columns:
        text = f"{step!r} would mix the published test values into the series before them"
        raise DataInvalid([Problem(text, "data.prepare", remedy=f"Leave out {step!r}.")])


def not_shorter(collection: Collection, steps: int, step: str, remedy: str) -> None:
    """Raises `DataInvalid` with the names of sequences of fewer steps."""
    short = torch.nonzero(collection.lengths < steps).flatten().tolist()
    text = f"{len(short)} of {counted(len(collection), 'sequence')} {worded(len(short), 'is', 'are')} shorter"
    text = f"{text} than the {counted(steps, 'step')} that {step!r} needs: {named(collection, short)}"
    refuse([Problem(text, "data.prepare", remedy=remedy)] if short else [])


def positions(start: Int[Tensor, "span"], lengths: Int[Tensor, "span"]) -> Int[Tensor, "time"]:
    """The packed steps of spans, one span after another."""
    first = lengths.cumsum(0) - lengths
    return torch.repeat_interleave(start - first, lengths) + torch.arange(int(lengths.sum()))
