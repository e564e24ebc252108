"""How a data set is divided: in time, as published, or by groups."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int
from pydantic import Field
from torch import Tensor

from tswork.config import Config, Many
from tswork.data.collection import Collection, Part, Split
from tswork.data.faults import refuse, some
from tswork.data.grouping import assign, group_units
from tswork.data.leaks import ORIGIN, guard
from tswork.data.locating import named
from tswork.errors import DataInvalid, Problem
from tswork.random import derive

PARTS = ("train", "validation", "test")
ALIASES = {"training": "train", "val": "validation", "valid": "validation", "dev": "validation", "testing": "test"}
"""Other words for the parts in a column `split`."""
SHARES = (0.6, 0.2, 0.2)
"""Shares of a split by groups that names none."""


class SplitSpec(Config):
    """The `split:` block of a data card or pipeline.

    `by: time` cuts every sequence into training, validation and test spans; `official` takes the set's own halves (and
    splits validation off the training half when a fraction for it is given); `groups` divides the distinct values of
    the group columns.
    """

    by: Literal["time", "official", "groups"] = Field(description="what decides where a sequence or time step belongs")
    counts: Many[int] | None = Field(
        default=None, description="time steps (or groups) of training, validation and test"
    )
    fractions: Many[float] | None = Field(
        default=None, description="shares of training, validation and test, summing to at most 1"
    )
    dates: Many[str] | None = Field(
        default=None, description="by time: first date of validation, of test, and the end of test (ISO 8601)"
    )
    folds: int | None = Field(default=None, ge=2, description="by groups: number of folds; each is the test part once")
    repeats: int | None = Field(default=None, ge=1, description="by groups: number of random (Monte-Carlo) splits")
    index: int | None = Field(default=None, ge=0, description="one fold or repeat of the above; none: all, as a sweep")
    stratify: bool = Field(default=True, description="by groups: keep class shares alike in the parts where possible")
    seed: int | None = Field(default=None, ge=0, description="seed of random splits; none: the pipeline's seed")
    allow_leak: str | None = Field(
        default=None, min_length=1, description="reason why shared groups or contents are accepted"
    )


def split_count(spec: SplitSpec) -> int:
    """How many splits a spec stands for: its folds or repeats, else one."""
    if spec.index is not None:
        return 1
    return spec.folds or spec.repeats or 1


def make_splits(collection: Collection, spec: SplitSpec, *, seed: int) -> tuple[Split, ...]:
    """All splits of a spec (one, unless it has folds or repeats), each looked at by the leak guard.

    Random splits depend on (`spec.seed` or `seed`, index) alone. Raises `DataInvalid` when the spec does not fit the data,
    `LeakFound` when parts share something.
    """
    refuse([Problem(message, ".".join(("data.split", *key))) for key, message in split_faults(spec)])
    chosen = spec.seed if spec.seed is not None else seed
    if spec.by == "time":
        splits = [_by_time(collection, spec)]
    elif spec.by == "official":
        splits = [_official(collection, spec, chosen)]
    else:
        indices = [spec.index] if spec.index is not None else range(split_count(spec))
        splits = [by_groups(collection, spec, index=index, seed=chosen) for index in indices]
    # Parts that are cut in time share their sequences, and with them every group, on purpose.
    guarded = () if spec.by == "time" else collection.groups
    return tuple(guard(split, groups=guarded, allow=spec.allow_leak, origins=spec.by != "time") for split in splits)


def split_faults(spec: SplitSpec) -> list[tuple[tuple[str, ...], str]]:
    """What in a spec contradicts itself, whatever the data: the key that is wrong, and what is."""
    faults: list[tuple[tuple[str, ...], str]] = []
    shares = [name for name in ("counts", "fractions", "dates") if getattr(spec, name) is not None]
    several = [name for name in ("folds", "repeats") if getattr(spec, name) is not None]
    if len(shares) > 1:
        faults.append(((), f"give one of {' and '.join(shares)}"))
    if spec.by == "time" and not shares:
        faults.append(((), "a split in time needs counts, fractions or dates"))
    if len(several) > 1:
        faults.append(((), "give folds or repeats, not both"))
    for name in several if spec.by != "groups" else ():
        faults.append(((name,), "goes with `by: groups`"))
    if spec.index is not None and not several:
        faults.append((("index",), "goes with folds or repeats"))
    elif spec.index is not None and spec.index >= getattr(spec, several[0]):
        faults.append((("index",), f"should be below {several[0]} ({getattr(spec, several[0])})"))
    if spec.dates is not None and spec.by != "time":
        faults.append((("dates",), "goes with `by: time`"))
    if spec.counts is not None and (spec.by == "official" or spec.folds):
        faults.append((("counts",), f"does not go with {'folds' if spec.folds else '`by: official`'}"))
    # An official split and folds know their test part; fractions then divide what is not in it.
    wanted = 2 if spec.by == "official" or spec.folds else 3
    parts = "training and validation" if wanted == 2 else "training, validation and test"
    for name in shares:
        given = getattr(spec, name)
        if len(given) != (wanted if name == "fractions" else 3):
            what = (
                "dates: the first of validation, the first of test, the end of test"
                if name == "dates"
                else f"values: {parts}"
            )
            faults.append(((name,), f"should be {wanted if name == 'fractions' else 3} {what}; {len(given)} are given"))
    if spec.fractions is not None and (min(spec.fractions, default=0) < 0 or sum(spec.fractions) > 1 + 1e-9):
        faults.append((("fractions",), "should be shares of at least 0 that sum to at most 1"))
    if spec.counts is not None and min(spec.counts, default=0) < 0:
        faults.append((("counts",), "should not be negative"))
    return [*faults, *_date_faults(spec)]


def _date_faults(spec: SplitSpec) -> list[tuple[tuple[str, ...], str]]:
    if spec.dates is None:
        return []
    stamps = _stamps(spec.dates)
    wrong = [text for text, stamp in zip(spec.dates, stamps, strict=True) if stamp is None]
    if wrong:
        return [(("dates",), f"should be ISO 8601 dates, not {', '.join(map(repr, wrong))}")]
    if any(one >= other for one, other in pairwise(stamps)):
        return [(("dates",), "should rise: first of validation, first of test, end of test")]
    return []


def _stamps(dates: Sequence[str]) -> list[Any]:
    """Nanoseconds since 1970 (in UTC where a date tells its offset), or None for what is no date."""
    read = pd.to_datetime(pd.Series(list(dates)), format="ISO8601", errors="coerce", utc=True)
    values = read.dt.tz_localize(None).to_numpy("datetime64[ns]").astype(np.int64).tolist()
    return [None if missing else value for value, missing in zip(values, read.isna(), strict=True)]


def _by_time(collection: Collection, spec: SplitSpec) -> Split:
    """Every sequence is cut at the same shares of its length, or at the same dates; the rest after test stays unused."""
    lengths = collection.lengths
    if ORIGIN in collection.table.columns and collection.table[ORIGIN].duplicated().any():
        text = "a split in time cuts every sequence, and these are pieces of recordings, which would be in all parts"
        raise DataInvalid([Problem(text, "data.split.by", remedy="Use `by: groups`, or leave out `segment`.")])
    if spec.dates is not None:
        bounds = _date_bounds(collection, spec.dates)
    elif spec.counts is not None:
        bounds = torch.tensor([0, *spec.counts]).cumsum(0).expand(len(collection), 4)
        short = torch.nonzero(lengths < bounds[:, 3]).flatten()
        if len(short):
            needed, found = int(bounds[0, 3]), int(lengths[short].min())
            text = f"{len(short)} sequences are shorter than the {needed} steps of counts (the shortest has {found})"
            raise DataInvalid([Problem(text, "data.split.counts", remedy="Use fractions.")])
    else:
        assert spec.fractions is not None
        shares = torch.tensor([0, *spec.fractions], dtype=torch.float64).cumsum(0)
        bounds = (lengths[:, None] * shares + 1e-6).floor().long()
    rows = torch.arange(len(collection))
    parts = []
    for position, name in enumerate(PARTS):
        spans = torch.stack([rows, bounds[:, position], bounds[:, position + 1]], dim=1)
        spans = spans[spans[:, 2] > spans[:, 1]]
        if not len(spans) and name != "validation":
            raise DataInvalid([Problem(f"the {name} part is empty", "data.split")])
        parts.append(Part(collection, spans))
    return Split(parts[0], parts[1], parts[2], name="time")


def _date_bounds(collection: Collection, dates: tuple[str, ...]) -> Int[Tensor, "sequence 4"]:
    if collection.times is None:
        raise DataInvalid(
            [Problem("the data have no time stamps", "data.split.dates", remedy="Name their column with `time:`.")]
        )
    # Stamps rise inside a sequence, so the number of earlier ones is the place of a date in it.
    columns = [torch.zeros(len(collection), dtype=torch.int64)]
    for stamp in _stamps(dates):
        earlier = torch.cat([torch.zeros(1, dtype=torch.int64), (collection.times < stamp).cumsum(0)])
        columns.append(earlier[collection.offsets[1:]] - earlier[collection.offsets[:-1]])
    return torch.stack(columns, dim=1)


def _official(collection: Collection, spec: SplitSpec, seed: int) -> Split:
    """The set's own halves; a second fraction takes validation out of the training half, stratified and by groups."""
    if "test_start" in collection.table.columns:
        return _continued(collection, spec)
    if "split" not in collection.table.columns:
        raise DataInvalid(
            [Problem("the data have no official split", "data.split.by", remedy="Use `by: groups` or `by: time`.")]
        )
    cells = collection.table["split"]
    words = cells.astype(str).str.strip().str.lower().replace(ALIASES)
    problems = []
    without = np.flatnonzero(cells.isna()).tolist()
    if without:
        problems.append(
            Problem(f"{len(without)} sequences are in no part: {named(collection, without)}", "data.split.by")
        )
    unknown = sorted(set(cells[~words.isin(PARTS) & cells.notna()].astype(str)))
    if unknown:
        text = f"the column 'split' holds {some([repr(one) for one in unknown])}; {', '.join(PARTS)} are known"
        problems.append(Problem(text, "data.split.by"))
    refuse(problems)
    rows = {name: torch.from_numpy(np.flatnonzero(words == name)) for name in PARTS}
    refuse([Problem(f"the {name} part is empty", "data.split.by") for name in ("train", "test") if not len(rows[name])])
    if spec.fractions is not None:
        if len(rows["validation"]):
            text = "the official split has a validation part already"
            raise DataInvalid([Problem(text, "data.split.fractions", remedy="Leave out the fractions.")])
        rows["train"], rows["validation"] = _off_training(collection, rows["train"], spec, seed)
    train, validation, test = (Part.of(collection, rows[name]) for name in ("train", "validation", "test"))
    return Split(train, validation, test, name="official")


