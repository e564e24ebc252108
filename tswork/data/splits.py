"""How a data set is divided: in time, as published, or by groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Int
from pydantic import Field
from torch import Tensor

from tswork.config import Config, Many
from tswork.data.collection import Collection, Part, Split
from tswork.data.leaks import ORIGIN, guard
from tswork.errors import DataInvalid, Problem
from tswork.random import derive, generator


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
    _check_spec(spec)
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


def _check_spec(spec: SplitSpec) -> None:
    problems = []
    shares = [name for name in ("counts", "fractions", "dates") if getattr(spec, name) is not None]
    several = [name for name in ("folds", "repeats") if getattr(spec, name) is not None]
    if len(shares) > 1:
        problems.append(Problem(f"give one of {' and '.join(shares)}", "data.split"))
    if spec.by == "time" and len(shares) != 1:
        problems.append(Problem("a split in time needs counts, fractions or dates", "data.split"))
    if spec.by != "groups" and several:
        problems.append(Problem(f"{several[0]} go with `by: groups`", f"data.split.{several[0]}"))
    if len(several) > 1:
        problems.append(Problem("give folds or repeats, not both", "data.split"))
    if spec.by == "groups" and not spec.folds and spec.fractions is None and spec.counts is None:
        problems.append(Problem("a split by groups needs fractions, counts or folds", "data.split"))
    if spec.by != "time" and spec.dates is not None:
        problems.append(Problem("dates go with `by: time`", "data.split.dates"))
    for name in ("counts", "fractions", "dates"):
        given = getattr(spec, name)
        if given is not None and len(given) != 3 and not (name == "fractions" and spec.by == "official"):
            problems.append(
                Problem(f"{len(given)} values where training, validation and test are three", f"data.split.{name}")
            )
    if spec.fractions is not None and (min(spec.fractions) < 0 or sum(spec.fractions) > 1 + 1e-9):
        problems.append(Problem("should be shares of at least 0 that sum to at most 1", "data.split.fractions"))
    if spec.counts is not None and min(spec.counts) < 0:
        problems.append(Problem("should not be negative", "data.split.counts"))
    if spec.index is not None and several and spec.index >= getattr(spec, several[0]):
        problems.append(Problem(f"should be below {several[0]} ({getattr(spec, several[0])})", "data.split.index"))
    if problems:
        raise DataInvalid(problems)


def _by_time(collection: Collection, spec: SplitSpec) -> Split:
    """Every sequence is cut at the same shares of its length, or at the same dates; the rest after test stays unused."""
    lengths = collection.lengths
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
        bounds = (lengths[:, None] * shares + 1e-9).floor().long()
    rows = torch.arange(len(collection))
    parts = []
    for position, name in enumerate(("train", "validation", "test")):
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
    try:
        stamps = [np.datetime64(text, "ns").astype(np.int64) for text in dates]
    except ValueError as error:
        raise DataInvalid([Problem(f"should be ISO 8601 dates: {error}", "data.split.dates")]) from error
    if not stamps[0] < stamps[1] < stamps[2]:
        raise DataInvalid([Problem("should rise: first of validation, first of test, end of test", "data.split.dates")])
    wanted = torch.tensor(stamps)
    bounds = []
    for start, stop in zip(collection.offsets[:-1].tolist(), collection.offsets[1:].tolist(), strict=True):
        inside = torch.searchsorted(collection.times[start:stop], wanted)
        bounds.append(torch.cat([torch.zeros(1, dtype=torch.int64), inside]))
    return torch.stack(bounds)


def _official(collection: Collection, spec: SplitSpec, seed: int) -> Split:
    """The set's own halves; a second fraction takes validation out of the training half, stratified and by groups."""
    if "test_start" in collection.table.columns:
        return _continued(collection)
    if "split" not in collection.table.columns:
        raise DataInvalid(
            [Problem("the data have no official split", "data.split.by", remedy="Use `by: groups` or `by: time`.")]
        )
    words = collection.table["split"].astype(str)
    unknown = sorted(set(words) - {"train", "validation", "test"})
    if unknown:
        text = f"the column 'split' holds {unknown}; train, validation and test are known"
        raise DataInvalid([Problem(text, "data.split.by")])
    rows = {name: torch.from_numpy(np.flatnonzero(words == name)) for name in ("train", "validation", "test")}
    missing = [name for name in ("train", "test") if not len(rows[name])]
    if missing:
        raise DataInvalid([Problem(f"the {name} part is empty", "data.split.by") for name in missing])
    if not len(rows["validation"]) and spec.fractions is not None:
        if len(spec.fractions) != 2:
            text = "an official split takes two fractions: the shares of its training half for training and validation"
            raise DataInvalid([Problem(text, "data.split.fractions")])
        rows["train"], rows["validation"] = _off_training(collection, rows["train"], spec, seed)
    train, validation, test = (Part.of(collection, rows[name]) for name in ("train", "validation", "test"))
    return Split(train, validation, test, name="official")


def _off_training(collection: Collection, rows: Tensor, spec: SplitSpec, seed: int) -> tuple[Tensor, Tensor]:
    assert spec.fractions is not None
    units = group_units(collection)[rows]
    shares = (spec.fractions[0] / sum(spec.fractions), spec.fractions[1] / sum(spec.fractions))
    part_of = assign(units, _labels(collection, spec)[rows], shares, seed=derive(seed, "official"))
    return rows[part_of == 0], rows[part_of == 1]


