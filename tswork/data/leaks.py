"""The leak guard: no group, no content and no step of time may be in two parts of a split."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import torch

from tswork.data.collection import Part, Split
from tswork.errors import LeakFound, Problem

SHOWN = 5
ORIGIN = "recording"
"""Table column that `segment` adds: the sequence a segment was cut from."""


def guard(split: Split, *, groups: Sequence[str], allow: str | None, origins: bool = True) -> Split:
    """The split itself when nothing leaks.

    Raises `LeakFound` with all offenders, unless `allow` gives a reason; then the leaks are written into the split.
    """
    columns = [*groups, *([ORIGIN] if origins and ORIGIN in split.train.collection.table.columns else [])]
    found = [*_shared_groups(split, columns), *_shared_contents(split), *_shared_time(split)]
    if found and allow is None:
        remedy = "Split by these groups, remove the duplicates, or give `split: {allow_leak: REASON}`."
        raise LeakFound([Problem(text, f"split {split.name}", remedy=remedy) for text in found])
    return Split(split.train, split.validation, split.test, tuple(groups), split.name, tuple(found))


def _pairs(split: Split) -> Iterator[tuple[str, Part, str, Part]]:
    for (first, a), (second, b) in combinations(split.parts.items(), 2):
        if len(a) and len(b):
            yield first, a, second, b


def _shared_groups(split: Split, columns: Sequence[str]) -> Iterator[str]:
    for column in dict.fromkeys(columns):
        names = split.train.collection.categories(column)
        for first, a, second, b in _pairs(split):
            both = np.intersect1d(a.codes(column).numpy(), b.codes(column).numpy())
            both = both[both >= 0]
            if len(both):
                yield f"{len(both)} values of {column!r} are in {first} and {second}: {_some([names[code] for code in both])}"


def _shared_contents(split: Split) -> Iterator[str]:
    """Sequences of equal values under two ids; sequences shared on purpose (split in time) are left to `_shared_time`."""
    collection = split.train.collection
    used = torch.unique(torch.cat([part.spans[:, 0] for part in split.parts.values()]))
    digests = {int(index): _digest(collection.sequence(int(index))) for index in used}
    for first, a, second, b in _pairs(split):
        by_digest: dict[bytes, int] = {digests[int(index)]: int(index) for index in a.spans[:, 0]}
        twins = [
            (by_digest[digests[int(index)]], int(index))
            for index in torch.unique(b.spans[:, 0])
            if digests[int(index)] in by_digest and by_digest[digests[int(index)]] != int(index)
        ]
        if twins:
            shown = _some([f"rows {one} and {other}" for one, other in twins])
            yield f"{len(twins)} sequences of {second} have the same content as one of {first}: {shown}"


def _shared_time(split: Split) -> Iterator[str]:
    for first, a, second, b in _pairs(split):
        spans = torch.cat(
            [torch.cat([part.spans, torch.full((len(part), 1), number)], dim=1) for number, part in enumerate((a, b))]
        )
        order = np.lexsort((spans[:, 1].numpy(), spans[:, 0].numpy()))
        spans = spans[torch.from_numpy(order)]
        # Only neighbours of different parts can be the first to overlap; the running stop covers nested spans.
        overlaps = 0
        for part in (0, 1):
            stop = torch.where(spans[:, 3] == part, spans[:, 2], 0)
            reached = _running_maximum(stop, spans[:, 0])
            overlaps += int(((spans[:, 3] != part) & (reached > spans[:, 1])).sum())
        if overlaps:
            yield f"{overlaps} spans of {first} and {second} overlap in time"


def _running_maximum(values: torch.Tensor, sequence: torch.Tensor) -> torch.Tensor:
    """For each row the largest value of the rows before it in the same sequence (rows sorted by sequence)."""
    big = int(values.max()) + 1 if len(values) else 1
    lifted = (values + sequence * big).cummax(0).values - sequence * big
    before = torch.cat([torch.zeros(1, dtype=lifted.dtype), lifted[:-1]])
    same = torch.cat([torch.zeros(1, dtype=torch.bool), sequence[1:] == sequence[:-1]])
    return torch.where(same, before, 0)


def _digest(values: torch.Tensor) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(values.numpy()).data, digest_size=16).digest()


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
