"""Whole groups into parts: which sequences belong together, and where each such unit goes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float64, Int, Int64
from torch import Tensor

from tswork.data.collection import Collection
from tswork.data.leaks import ORIGIN
from tswork.random import generator

ORDERS = 256
"""Random orders in which units are dealt; the one that comes nearest to the shares is kept."""
FEW = 2000
"""Up to so many units each is dealt by itself; of more, those that are alike are dealt together first."""
WORK = 5_000_000
"""Numbers that all orders together may touch; many units and classes get fewer orders."""


def group_units(collection: Collection, *, columns: Sequence[str] | None = None) -> Int[Tensor, "sequence"]:
    """A number for each sequence: equal where sequences share a value of any of the columns, directly or through others.

    The columns are those named (none: the collection's groups); segments of one recording belong together too. Without any
    group every sequence stands alone.
    """
    chosen = collection.groups if columns is None else columns
    columns = [*chosen, *([ORIGIN] if ORIGIN in collection.table.columns else [])]
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


def assign(
    units: Int[Tensor, "sequence"],
    labels: Int[Tensor, "sequence"],
    shares: Sequence[float],
    *,
    seed: int,
    counts: Sequence[int] | None = None,
) -> Int[Tensor, "sequence"]:
    """A part for each sequence, whole units at a time, so that parts come near their shares of every class.

    A rest beyond the sum of the shares is -1 (unused); with `counts`, parts receive these numbers of units. Every part with a
    share receives a unit while there are enough. Depends on the seed alone.
    """
    _, inverse = torch.unique(units, return_inverse=True)
    unit, kind = inverse.numpy(), np.unique(labels.numpy(), return_inverse=True)[1]
    count = int(unit.max()) + 1 if len(unit) else 0
    share = np.array([*shares, max(0.0, 1.0 - sum(shares))])
    share[share <= 1e-12] = 0.0
    order = torch.randperm(count, generator=generator(seed, "units")).numpy()
    part = _by_kind(unit, kind, share, order) if count > FEW else np.full(count, -1)
    left = order[part[order] < 0]
    if len(left):
        room = np.array([*counts, count - sum(counts)]) if counts is not None else np.full(len(share), count)
        room = np.where(share > 0, room - np.bincount(part[part >= 0], minlength=len(share)), 0)
        part[left] = _dealt(unit, kind, share, part, left, room, seed)
    return torch.from_numpy(np.where(part < len(shares), part, -1)[unit])


def class_labels(collection: Collection, *, stratify: bool) -> Int[Tensor, "sequence"]:
    """The classes whose shares are kept; all alike where there are none, or where nobody asked for it."""
    if collection.label and stratify:
        return collection.codes(collection.label)
    return torch.zeros(len(collection), dtype=torch.int64)


def scaled(fractions: Sequence[float]) -> tuple[float, float]:
    """Two shares of the whole."""
    return fractions[0] / sum(fractions), fractions[1] / sum(fractions)


def _by_kind(
    unit: Int64[np.ndarray, "sequence"],
    kind: Int64[np.ndarray, "sequence"],
    share: Float64[np.ndarray, "part"],
    order: Int64[np.ndarray, "unit"],
) -> Int64[np.ndarray, "unit"]:
    """Units with the same number of sequences of every class are interchangeable: of each such kind, where all parts can have
    some, whole numbers of them go to the parts in random order; -1 is what is left."""
    weights = np.random.default_rng(0).integers(1 << 62, size=int(kind.max()) + 1)
    profile = np.zeros(len(order), np.int64)
    np.add.at(profile, unit, weights[kind])
    _, alike, size = np.unique(profile, return_inverse=True, return_counts=True)
    quota = np.floor(size[:, None] * share + 1e-9).astype(np.int64)
    quota[(quota[:, share > 0] == 0).any(1)] = 0
    by_kind = order[np.argsort(alike[order], kind="stable")]
    rank = np.empty(len(order), np.int64)
    rank[by_kind] = np.arange(len(order)) - np.repeat(size.cumsum() - size, size)
    part = (rank[:, None] >= quota.cumsum(1)[alike]).sum(1)
    return np.where(part < len(share), part, -1)


def _dealt(
    unit: Int64[np.ndarray, "sequence"],
    kind: Int64[np.ndarray, "sequence"],
    share: Float64[np.ndarray, "part"],
    part: Int64[np.ndarray, "unit"],
    left: Int64[np.ndarray, "left"],
    room: Int64[np.ndarray, "part"],
    seed: int,
) -> Int64[np.ndarray, "left"]:
    """Parts for the units that are left, one at a time in random order.

    A unit goes to a random one of the parts that still lack all it brings, the likelier the more a part lacks; where none does,
    to the part that it brings nearest to its targets. Nearness, of a step and of a whole order, is the squared distance of
    each class's number from its target, relative to the target.
    """
    classes = int(kind.max()) + 1
    goal = _with_all(share[:, None] * np.bincount(kind, minlength=classes))
    target = np.maximum(goal, 1e-9)
    placed = part[unit]
    cells = placed[placed >= 0] * classes + kind[placed >= 0]
    lacking = goal - _with_all(np.bincount(cells, minlength=len(share) * classes).reshape(len(share), classes))
    place = np.full(len(part), -1)
    place[left] = np.arange(len(left))
    inside = placed < 0
    profile = np.bincount(place[unit[inside]] * classes + kind[inside], minlength=len(left) * classes)
    profile = _with_all(profile.reshape(len(left), classes).astype(np.float64))
    several = int(np.clip(WORK // (profile.size * len(share)), 1, ORDERS))
    draw = generator(seed, "orders")
    orders = np.stack([torch.randperm(len(left), generator=draw).numpy() for _ in range(several)])
    lots = torch.rand(len(left), several, 1, generator=draw, dtype=torch.float64).numpy()
    rows = np.arange(several)
    lack = np.repeat(lacking[None], several, axis=0)
    free = np.repeat(room[None], several, axis=0)
    empty = np.repeat((np.bincount(part[part >= 0], minlength=len(share)) == 0)[None] & (share > 0), several, axis=0)
    empty[:, -1] = False  # the rest may stay empty
    chosen = np.empty_like(orders)
    for step in range(len(left)):
        added = profile[orders[:, step]][:, None]
        cost = ((added - 2 * lack) * added / target).sum(2)
        cost[free <= 0] = np.inf
        urgent = empty.sum(1) >= len(left) - step
        cost[urgent[:, None] & ~empty] = np.inf
        # Where all fits, parts are drawn by what they lack of these classes; elsewhere the nearest is taken.
        fits = np.isfinite(cost) & ((added <= lack + 1e-9) | (added == 0)).all(2)
        reach = np.where(fits, np.where(added > 0, lack, 0)[..., :-1].sum(2), 0).cumsum(1)
        drawn = (lots[step] * reach[:, -1:] >= reach).sum(1)
        best = np.where(reach[:, -1] > 0, drawn, cost.argmin(1))
        lack[rows, best] -= added[:, 0]
        free[rows, best] -= 1
        empty[rows, best] = False
        chosen[rows, orders[:, step]] = best
    nearest = int(np.where(share[:, None] > 0, lack**2 / target, 0).sum((1, 2)).argmin())
    return np.asarray(chosen[nearest])


def _with_all(counts: Float64[np.ndarray, "row class"] | Int64[np.ndarray, "row class"]) -> np.ndarray:
    """A last column for all classes together, so that sizes count beside classes."""
    return np.concatenate([counts, counts.sum(1, keepdims=True)], axis=1)


def _components(count: int, one: Tensor, other: Tensor) -> Int[Tensor, "node"]:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(one)), (one.numpy(), other.numpy())), shape=(count, count))
    return torch.from_numpy(connected_components(graph, directed=False)[1].astype(np.int64))
