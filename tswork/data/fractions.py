"""A share of the labels of a training part: few segments, or the segments of few groups (patients, speakers).

One seed orders all items once, and a fraction takes the first of them, so 1 % lies inside 10 % inside 100 %. Counts follow
COMET's evaluation: `int(N * fraction)` segments; by groups `ceil(fraction * P)` of them. "1 % of the segments" is few
segments of almost every patient, "1 % of the groups" few patients in full: two different questions.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from tswork.data.collection import Part
from tswork.data.faults import refuse, some
from tswork.data.grouping import group_units
from tswork.errors import DataInvalid, Problem, did_you_mean
from tswork.random import generator
from tswork.wording import counted

ROUNDING = 1e-9
"""0.29 * 100 is 28.999999999999996 in floating point and 29 rows to its user."""


def labelled_fraction(
    part: Part,
    fraction: float,
    *,
    by: Literal["segments", "groups"],
    seed: int,
    group: str | None = None,
    stratify: bool = False,
) -> Part:
    """The spans of a part whose labels may be used, in the part's order; spans without a label count for nothing.

    `by: segments` takes `int(N * fraction)` of N spans, `by: groups` all spans of `ceil(fraction * P)` of P values of `group`
    (none named: of what the collection's groups tie together). With `stratify` classes keep their shares as nearly as the
    count allows, and every class has an item. Depends on the part and the seed alone; the selection of a smaller fraction
    lies inside that of a larger one. Raises `DataInvalid` for a fraction outside (0, 1], a group that is not there, and a
    selection that leaves out a class of the part.
    """
    labels = _labels(part)
    refuse(_faults(part, fraction, by=by, group=group, stratify=stratify))
    rows = np.flatnonzero(labels >= 0)
    units = np.arange(len(rows)) if by == "segments" else np.unique(_units(part, group)[rows], return_inverse=True)[1]
    kinds = np.unique(labels[rows], return_inverse=True)[1]
    count = int(units.max()) + 1 if len(units) else 0
    wanted = math.floor(count * fraction + ROUNDING) if by == "segments" else math.ceil(count * fraction - ROUNDING)
    draw = generator(seed, "labelled fraction", by)
    order = torch.randperm(count, generator=draw).numpy()
    order = _stratified(order, units, kinds) if stratify else order
    chosen = np.isin(units, order[:wanted])
    _check(part, rows, chosen, fraction=fraction, what=f"{wanted} of {count} {by}", stratify=stratify)
    return Part(part.collection, part.spans[torch.from_numpy(rows[chosen])])


def _faults(part: Part, fraction: float, *, by: str, group: str | None, stratify: bool) -> list[Problem]:
    """What in a call does not fit the data, all at once."""
    collection, problems = part.collection, []
    if not 0 < fraction <= 1:
        problems.append(Problem(f"{fraction} is no share: above 0, and at most 1", "fraction"))
    if by == "groups" and group is None and not collection.groups:
        text = "the data name no groups, so there is no share of them"
        problems.append(Problem(text, "group", remedy="Name a column with `groups:`, or take a share by segments."))
    if group is not None and group not in collection.table.columns:
        remedy = did_you_mean(group, map(str, collection.table.columns))
        problems.append(Problem(f"there is no column {group!r}", "group", remedy=remedy))
    if stratify and collection.label is None:
        text = "the data have no label, so there are no classes to keep"
        problems.append(Problem(text, "stratify", remedy="Name the column of the classes with `label:`."))
    return problems


def _labels(part: Part) -> Int64[np.ndarray, "span"]:
    """Class of each span, -1 without one; all alike where the data have no label."""
    if part.collection.label is None:
        return np.zeros(len(part), np.int64)
    return part.codes(part.collection.label).numpy()


def _units(part: Part, group: str | None) -> Int64[np.ndarray, "span"]:
    """A number for each span: equal in one group. A span whose group is not known stands alone with its sequence."""
    if group is None:
        return group_units(part.collection)[part.spans[:, 0]].numpy()
    codes, alone = part.codes(group), part.spans[:, 0] + len(part.collection)
    known: Tensor = torch.where(codes >= 0, codes, alone)
    return known.numpy()


def _stratified(
    order: Int64[np.ndarray, "unit"], units: Int64[np.ndarray, "row"], kinds: Int64[np.ndarray, "row"]
) -> Int64[np.ndarray, "unit"]:
    """The same units in an order of which every beginning holds classes in their shares, and the first few hold them all.

    Units that bring a class no earlier one had come first; the others follow by their place among those of the class they
    hold most of, relative to its number.
    """
    profile = np.zeros((len(order), int(kinds.max()) + 1 if len(kinds) else 0), np.int64)
    np.add.at(profile, (units, kinds), 1)
    first = _first_holders(profile[order] > 0)
    most = profile.argmax(1)[order]
    size = np.bincount(most, minlength=profile.shape[1])
    by_kind = np.lexsort((~first, most))
    rank = np.empty(len(order), np.int64)
    rank[by_kind] = np.arange(len(order)) - np.repeat(size.cumsum() - size, size)
    key = np.where(first, -1.0, (rank + 0.5) / np.maximum(size[most], 1))
    stratified: Int64[np.ndarray, "unit"] = order[np.argsort(key, kind="stable")]
    return stratified


def _first_holders(holds: np.ndarray) -> np.ndarray:
    """Which rows hold a class that no row before them holds."""
    first = np.zeros(len(holds), bool)
    if len(holds):
        first[holds.argmax(0)[holds.any(0)]] = True
    return first


def _check(
    part: Part, rows: Int64[np.ndarray, "row"], chosen: np.ndarray, *, fraction: float, what: str, stratify: bool
) -> None:
    """Raises `DataInvalid` for a selection that is empty or lacks a class of the part."""
    remedy = "Take a larger fraction." if stratify else "Take a larger fraction, or give `stratify: true`."
    if not chosen.any():
        raise DataInvalid([Problem(f"{fraction:g} is {what}", "fraction", remedy="Take a larger fraction.")])
    if part.collection.label is None:
        return
    codes = part.codes(part.collection.label).numpy()[rows]
    names = part.collection.classes
    absent = [names[code] for code in np.setdiff1d(codes, codes[chosen])]
    if absent:
        text = f"{fraction:g} is {what} and leaves out {counted(len(absent), 'class', 'classes')}: {some(absent)}"
        raise DataInvalid([Problem(text, "fraction", remedy=remedy)])
