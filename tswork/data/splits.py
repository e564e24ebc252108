"""How a data set is divided: in time, as published, or by groups (`tswork.data.group_splits`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from tswork.data.collection import Collection, Part, Split
from tswork.data.faults import refuse, some
from tswork.data.group_splits import by_groups, check_classes
from tswork.data.grouping import assign, class_labels, group_units, scaled
from tswork.data.leaks import CHANNEL, ORIGIN, guard
from tswork.data.locating import named
from tswork.data.part_words import PARTS, parts_by_word
from tswork.data.split_spec import SplitSpec, date_stamps, split_faults
from tswork.errors import DataInvalid, Problem
from tswork.random import derive
from tswork.wording import counted


def make_splits(
    collection: Collection, spec: SplitSpec, *, seed: int, persons: Sequence[str] = ()
) -> tuple[Split, ...]:
    """All splits of a spec (one, unless it has folds or repeats), each looked at by the leak guard.

    Random splits depend on (`spec.seed` or `seed`, index) alone. `persons` are further columns whose values no two parts may
    share, because a method or protocol takes them for persons; the groups of the data count whatever column divides. Raises
    `DataInvalid` when the spec does not fit the data, `LeakFound` when parts share something.
    """
    refuse([Problem(message, ".".join(("data.split", *key))) for key, message in split_faults(spec)])
    chosen = spec.seed if spec.seed is not None else seed
    known = collection.table.columns
    if spec.by == "time":
        splits = [_by_time(collection, spec)]
    elif spec.by == "official":
        splits = [_official(collection, spec, chosen)]
    else:
        splits = list(by_groups(collection, spec, seed if spec.index == "seed" else chosen))
    # Persons are asked for by name, and so are looked at whatever divides.
    guarded = [*_guarded(collection, spec), *(name for name in persons if name in known)]
    alone = spec.ungrouped == "alone"
    return tuple(
        guard(split, groups=guarded, allow=spec.allow_leak, origins=spec.by != "time", alone=alone) for split in splits
    )


def kept_apart(collection: Collection, spec: SplitSpec | None) -> tuple[str, ...]:
    """The groups of which no two parts of a split that is made share a value."""
    return () if spec is None or spec.allow_leak is not None else _guarded(collection, spec)


def _guarded(collection: Collection, spec: SplitSpec) -> tuple[str, ...]:
    """The groups that the guard looks at; parts that are cut in time share their sequences, and with them every group, on purpose."""
    return () if spec.by == "time" else collection.groups


def _by_time(collection: Collection, spec: SplitSpec) -> Split:
    """Every sequence is cut at the same shares of its length, or at the same dates; the rest after test stays unused."""
    lengths = collection.lengths
    # Channels of one recording cover the same time and are cut alike; pieces of it are not.
    origin = [name for name in (ORIGIN, CHANNEL) if name in collection.table.columns]
    if ORIGIN in origin and collection.table.duplicated(origin).any():
        text = "a split in time cuts every sequence, and these are pieces of recordings, which would be in all parts"
        raise DataInvalid([Problem(text, "data.split.by", remedy="Use `by: groups`, or leave out `segment`.")])
    if spec.dates is not None:
        bounds = _date_bounds(collection, spec.dates)
    elif spec.counts is not None:
        bounds = torch.tensor([0, *spec.counts]).cumsum(0).expand(len(collection), 4)
        short = torch.nonzero(lengths < bounds[:, 3]).flatten()
        if len(short):
            needed, found = int(bounds[0, 3]), int(lengths[short].min())
            text = f"{counted(len(short), 'sequence is', 'sequences are')} shorter than the {counted(needed, 'step')} of counts"
            text = f"{text} (the shortest has {found})"
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
    for stamp in date_stamps(dates):
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
    known = parts_by_word(cells.dropna().astype(str).unique())
    words = cells.astype(str).map(known)
    problems = []
    without = np.flatnonzero(cells.isna()).tolist()
    if without:
        problems.append(
            Problem(
                f"{counted(len(without), 'sequence is', 'sequences are')} in no part: {named(collection, without)}",
                "data.split.by",
            )
        )
    unknown = sorted(set(cells[words.isna() & cells.notna()].astype(str)))
    if unknown:
        text = f"the column 'split' holds {some([repr(one) for one in unknown])}; {', '.join(PARTS)} are known"
        problems.append(Problem(text, "data.split.by"))
    refuse(problems)
    rows = {name: torch.from_numpy(np.flatnonzero(words == name)) for name in PARTS}
    refuse([Problem(f"the {name} part is empty", "data.split.by") for name in ("train", "test") if not len(rows[name])])
    check_classes(collection, rows["train"], "the official split", "Leave these classes out, or use `by: groups`.")
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
    part_of = assign(
        units,
        class_labels(collection, stratify=spec.stratify)[rows],
        scaled(spec.fractions),
        seed=derive(seed, "official"),
    )
    return rows[part_of == 0], rows[part_of == 1]


def _continued(collection: Collection, spec: SplitSpec) -> Split:
    """Series whose published test values go on where the training values end (M4); validation is the end of training."""
    rows = torch.arange(len(collection))
    start = torch.from_numpy(collection.table["test_start"].to_numpy(np.int64).copy())
    share = scaled(spec.fractions)[0] if spec.fractions is not None else 1.0
    cut = (start * share + 1e-6).floor().long()
    train = torch.stack([rows, torch.zeros_like(rows), cut], dim=1)
    validation = torch.stack([rows, cut, start], dim=1)
    test = torch.stack([rows, start, collection.lengths], dim=1)
    parts = [Part(collection, spans[spans[:, 2] > spans[:, 1]]) for spans in (train, validation, test)]
    return Split(parts[0], parts[1], parts[2], name="official")
