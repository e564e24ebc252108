"""Some sequences of a collection, their way back to original units, and what is said of those that are left out."""

from __future__ import annotations

import warnings

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from tswork.data.collection import Affine, Collection
from tswork.data.faults import some
from tswork.data.locating import named
from tswork.data.prepare.requirements import positions
from tswork.errors import DataInvalid, Problem, TsworkWarning


def only(collection: Collection, rows: Int[Tensor, "chosen"]) -> Collection:
    """A collection of some sequences, in this order."""
    lengths = collection.lengths[rows]
    source = positions(collection.offsets[rows], lengths)
    return collection.replaced(
        values=collection.values[source],
        offsets=torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)]),
        times=collection.times[source] if collection.times is not None else None,
        table=collection.table.iloc[rows.numpy()].reset_index(drop=True),
        affine=affine_of(collection, rows),
    )


def affine_of(collection: Collection, rows: Int[Tensor, "chosen"]) -> Affine | None:
    """The way back to original units of some sequences, or of pieces of them."""
    affine = collection.affine
    if affine is None or len(affine.scale) == 1:
        return affine
    return Affine(affine.scale[rows], affine.offset[rows])


def leave_out(
    collection: Collection, left: Bool[Tensor, "sequence"], *, step: str, what: str, path: str = "data.prepare"
) -> Collection:
    """The collection without some sequences; a warning names them, and the collection's notes keep what it said.

    `what` says in words which sequences these are, `path` where it was asked for. Raises `DataInvalid` when none is left.
    """
    if not bool(left.any()):
        return collection
    rows = torch.nonzero(left).flatten().tolist()
    if len(rows) == len(collection):
        raise DataInvalid([Problem(f"{step!r} leaves nothing: all {len(rows)} {what}", path)])
    kept = only(collection, torch.nonzero(~left).flatten())
    text = f"{step} leaves out {len(rows)} of {len(collection)} {what}: {named(collection, rows)}"
    gone = [f"nothing is left of {column!r} {some(names)}" for column, names in lost_groups(collection, kept).items()]
    text = "; ".join([text, *gone])
    warnings.warn(text, TsworkWarning, stacklevel=3)
    return kept.replaced(notes=(*collection.notes, text))


def lost_groups(before: Collection, after: Collection) -> dict[str, list[str]]:
    """For each group column the values that have no sequence with content any more."""
    lost = {}
    for column in before.groups:
        there = {name for name, size in _sizes(after, column).items() if size}
        gone = [name for name in before.categories(column) if name not in there]
        if gone:
            lost[column] = gone
    return lost


def empty_groups(collection: Collection) -> dict[str, list[str]]:
    """For each group column the values whose sequences are all empty: patients without a trial."""
    return lost_groups(collection, collection)


def _sizes(collection: Collection, column: str) -> dict[str, int]:
    """Time steps of each value of a column."""
    names, codes = collection.categories(column), collection.codes(column)
    known = codes >= 0
    steps = torch.zeros(len(names), dtype=torch.int64).index_add_(0, codes[known], collection.lengths[known])
    return dict(zip(names, steps.tolist(), strict=True))
