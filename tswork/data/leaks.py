"""The leak guard: no group, no content and no step of time may be in two parts of a split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from tswork.data.collection import Collection, Part, Split
from tswork.data.contents import twins
from tswork.data.faults import some
from tswork.data.ids import written_column
from tswork.data.locating import called, named
from tswork.errors import LeakFound, Problem
from tswork.wording import counted, worded

SHOWN = 5
REMEDY = "Split by these groups, remove the duplicates, or give `split: {allow_leak: REASON}`."
NAME_THEM = "Fill in the empty cells, leave these rows out, or take each for a group with `split: {ungrouped: alone}`."
NO_GROUP = (
    "Fill in the column, leave it out of `groups`, or take each sequence for a group with `split: {ungrouped: alone}`."
)
ORIGIN = "recording"
"""Table column that `segment` and `channels_to_sequences` add: the sequence that a piece or a channel comes from."""
COMMON = 0.5
"""Above this share of values that come again inside others a column is taken for one that counts inside each of them."""
CHANNEL = "channel"
"""Table column that `channels_to_sequences` adds: the channel that became a sequence."""


def guard(
    split: Split, *, groups: Sequence[str], allow: str | None, origins: bool = True, alone: bool = False
) -> Split:
    """The split itself when nothing leaks.

    Sequences whose group nobody wrote down are refused like leaks, since whoever they are of may be in another part, unless each is
    taken for a group of its own (`alone`). Raises `LeakFound` with all offenders, unless `allow` gives a reason; then the leaks are
    written into the split.
    """
    collection = split.train.collection
    columns = [*groups, *([ORIGIN] if origins and ORIGIN in collection.table.columns else [])]
    shared = {text: column for column in dict.fromkeys(columns) for text in _shared_groups(split, column)}
    unknown = {} if alone else dict(one for column in dict.fromkeys(groups) for one in _without_group(split, column))
    found = [*shared, *unknown, *_shared_contents(split), *_shared_time(split)]
    if found and allow is None:
        leaks = {
            text: " ".join([REMEDY, *repeated(collection, [column], among=groups)]) for text, column in shared.items()
        }
        remedies = unknown | leaks
        raise LeakFound([Problem(text, f"split {split.name}", remedy=remedies.get(text, REMEDY)) for text in found])
    return Split(split.train, split.validation, split.test, tuple(dict.fromkeys(groups)), split.name, tuple(found))


def repeated(collection: Collection, columns: Sequence[str], *, among: Sequence[str]) -> list[str]:
    """Advice on columns whose values come again inside those before them: trial 1 of one patient is not trial 1 of another."""
    advice = []
    for column in columns:
        codes = collection.codes(column)
        for other in among[: among.index(column)] if column in among else ():
            pairs = torch.unique(torch.stack([codes, collection.codes(other)], dim=1)[codes >= 0], dim=0)
            several = torch.bincount(pairs[:, 0], minlength=len(collection.categories(column))) > 1
            # Devices shared by a few patients are few; numbers that count inside each patient come again nearly all.
            if len(pairs) and bool(several.double().mean() > COMMON):
                text = (
                    f"The values of {column!r} come again in several of {other!r}: if it counts inside each of these,"
                )
                advice.append(f"{text} leave it out of the groups, since {other!r} keeps them together.")
    return advice


def _pairs(split: Split) -> Iterator[tuple[str, Part, str, Part]]:
    for (first, a), (second, b) in combinations(split.parts.items(), 2):
        if len(a) and len(b):
            yield first, a, second, b


def _shared_groups(split: Split, column: str) -> Iterator[str]:
    """One text for the values that more than one part has."""
    shared = {
        (first, second): both
        for first, a, second, b in _pairs(split)
        if (both := set(a.codes(column).tolist()) & set(b.codes(column).tolist()) - {-1})
    }
    if shared:
        every = sorted(set().union(*shared.values()))
        where = " and ".join(next(iter(shared))) if len(shared) == 1 else f"more than one of {', '.join(split.parts)}"
        text = f"{counted(len(every), 'value')} of {column!r} {worded(len(every), 'is', 'are')} in {where}"
        yield f"{text}: {some(_known_as(split.train.collection, column, every))}"


def _without_group(split: Split, column: str) -> Iterator[tuple[str, str]]:
    """Sequences of the parts whose cell of a group column is empty, and what to do about it."""
    collection = split.train.collection
    used = torch.unique(torch.cat([part.spans[:, 0] for part in split.parts.values()]))
    empty = used[collection.codes(column)[used] < 0]
    if 0 < len(empty) == len(used):
        yield f"no sequence has a {column!r}, so that nobody can tell which belong together", NO_GROUP
    elif len(empty):
        text = f"{counted(len(empty), 'sequence has', 'sequences have')} no {column!r}"
        text = f"{text}, so that nobody can tell whether it is in another part"
        yield f"{text}: {named(collection, empty.tolist())}", NAME_THEM


def _known_as(collection: Collection, column: str, codes: Sequence[int]) -> list[str]:
    """Values by name, with the other ids under which they stand in the data."""
    names, written = collection.categories(column), written_column(collection, column)
    if written == column:
        return [names[code] for code in codes]
    ids, spelled = collection.codes(written), collection.categories(written)
    known = []
    for code in codes[: SHOWN + 1]:
        also = [spelled[one] for one in torch.unique(ids[collection.codes(column) == code]).tolist()]
        also = [name for name in also if name != names[code]]
        known.append(f"{names[code]} (also {some(also)})" if also else names[code])
    return [*known, *(names[code] for code in codes[SHOWN + 1 :])]


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
            text = f"{counted(len(pairs), 'sequence')} of {second} {worded(len(pairs), 'has', 'have')} the same content"
            yield f"{text} as one of {first}: {shown}{more}"


def _shared_time(split: Split) -> Iterator[str]:
    collection = split.train.collection
    for first, a, second, b in _pairs(split):
        overlaps = _overlaps(a.spans, b.spans)
        if len(overlaps):
            rows = torch.unique(overlaps).tolist()
            text = f"{counted(len(overlaps), 'span')} of {first} and {second} {worded(len(overlaps), 'overlaps', 'overlap')} in time"
            yield f"{text}, in {named(collection, rows)}"


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