def _off_training(collection: Collection, rows: Tensor, spec: SplitSpec, seed: int) -> tuple[Tensor, Tensor]:
    assert spec.fractions is not None
    units = group_units(collection)[rows]
    part_of = assign(units, _labels(collection, spec)[rows], _scaled(spec.fractions), seed=derive(seed, "official"))
    return rows[part_of == 0], rows[part_of == 1]


def _continued(collection: Collection, spec: SplitSpec) -> Split:
    """Series whose published test values go on where the training values end (M4); validation is the end of training."""
    rows = torch.arange(len(collection))
    start = torch.from_numpy(collection.table["test_start"].to_numpy(np.int64).copy())
    share = _scaled(spec.fractions)[0] if spec.fractions is not None else 1.0
    cut = (start * share + 1e-6).floor().long()
    train = torch.stack([rows, torch.zeros_like(rows), cut], dim=1)
    validation = torch.stack([rows, cut, start], dim=1)
    test = torch.stack([rows, start, collection.lengths], dim=1)
    parts = [Part(collection, spans[spans[:, 2] > spans[:, 1]]) for spans in (train, validation, test)]
    return Split(parts[0], parts[1], parts[2], name="official")


def by_groups(collection: Collection, spec: SplitSpec, *, index: int, seed: int) -> Split:
    """One split by groups; sequences that share a value of any group column stay together."""
    units, labels = group_units(collection), _labels(collection, spec)
    count = len(torch.unique(units))
    if spec.folds:
        part_of, name = _fold(units, labels, spec, index, seed, count), f"fold {index + 1} of {spec.folds}"
    else:
        shares = tuple(number / count for number in spec.counts) if spec.counts else spec.fractions or SHARES
        parts = sum(share > 0 for share in shares)
        wanted = sum(spec.counts) if spec.counts else parts
        if wanted > count:
            text = f"{count} groups are fewer than {f'the {wanted} of counts' if spec.counts else f'the {parts} parts'}"
            raise DataInvalid([Problem(text, "data.split", remedy="Give 0 for validation, or use more groups.")])
        part_of = assign(units, labels, shares, seed=derive(seed, "repeat", index), counts=spec.counts)
        name = f"repeat {index + 1} of {spec.repeats}" if spec.repeats else "groups"
    rows = [torch.nonzero(part_of == part).flatten() for part in range(3)]
    empty = [name for name, part in (("training", 0), ("test", 2)) if not len(rows[part])]
    refuse([Problem(f"the {name} part is empty", "data.split") for name in empty])
    if collection.label:
        names, codes = collection.categories(collection.label), collection.codes(collection.label)
        seen = torch.bincount(codes[rows[0]][codes[rows[0]] >= 0], minlength=len(names))
        absent = [names[code] for code in torch.nonzero(seen == 0).flatten().tolist()]
        if absent:
            text = f"classes without training data in {name}: {some(absent)}"
            raise DataInvalid([Problem(text, "data.split", remedy="Use fewer folds or more groups.")])
    train, validation, test = (Part.of(collection, found) for found in rows)
    return Split(train, validation, test, name=name)