def _continued(collection: Collection) -> Split:
    """Series whose published test values go on where the training values end (M4); there is no validation part."""
    rows = torch.arange(len(collection))
    start = torch.from_numpy(collection.table["test_start"].to_numpy(np.int64).copy())
    train = torch.stack([rows, torch.zeros_like(rows), start], dim=1)
    test = torch.stack([rows, start, collection.lengths], dim=1)
    return Split(Part(collection, train), Part(collection, train[:0]), Part(collection, test), name="official")


def by_groups(collection: Collection, spec: SplitSpec, *, index: int, seed: int) -> Split:
    """One split by groups; sequences that share a value of any group column stay together."""
    units, labels = group_units(collection), _labels(collection, spec)
    count = int(units.max()) + 1 if len(units) else 0
    if spec.folds:
        part_of, name = _fold(units, labels, spec, index, seed, count), f"fold {index + 1} of {spec.folds}"
    else:
        shares = spec.fractions or tuple(number / count for number in spec.counts or ())
        part_of = assign(units, labels, shares, seed=derive(seed, "repeat", index), counts=spec.counts)
        name = f"repeat {index + 1} of {spec.repeats}" if spec.repeats else "groups"
    rows = [torch.nonzero(part_of == part).flatten() for part in range(3)]
    problems = [
        Problem(f"the {name} part is empty: there are {count} groups", "data.split")
        for name, found in zip(("training", "test"), (rows[0], rows[2]), strict=True)
        if not len(found)
    ]
    absent = sorted(set(labels.tolist()) - set(labels[rows[0]].tolist())) if collection.label and not problems else []
    if absent and collection.label:
        names = collection.categories(collection.label)
        listed = ", ".join(names[code] for code in absent)
        problems.append(
            Problem(
                f"classes without training data in {name}: {listed}",
                "data.split",
                remedy="Use fewer folds or more groups.",
            )
        )
    if problems:
        raise DataInvalid(problems)
    train, validation, test = (Part.of(collection, found) for found in rows)
    return Split(train, validation, test, name=name)


def group_units(collection: Collection) -> Int[Tensor, "sequence"]:
    """A number for each sequence: equal where sequences share a value of any group column, directly or through others.

    Segments of one recording belong together too; without any group every sequence stands alone.
    """
    columns = [*collection.groups, *([ORIGIN] if ORIGIN in collection.table.columns else [])]
    units = torch.arange(len(collection))
    if not columns:
        return units
    edges_from, edges_to = [], []
    for column in columns:
        codes = collection.codes(column)
        known = torch.nonzero(codes >= 0).flatten()
        first = torch.full((int(codes.max()) + 1 if len(codes) else 0,), len(collection))
        first = first.scatter_reduce(0, codes[known], known, "amin")
        edges_from.append(known)
        edges_to.append(first[codes[known]])
    return _components(len(collection), torch.cat(edges_from), torch.cat(edges_to))


def _components(count: int, one: Tensor, other: Tensor) -> Int[Tensor, "node"]:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(one)), (one.numpy(), other.numpy())), shape=(count, count))
    return torch.from_numpy(connected_components(graph, directed=False)[1].astype(np.int64))


def assign(
    units: Int[Tensor, "sequence"],
    labels: Int[Tensor, "sequence"],
    shares: Sequence[float],
    *,
    seed: int,
    counts: Sequence[int] | None = None,
) -> Int[Tensor, "sequence"]:
    """A part for each sequence, whole units at a time, so that parts come near their shares and class shares stay alike.

    Units are taken in random order, the largest class profiles first, each into the part that lacks most of its classes. A
    rest beyond the sum of the shares is -1 (unused). With `counts`, parts receive these numbers of units.
    """
    _, units = torch.unique(units, return_inverse=True)
    count = int(units.max()) + 1 if len(units) else 0
    classes = int(labels.max()) + 1 if len(labels) else 1
    profile = torch.zeros(count, classes, dtype=torch.float64)
    profile.index_put_((units, labels), torch.ones(len(units), dtype=torch.float64), accumulate=True)
    order = torch.randperm(count, generator=generator(seed, "units"))
    order = order[torch.argsort(profile[order].sum(1), descending=True, stable=True)]
    rest = max(0.0, 1 - sum(shares))
    wanted = torch.tensor([*shares, rest], dtype=torch.float64)[:, None] * profile.sum(0)
    room = torch.tensor([*counts, count - sum(counts)] if counts else [count] * len(wanted))
    room[torch.tensor([*shares, rest]) <= 1e-12] = 0
    part_of_unit = torch.full((count,), -1)
    for unit in order.tolist():
        # How much of the unit's classes each part still lacks, relative to what it should have.
        lack = ((wanted * (profile[unit] > 0)).sum(1) / wanted.sum(1).clamp(min=1e-12)).masked_fill(
            room <= 0, -torch.inf
        )
        part = int(lack.argmax())
        part_of_unit[unit] = part if part < len(shares) else -1
        wanted[part] -= profile[unit]
        room[part] -= 1
    return part_of_unit[units]


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
        shares = (spec.fractions[0] / sum(spec.fractions[:2]), spec.fractions[1] / sum(spec.fractions[:2]))
        part_of[others] = assign(units[others], labels[others], shares, seed=derive(seed, "fold", index))
    elif spec.folds > 2:
        part_of[fold_of == (index + 1) % spec.folds] = 1
    return part_of


def _labels(collection: Collection, spec: SplitSpec) -> Int[Tensor, "sequence"]:
    if collection.label and spec.stratify:
        return collection.codes(collection.label)
    return torch.zeros(len(collection), dtype=torch.int64)
