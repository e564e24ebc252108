"""What may be wrong with labels, with groups (patients) and with the splits that are made of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import torch

from tswork.data.checking_groups import check_absent, check_shared, looks_like_group
from tswork.data.collection import Collection, Part, Split
from tswork.data.consistency import conflicts, near_twins
from tswork.data.faults import some
from tswork.data.findings import Finding
from tswork.data.leaks import repeated
from tswork.data.locating import named
from tswork.data.selecting import empty_groups
from tswork.data.spec import DataSpec
from tswork.data.split_spec import SplitSpec
from tswork.data.splits import kept_apart, make_splits
from tswork.data.time_steps import told_steps
from tswork.errors import InvalidInput, TsworkWarning
from tswork.wording import counted, worded

SHOWN = 5
CLASSES = 30
"""Classes of a part that are counted one by one."""
FEW = 0.2
"""Up to this share of groups with several labels they are taken for slips; above it the label changes inside groups on purpose."""


def check_labels(collection: Collection, split: SplitSpec | None = None) -> list[Finding]:
    """Findings about classes, about the groups of a table, and about what one tells of the other."""
    return [*_groups(collection, split), *check_table(collection, split)]


def check_table(collection: Collection, split: SplitSpec | None = None) -> list[Finding]:
    """The same as far as it does not depend on values."""
    return [
        *_classes(collection),
        *_spelling(collection),
        *_conflicts(collection),
        *_confounding(collection, split),
    ]


def check_splits(collection: Collection, spec: DataSpec) -> Iterator[Finding]:
    """What preparations left out, what the split would be refused for, and how classes and groups lie in its parts."""
    told = told_steps(collection)
    yield from (Finding("prepare", note, fact=True) for note in collection.notes if note != told)
    if spec.split is None:
        return
    try:
        with warnings.catch_warnings():  # what a split leaves out is in the notes of its collection
            warnings.simplefilter("ignore", TsworkWarning)
            splits = make_splits(collection, spec.split, seed=0)
    except InvalidInput as fault:
        for problem in fault.problems:
            yield Finding("split", str(problem), severe=True)
        return
    for note in splits[0].train.collection.notes if splits else ():
        if note not in collection.notes:
            yield Finding("split", note)
    if spec.split.by == "time":
        return
    for split in splits[:SHOWN]:
        yield from check_shared(split, accepted=spec.split.allow_leak is not None)
        yield from check_absent(split)
    if collection.label is None:
        return
    for split in splits:
        yield from _single_class(split)
    for split in splits[:SHOWN]:
        parts = [f"{name} {_contents(part)}" for name, part in split.parts.items() if len(part)]
        yield Finding("split", f"{split.name}: {'; '.join(parts)}", fact=True)
    if len(splits) > SHOWN:
        yield Finding("split", f"and {len(splits) - SHOWN} more", fact=True)


def _single_class(split: Split) -> Iterator[Finding]:
    """A part that cannot be judged, or that early stopping cannot use."""
    for name in ("validation", "test"):
        part = split.parts[name]
        classes = _class_counts(part)
        if len(classes) == 1:
            text = f"the {name} part of {split.name} holds one class only ({next(iter(classes))})"
            yield Finding("split", f"{text}, so no AUROC is defined there")


def _class_counts(part: Part) -> dict[str, int]:
    codes = part.codes(part.label)
    found = torch.bincount(codes[codes >= 0], minlength=len(part.collection.classes)).tolist()
    return {name: count for name, count in zip(part.collection.classes, found, strict=True) if count}


def _contents(part: Part) -> str:
    """Classes of a part by number, and how many values of each group it has."""
    classes = some([f"{count} {name}" for name, count in _class_counts(part).items()], CLASSES)
    groups = [f"{len(torch.unique(part.codes(column)))} {column}" for column in part.collection.groups]
    return f"{classes} (of {', '.join(groups)})" if groups else classes


def _classes(collection: Collection) -> Iterator[Finding]:
    if not collection.label:
        return
    names = collection.categories(collection.label)
    codes = collection.codes(collection.label)
    found = torch.bincount(codes[codes >= 0], minlength=len(names)).tolist()
    rare = [name for name, count in zip(names, found, strict=True) if count < 2]
    if rare:
        yield Finding("classes", f"classes with a single sequence: {', '.join(rare[:SHOWN])}")
    if found and max(found) >= 10 * max(1, min(found)):
        yield Finding(
            "classes",
            f"the largest class has {counted(max(found), 'sequence')}, the smallest {min(found)}; look at balanced accuracy",
        )


def _groups(collection: Collection, split: SplitSpec | None) -> Iterator[Finding]:
    alone = split is not None and split.ungrouped == "alone"
    fate = "each is taken for a group of its own" if alone else "no split takes them without a reason"
    for column in collection.groups:
        without = torch.nonzero(collection.codes(column) < 0).flatten().tolist()
        if without:
            text = f"{counted(len(without), 'sequence has', 'sequences have')} no {column!r}, and {fate}"
            yield Finding("groups", f"{text}: {named(collection, without)}")
    for column, names in empty_groups(collection).items():
        text = f"{counted(len(names), 'value')} of {column!r} {worded(len(names), 'has', 'have')} empty sequences alone"
        yield Finding("groups", f"{text}: {some(names)}", True)


def _spelling(collection: Collection) -> Iterator[Finding]:
    """Ids that may be one person or several."""
    for column in collection.groups:
        pairs = [f"{one} and {other}" for one, other in near_twins(collection, column)]
        if pairs:
            yield Finding("groups", f"ids of {column!r} differ in leading zeros or large letters alone: {some(pairs)}")
    for text in repeated(collection, collection.groups, among=collection.groups):
        yield Finding("groups", text)


def _conflicts(collection: Collection) -> Iterator[Finding]:
    """A few patients with several labels among many with one."""
    for column in collection.groups if collection.label else ():
        found = conflicts(collection, column)
        count = len(collection.categories(column))
        if 0 < len(found) <= FEW * count:
            shown = some([f"{name} ({some(classes)})" for name, classes in found])
            text = f"{len(found)} of {counted(count, 'value')} of {column!r} {worded(len(found), 'has', 'have')} several labels: {shown}"
            yield Finding("labels", f"{text}; where the label is the {column}'s own, give `label_per: {column}`")


def _confounding(collection: Collection, split: SplitSpec | None) -> Iterator[Finding]:
    """A group that knows the label is what a model may learn instead of the label, unless the split keeps its values apart."""
    if not collection.label:
        return
    every = collection.codes(collection.label)
    apart = kept_apart(collection, split)
    for column in (*collection.groups, *looks_like_group(collection)):
        known = (every >= 0) & (collection.codes(column) >= 0)
        labels, groups = every[known], collection.codes(column)[known]
        pairs = torch.unique(torch.stack([groups, labels], dim=1), dim=0)
        count = len(torch.unique(groups))
        if len(pairs) == count and count < len(labels) and column not in apart:
            yield Finding(
                "confounding",
                f"every {column!r} has one label only: split by {column!r}, or the model may learn it instead",
            )
        classes = len(torch.unique(labels))
        if len(pairs) == classes and classes > 1:
            yield Finding(
                "confounding",
                f"there is one {column!r} a class, so no split by {column!r} can judge the label",
                severe=True,
            )
        elif len(pairs) == count:
            single = torch.bincount(pairs[pairs[:, 0] >= 0, 1].clamp(min=0), minlength=len(collection.classes)) == 1
            names = [name for name, alone in zip(collection.classes, single.tolist(), strict=True) if alone]
            if names:
                yield Finding(
                    "confounding",
                    f"{counted(len(names), 'class has', 'classes have')} one {column!r} only: {some(names)}",
                )
