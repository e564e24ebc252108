"""The leak guard: no group, no content and no step of time may be in two parts of a split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from tswork.data.collection import Part, Split
from tswork.data.contents import twins
from tswork.data.faults import some
from tswork.data.locating import called, named
from tswork.errors import LeakFound, Problem

SHOWN = 5
ORIGIN = "recording"
"""Table column that `segment` and `channels_to_sequences` add: the sequence that a piece or a channel comes from."""
CHANNEL = "channel"
"""Table column that `channels_to_sequences` adds: the channel that became a sequence."""


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
                yield f"{len(both)} values of {column!r} are in {first} and {second}: {some([names[code] for code in both])}"


def _shared_contents(split: Split) -> Iterator[str]:
    """Equal values under two ids: the same steps of two sequences of one content, in two parts.

    A single series that is cut in time has no twin, and nothing is read.
    """
    collection = split.train.collection
    used = torch.unique(torch.cat([part.spans[:, 0] for part in split.parts.values()]))
    if len(used) < 2:
        return
    content = torch.arange(len(collection))
    content[used] = twins(collection, used)
    if torch.equal(content[used], used):
        return
    for first, a, second, b in _pairs(split):
        shared = torch.unique(_overlaps(_with_content(a, content), _with_content(b, content)))
        rows = [torch.unique(part.spans[:, 0]) for part in (a, b)]
        ours, theirs = (one[torch.isin(content[one], shared)].tolist() for one in rows)
        known: dict[int, list[int]] = {}
        for row in ours:
            known.setdefault(int(content[row]), []).append(row)
        pairs = [
            (next(one for one in known[int(content[row])] if one != row), row)
            for row in theirs
            if known[int(content[row])] != [row]
        ]
        if pairs:
            shown = some([f"{called(collection, one)} and {called(collection, other)}" for one, other in pairs[:SHOWN]])
            more = f" and {len(pairs) - SHOWN} more" if len(pairs) > SHOWN else ""
            yield f"{len(pairs)} sequences of {second} have the same content as one of {first}: {shown}{more}"


def _shared_time(split: Split) -> Iterator[str]:
    collection = split.train.collection
    for first, a, second, b in _pairs(split):
        overlaps = _overlaps(a.spans, b.spans)
        if len(overlaps):
            rows = torch.unique(overlaps).tolist()
            yield f"{len(overlaps)} spans of {first} and {second} overlap in time, in {named(collection, rows)}"


def _with_content(part: Part, content: Int[Tensor, "sequence"]) -> Int[Tensor, "span 3"]:
    """The spans with their sequence's content in its place."""
    return torch.cat([content[part.spans[:, :1]], part.spans[:, 1:]], dim=1)


def _overlaps(a: Int[Tensor, "span 3"], b: Int[Tensor, "other 3"]) -> Int[Tensor, "overlap"]:
    """The sequence of every span that begins before one of the other side, which lies in the same sequence, has ended."""
    spans = torch.cat([torch.cat([one, torch.full((len(one), 1), side)], dim=1) for side, one in enumerate((a, b))])
    spans = spans[torch.from_numpy(np.lexsort((spans[:, 1].numpy(), spans[:, 0].numpy())))]
    found = []
    for side in (0, 1):
        # The furthest stop so far of the one side covers spans that lie inside each other.
        reached = _running_maximum(torch.where(spans[:, 3] == side, spans[:, 2], 0), spans[:, 0])
        found.append(spans[(spans[:, 3] != side) & (reached > spans[:, 1]), 0])
    return torch.cat(found)


def _running_maximum(values: Int[Tensor, "row"], sequence: Int[Tensor, "row"]) -> Int[Tensor, "row"]:
    """For each row the largest value of the rows before it in the same sequence (rows sorted by sequence)."""
    big = int(values.max()) + 1 if len(values) else 1
    lifted = (values + sequence * big).cummax(0).values - sequence * big
    before = torch.cat([torch.zeros(1, dtype=lifted.dtype), lifted[:-1]])
    same = torch.cat([torch.zeros(1, dtype=torch.bool), sequence[1:] == sequence[:-1]])
    return torch.where(same, before, 0)
