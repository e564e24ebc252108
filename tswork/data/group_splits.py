"""Splits of whole groups: by shares or counts, in folds, in random repeats, one group at a time, or by lists of a paper."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from tswork.data.collection import Collection, Part, Split
from tswork.data.faults import refuse, some
from tswork.data.grouping import assign, class_labels, group_units, scaled
from tswork.data.ids import Ids
from tswork.data.label_splits import by_label
from tswork.data.leaks import repeated
from tswork.data.locating import named
from tswork.data.part_words import PARTS
from tswork.data.split_spec import SplitLists, SplitSpec
from tswork.errors import DataInvalid, Problem, did_you_mean
from tswork.random import derive
from tswork.wording import counted

SHARES = (0.6, 0.2, 0.2)
"""Shares of a split by groups that names none."""
OTHERS = (0.8, 0.2)
"""Shares of training and validation among the groups that are not tested, where each group is tested by itself."""


def by_groups(collection: Collection, spec: SplitSpec, seed: int) -> Iterator[Split]:
    """All splits by groups that are asked for; sequences that share a value of a deciding column stay together."""
    if spec.group is not None and spec.group not in collection.table.columns:
        remedy = did_you_mean(spec.group, map(str, collection.table.columns))
        raise DataInvalid([Problem(f"there is no column {spec.group!r}", "data.split.group", remedy=remedy)])
    if spec.lists is not None:
        yield _split(collection, _listed(collection, spec, spec.lists), "lists")
        return
    units, labels = units_of(collection, spec), class_labels(collection, stratify=spec.stratify)
    count = len(torch.unique(units))
    _check_groups(collection, spec, count)
    # Whatever the pipeline's seed, `index: seed` chooses among the same splits.
    dealt = seed if spec.index != "seed" else spec.seed or 0
    folds = _folds(units, labels, spec, count, dealt) if spec.folds else None
    for index in _indices(spec, count, seed):
        if spec.rule == "per_label":
            columns = collection.groups if spec.group is None else (spec.group,)
            drawn = derive(dealt, "repeat", index) if spec.repeats else dealt
            kept, part_of = by_label(collection, spec, units, columns=columns, seed=drawn)
            yield _split(kept, part_of, _numbered(spec, index))
            continue
        if folds is not None:
            part_of = _fold(folds, index, units, labels, spec, dealt)
            name = f"fold {index + 1} of {int(folds.max()) + 1}"
        else:
            shares = tuple(number / count for number in spec.counts) if spec.counts else spec.fractions or SHARES
            part_of = assign(units, labels, shares, seed=derive(dealt, "repeat", index), counts=spec.counts)
            name = _numbered(spec, index)
        yield _split(collection, part_of, name)


def _numbered(spec: SplitSpec, index: int) -> str:
    """The name of a split that may be one of several repeats."""
    return f"repeat {index + 1} of {spec.repeats}" if spec.repeats else spec.by


def units_of(collection: Collection, spec: SplitSpec) -> Int[Tensor, "sequence"]:
    """A number for each sequence, equal where the split keeps sequences together."""
    if spec.by == "sequences":
        return torch.arange(len(collection))
    return group_units(collection, columns=[spec.group] if spec.group is not None else None)


def _split(collection: Collection, part_of: Tensor, name: str) -> Split:
    rows = [torch.nonzero(part_of == part).flatten() for part in range(len(PARTS))]
    _check_parts(collection, rows, name)
    train, validation, test = (Part.of(collection, found) for found in rows)
    return Split(train, validation, test, name=name)


def _indices(spec: SplitSpec, groups: int, seed: int) -> Sequence[int]:
    """Which of the folds or repeats are made."""
    count = groups if spec.folds == "each" else spec.folds or spec.repeats or 1
    if spec.index is None:
        return range(count)
    index = seed % count if spec.index == "seed" else spec.index
    if index >= count:
        raise DataInvalid([Problem(f"should be below the number of groups ({count})", "data.split.index")])
    return [index]


def _check_groups(collection: Collection, spec: SplitSpec, count: int) -> None:
    """Raises `DataInvalid` when there are fewer groups than are asked for."""
    if spec.folds:
        wanted = 2 if spec.folds == "each" else spec.folds
        what = f"{wanted} folds"
    elif spec.counts:
        wanted, what = sum(spec.counts), f"the {sum(spec.counts)} of counts"
    else:
        wanted = sum(share > 0 for share in spec.fractions or SHARES)
        what = f"the {counted(wanted, 'part')}"
    if count < wanted:
        remedy = "Use fewer folds." if spec.folds else "Give 0 for validation, or use more groups."
        columns = collection.groups if spec.group is None else (spec.group,)
        remedy = " ".join([remedy, *repeated(collection, columns, among=collection.groups)])
        text = f"{counted(count, 'group is', 'groups are')} fewer than {what}"
        raise DataInvalid([Problem(text, "data.split", remedy=remedy)])


def _check_parts(collection: Collection, rows: Sequence[Tensor], name: str) -> None:
    """Raises `DataInvalid` for empty parts and for classes that training does not see."""
    empty = [part for part, found in (("training", rows[0]), ("test", rows[2])) if not len(found)]
    refuse([Problem(f"the {part} part is empty", "data.split") for part in empty])
    check_classes(collection, rows[0], name, "Use fewer folds or more groups.")


def check_classes(collection: Collection, training: Int[Tensor, "row"], name: str, remedy: str) -> None:
    """Raises `DataInvalid` when some classes of the collection are in no sequence of the training part."""
    if collection.label is None:
        return
    names, codes = collection.classes, collection.codes(collection.label)[training]
    seen = torch.bincount(codes[codes >= 0], minlength=len(names))
    absent = [names[code] for code in torch.nonzero(seen == 0).flatten().tolist()]
    if absent:
        raise DataInvalid(
            [Problem(f"classes without training data in {name}: {some(absent)}", "data.split", remedy=remedy)]
        )


def _folds(units: Tensor, labels: Tensor, spec: SplitSpec, count: int, seed: int) -> Int[Tensor, "sequence"]:
    """The fold in which each sequence is tested."""
    if spec.folds == "each":
        each: Tensor = torch.unique(units, return_inverse=True)[1]
        return each
    assert spec.folds is not None
    equal, rest = divmod(count, spec.folds)
    counts = [equal + (fold < rest) for fold in range(spec.folds)]
    return assign(units, labels, [1 / spec.folds] * spec.folds, seed=derive(seed, "folds"), counts=counts)


def _fold(
    folds: Tensor, index: int, units: Tensor, labels: Tensor, spec: SplitSpec, seed: int
) -> Int[Tensor, "sequence"]:
    """Parts of one fold: validation is a share of what is not tested, else the next fold; never what trains."""
    part_of = torch.where(folds == index, 2, 0)
    fractions = spec.fractions if spec.fractions is not None or spec.folds != "each" else OTHERS
    count = int(folds.max()) + 1
    if fractions is not None and count > 2:
        others = torch.nonzero(part_of == 0).flatten()
        part_of[others] = assign(units[others], labels[others], scaled(fractions), seed=derive(seed, "fold", index))
    elif fractions is None and count > 2:
        part_of[folds == (index + 1) % count] = 1
    return part_of


def _listed(collection: Collection, spec: SplitSpec, lists: SplitLists) -> Int[Tensor, "sequence"]:
    """The part of each sequence by the lists; -1 (unused) for values in none of them where training is listed, too."""
    column = spec.group or next(iter(collection.groups), None)
    if column is None:
        text = "lists name values of a group, and the data name no groups"
        remedy = "Name their column with `groups: [patient]` or `split: {group: patient}`."
        raise DataInvalid([Problem(text, "data.split.lists", remedy=remedy)])
    codes = collection.codes(column)
    problems = []
    without = torch.nonzero(codes < 0).flatten().tolist()
    if without:
        text = f"{counted(len(without), 'sequence has', 'sequences have')} no {column!r}, so no list can tell where they belong"
        problems.append(Problem(f"{text}: {named(collection, without)}", "data.split.lists"))
    ids, names = Ids.of(collection, column), collection.categories(column)
    part_of = torch.full((len(names),), -1 if lists.train else 0)
    placed: dict[int, str] = {}
    for part, values in lists.given.items():
        path = f"data.split.lists.{part}"
        found, faults = ids.find(values, path)
        problems += faults
        for value, code in zip(values, found, strict=True):
            if code is None:
                continue
            if code in placed:
                who = "" if str(value) == names[code] else f" ({column!r} {names[code]})"
                problems.append(Problem(f"{value!r}{who} is in {placed[code]} already", path))
            placed.setdefault(code, part)
            part_of[code] = PARTS.index(part)
    refuse(problems)
    listed: Tensor = part_of[codes]
    return listed
