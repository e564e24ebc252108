"""What a collection holds, in numbers a person can read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import torch

from tswork.data.collection import Collection
from tswork.wording import counted

SHOWN = 20


def describe(collection: Collection) -> dict[str, Any]:
    """Sequences, channels, rate, lengths, missing values, class balance, groups and digest."""
    lengths = collection.lengths
    facts: dict[str, Any] = {
        "sequences": len(collection),
        "time steps": len(collection.values),
        "channels": list(collection.channels),
    }
    if collection.targets:
        facts["targets"] = list(collection.targets)
    if collection.rate:
        facts["rate"] = collection.rate
    if len(collection):
        middle = int(lengths.float().median())
        facts["lengths"] = {"shortest": int(lengths.min()), "median": middle, "longest": int(lengths.max())}
        if collection.rate:
            facts["duration"] = duration(collection)
    if collection.values.is_floating_point():
        missing = torch.isnan(collection.values)
        facts["missing values"] = int(missing.sum())
    if collection.label:
        facts["classes"] = counts(collection, collection.label)
    for column in collection.groups:
        facts[f"group {column}"] = counted(len(collection.categories(column)), "value")
    if "split" in collection.table.columns:
        facts["official split"] = counts(collection, "split")
    facts["digest"] = collection.digest
    return facts


def duration(collection: Collection) -> dict[str, str]:
    """How long a collection with a rate lasts, and its sequences."""
    assert collection.rate
    seconds = collection.lengths.double() / collection.rate
    each = {"shortest": seconds.min(), "median": seconds.median(), "longest": seconds.max()}
    total = timedelta(seconds=round(len(collection.values) / collection.rate))
    return {"total": str(total), **{name: f"{float(value):.4g} s" for name, value in each.items()}}


def counts(collection: Collection, column: str) -> dict[str, int]:
    """How many sequences have each value of a column; the rarest are summed up after `SHOWN`."""
    names = collection.categories(column)
    codes = collection.codes(column)
    found = torch.bincount(codes[codes >= 0], minlength=len(names)).tolist()
    ordered = sorted(zip(names, found, strict=True), key=lambda pair: -pair[1])
    shown = dict(ordered[:SHOWN])
    if len(ordered) > SHOWN:
        shown[f"{len(ordered) - SHOWN} more"] = sum(count for _, count in ordered[SHOWN:])
    return shown