def _fold(units: Tensor, labels: Tensor, spec: SplitSpec, index: int, seed: int, count: int) -> Tensor:
    """Every unit is in the test part of one fold; validation is a share of the rest, else the next fold."""
    assert spec.folds is not None
    if count < spec.folds:
        raise DataInvalid([Problem(f"{count} groups are fewer than {spec.folds} folds", "data.split.folds")])
    equal, rest = divmod(count, spec.folds)
    counts = [equal + (fold < rest) for fold in range(spec.folds)]
    fold_of = assign(units, labels, [1 / spec.folds] * spec.folds, seed=derive(seed, "folds"), counts=counts)
    part_of = torch.where(fold_of == index, 2, 0)
    others = torch.nonzero(part_of == 0).flatten()
    if spec.fractions is not None:
        part_of[others] = assign(
            units[others], labels[others], _scaled(spec.fractions), seed=derive(seed, "fold", index)
        )
    elif spec.folds > 2:
        part_of[fold_of == (index + 1) % spec.folds] = 1
    return part_of


def _scaled(fractions: Sequence[float]) -> tuple[float, float]:
    """Two shares of the whole."""
    return fractions[0] / sum(fractions), fractions[1] / sum(fractions)


def _labels(collection: Collection, spec: SplitSpec) -> Int[Tensor, "sequence"]:
    if collection.label and spec.stratify:
        return collection.codes(collection.label)
    return torch.zeros(len(collection), dtype=torch.int64)
