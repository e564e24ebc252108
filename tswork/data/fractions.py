"""A share of the labelled data: the same rows for every method that is compared, and a smaller share inside a larger one."""

from __future__ import annotations

import math
from typing import Literal

import torch

from tswork.data.collection import Part
from tswork.random import generator

By = Literal["segments", "groups"]


def labelled_fraction(
    part: Part, fraction: float, *, by: By, seed: int, group: str | None = None, stratify: bool = False
) -> Part:
    """The part's share of labelled spans, or of groups with all their spans, in the order of the part.

    By segments `int(N * fraction)` spans are taken, by groups `ceil(P * fraction)` groups. Equal seeds give equal spans, and
    those of a smaller fraction are among those of a larger one.
    """
    label = part.collection.label
    assert label is not None
    part = Part(part.collection, part.spans[part.codes(label) >= 0])
    groups = part.codes(group or part.collection.groups[0]) if by == "groups" else torch.arange(len(part))
    names, unit = torch.unique(groups, return_inverse=True)
    rank = torch.argsort(torch.randperm(len(names), generator=generator(seed, "labelled fraction")))[unit]
    if stratify:
        kind = part.codes(label)
        order = torch.argsort(rank, stable=True)
        order = order[torch.argsort(kind[order], stable=True)]
        counts = torch.bincount(kind)
        within = torch.empty_like(rank)
        within[order] = torch.arange(len(part)) - (counts.cumsum(0) - counts)[kind[order]]
        chosen = within < (counts * fraction).ceil()[kind]
    else:
        count = math.ceil(fraction * len(names)) if by == "groups" else int(len(names) * fraction)
        chosen = rank < count
    return Part(part.collection, part.spans[chosen])
