"""Splits that divide the groups of each label by themselves, so that every label is in every part: `rule: per_label`.

A corpus of language varieties has a few places a region, and in some regions very few. Dealing all places together by shares may
leave a region out of a part. Here each label with n groups gives `max(1, floor(share * n + 1/2))` of them to validation, as many to
test by its share, and the rest to training. Groups are what the group columns tie together (a speaker recorded in two places
makes these one), named after their values, and shuffled by a seed that follows from the label's name: the order of rows does not
matter, and another label more or less leaves every other one as it was. A label with fewer groups than parts cannot be judged:
it loses its label and is in no part, or trains only.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int, Int64
from torch import Tensor

from tswork.data.collection import Collection
from tswork.data.faults import some
from tswork.data.split_spec import SplitSpec
from tswork.errors import DataInvalid, Problem, TsworkWarning
from tswork.random import generator
from tswork.wording import counted

SHARES = (0.8, 0.1, 0.1)
"""Shares of this rule where none are named."""
ROUNDING = 1e-9


def by_label(
    collection: Collection, spec: SplitSpec, units: Int[Tensor, "sequence"], *, columns: Sequence[str], seed: int
) -> tuple[Collection, Int[Tensor, "sequence"]]:
    """The part of each sequence (-1: none), and the collection without the labels that have too few groups.

    `units` tells which sequences stay together, `columns` the group columns that name them. Raises `DataInvalid` without a
    label, where no sequence has one, or where groups have the labels of others.
    """
    if collection.label is None:
        remedy = "Name its column with `label:`."
        raise DataInvalid(
            [Problem("dividing the groups of each label needs a label", "data.split.rule", remedy=remedy)]
        )
    if not collection.classes:
        raise DataInvalid([Problem(f"no sequence has a {collection.label!r}", "data.split.rule")])
    shares = spec.fractions or SHARES
    labels = collection.codes(collection.label).numpy()
    unit = np.unique(units.numpy(), return_inverse=True)[1]
    owner = _owners(collection, unit, labels)
    names = _names(collection, unit, columns)
    part = np.full(len(owner), -1)
    few: list[str] = []
    needed = 1 + sum(share > 0 for share in shares[1:])
    for code, label in enumerate(collection.classes):
        own = np.flatnonzero(owner == code)
        if len(own) < needed:
            few.append(f"{label} ({len(own)})")
            part[own] = 0 if spec.few == "train" else -1
            continue
        part[own] = _dealt([names[one] for one in own.tolist()], shares, label, seed)
    part_of = np.where(labels >= 0, part[unit], -1)
    return _told(collection, part_of, few, needed, spec), torch.from_numpy(part_of)


def _dealt(names: list[str], shares: Sequence[float], label: str, seed: int) -> Int64[np.ndarray, "unit"]:
    """A part for each group of one label: the first ones of a random order are validation, the next test, the rest training."""
    count = len(names)
    held: list[int] = []
    for place, share in enumerate(shares[1:], start=2):
        wanted = max(1, math.floor(share * count + 0.5 + ROUNDING)) if share > 0 else 0
        kept = 1 + sum(later > 0 for later in shares[place:])  # training and each later part needs one
        held.append(min(wanted, count - kept - sum(held)))
    order = np.argsort(np.array(names), kind="stable")
    shuffled = order[torch.randperm(count, generator=generator(seed, "label", label)).numpy()]
    part = np.zeros(count, np.int64)
    part[shuffled[: held[0]]] = 1
    part[shuffled[held[0] : sum(held)]] = 2
    return part


def _owners(
    collection: Collection, unit: Int64[np.ndarray, "sequence"], labels: Int64[np.ndarray, "sequence"]
) -> Int64[np.ndarray, "unit"]:
    """The label that most sequences of each group have (of equal ones the first by name); -1 without a label.

    Raises `DataInvalid` when a label is the most frequent one of no group.
    """
    known = labels >= 0
    counts = np.zeros((int(unit.max()) + 1, len(collection.classes)), np.int64)
    np.add.at(counts, (unit[known], labels[known]), 1)
    owner = np.where(counts.sum(1) > 0, counts.argmax(1), -1)
    homeless = [name for code, name in enumerate(collection.classes) if code not in owner]
    if homeless:
        text = f"groups have several labels, and none has mostly {some(homeless)}"
        remedy = "Leave out `rule: per_label`, which divides the groups of each label by themselves."
        raise DataInvalid([Problem(text, "data.split.rule", remedy=remedy)])
    return owner


def _names(collection: Collection, unit: Int64[np.ndarray, "sequence"], columns: Sequence[str]) -> list[str]:
    """A name for each group that follows from its values alone; a sequence without any has its id."""
    table = collection.table.reset_index(drop=True)
    alone = "id=" + (table["id"] if "id" in table.columns else table.index.to_series()).astype(str)
    texts = pd.Series("", index=table.index, dtype=object)
    for column in columns:
        texts += (f"{column}=" + table[column].astype(str) + "\x1f").where(table[column].notna(), "")
    return [str(name) for name in texts.where(texts != "", alone).groupby(unit).min()]


def _told(
    collection: Collection, part_of: Int64[np.ndarray, "sequence"], few: list[str], needed: int, spec: SplitSpec
) -> Collection:
    """The collection with a note of the labels that have too few groups; what is in no part has no label any more."""
    assert collection.label is not None
    left = torch.from_numpy(part_of < 0) & (collection.codes(collection.label) >= 0)
    if not few:
        return collection
    what = "train only" if spec.few == "train" else "are left out"
    text = f"split: labels with fewer than {counted(needed, 'group')} {what}: {some(few, 20)}"
    warnings.warn(text, TsworkWarning, stacklevel=2)
    noted = collection.replaced(notes=(*collection.notes, text))
    if not bool(left.any()):
        return noted
    cells = collection.table[collection.label].astype(object).where(~pd.Series(left.numpy()))
    return noted.replaced(table=collection.table.assign(**{collection.label: cells}))
