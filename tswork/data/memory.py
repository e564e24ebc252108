"""A rehearsal memory: samples of earlier tasks as a table that can be looked at, saved and loaded.

A row is a span of the collection, with its class, the task it was taken in, and its rank among those of its class, the most
telling first: a class gives up its last ones when its share shrinks, or when it comes again in a later task, whose samples then
share its place with those of earlier ones, rank by rank. Values are not copied. How many a class may have is a
quota: `size // classes`, of all classes there will be (`fixed`) or of those seen so far (`growing`), so that a memory is never
larger than its size. A reservoir (Vitter, "Random Sampling with a Reservoir", 1985) knows no classes: every sample that was ever
offered is in it with the same probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tswork.data.collection import Collection, Part
from tswork.data.exemplars import Selection, exemplars
from tswork.errors import DataInvalid, Problem
from tswork.random import generator
from tswork.wording import counted, worded

Growth = Literal["fixed", "growing"]


@dataclass(frozen=True, eq=False)
class Memory:
    """Samples that are kept, one row each. Immutable: every change gives a new one."""

    collection: Collection
    column: str
    """The table's column of classes."""
    spans: Int[Tensor, "kept 3"]
    task: Int[Tensor, "kept"]
    rank: Int[Tensor, "kept"]
    seen: int = 0
    """Samples it was ever offered."""

    @staticmethod
    def empty(collection: Collection, column: str) -> Memory:
        """Nothing yet."""
        none = torch.zeros(0, dtype=torch.int64)
        return Memory(collection, column, none.view(0, 3), none, none)

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.spans)

    @property
    def part(self) -> Part:
        """Its samples as a part."""
        return Part(self.collection, self.spans)

    @property
    def codes(self) -> Int[Tensor, "kept"]:
        """The class of each sample, as the collection counts them."""
        return self.part.codes(self.column)

    @property
    def table(self) -> pd.DataFrame:
        """Columns sequence, start, stop, class (as text), task, rank."""
        names = np.array([*self.collection.categories(self.column), ""], dtype=object)
        columns = dict(zip(("sequence", "start", "stop"), self.spans.T.numpy(), strict=True))
        return pd.DataFrame(
            {**columns, "class": names[self.codes.numpy()], "task": self.task.numpy(), "rank": self.rank.numpy()}
        )

    @property
    def bytes(self) -> int:
        """Size of the values that its samples stand for, as the collection holds them."""
        values = self.collection.values
        return int(self.part.lengths.sum()) * values.shape[1] * values.element_size()

    def extended(
        self,
        part: Part,
        *,
        task: int,
        quota: int,
        selection: Selection,
        seed: int,
        features: Float[Tensor, "span dim"] | None = None,
    ) -> Memory:
        """With the exemplars of a task's part, every class cut to `quota` samples.

        `features` are those of the part's spans, which all selections but `random` look at. Depends on the part, the seed and the
        task alone. Raises `DataInvalid` when the part holds samples that are in the memory already.
        """
        self._check_new(part)
        chosen = self._exemplars(part, task, quota, selection, seed, features)
        together = replace(
            self,
            spans=torch.cat([self.spans, part.spans[chosen]]),
            task=torch.cat([self.task, torch.full_like(chosen, task)]),
            rank=torch.cat([self.rank, _counted(part.codes(self.column)[chosen])]),
            seen=self.seen + len(part),
        )
        return together._cut(quota)

    def sampled(self, part: Part, *, task: int, size: int, seed: int) -> Memory:
        """A reservoir of `size` samples after a task's part went by, in random order. Raises as `extended` does."""
        self._check_new(part)
        draw = generator(seed, "reservoir", task)
        order = torch.randperm(len(part), generator=draw)
        placed = reservoir_places(len(part), size=size, seen=self.seen, generator=draw)
        room, new = max(0, len(placed) - len(self)), placed >= 0
        kept = torch.cat([self.spans, self.spans.new_zeros(room, 3)])[: len(placed)]
        of_task = torch.cat([self.task, self.task.new_zeros(room)])[: len(placed)]
        offered = part.spans[order[placed[new]]]
        spans = kept.index_put((torch.nonzero(new).flatten(),), offered)
        return replace(
            self,
            spans=spans,
            task=torch.where(new, task, of_task),
            rank=torch.arange(len(spans)),
            seen=self.seen + len(part),
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything but the collection, as a checkpoint takes it."""
        return {"spans": self.spans, "task": self.task, "rank": self.rank, "seen": self.seen}

    def restored(self, state: dict[str, Any]) -> Memory:
        """The memory that `state_dict` was taken of."""
        return replace(self, **state)

    def _exemplars(
        self, part: Part, task: int, quota: int, selection: Selection, seed: int, features: Tensor | None
    ) -> Int[Tensor, "chosen"]:
        """Spans of a part, those of each class in the order of their ranks."""
        if features is None and selection != "random":
            raise ValueError(f"the selection {selection!r} needs features")
        looked_at = torch.zeros(len(part), 1) if features is None else features
        codes, names = part.codes(self.column), self.collection.categories(self.column)
        chosen = [torch.zeros(0, dtype=torch.int64)]
        for code in torch.unique(codes[codes >= 0]).tolist():
            rows = torch.nonzero(codes == code).flatten()
            draw = generator(seed, "exemplars", task, names[code])
            chosen.append(rows[exemplars(looked_at[rows], quota, selection=selection, generator=draw)])
        return torch.cat(chosen)

    def _cut(self, quota: int) -> Memory:
        """The first `quota` samples of each class by their ranks, of equal ones those that were there before."""
        order = self.rank.argsort(stable=True)
        rank = torch.empty_like(self.rank)
        rank[order] = _counted(self.codes[order])
        kept = rank < quota
        return replace(self, spans=self.spans[kept], task=self.task[kept], rank=rank[kept])

    def _check_new(self, part: Part) -> None:
        if part.collection is not self.collection and part.collection.digest != self.collection.digest:
            raise DataInvalid([Problem("the memory is of another collection", path="memory")])
        known = set(map(tuple, self.spans.tolist()))
        again = sum(tuple(span) in known for span in part.spans.tolist())
        if again:
            message = f"{counted(again, 'sample')} of the task {worded(again, 'is', 'are')} in the memory already"
            raise DataInvalid([Problem(message, path="memory", remedy="Fill it from the task's own samples alone.")])


def _counted(codes: Int[Tensor, "row"]) -> Int[Tensor, "row"]:
    """How many rows with its code stand before each row."""
    found = pd.Series(codes.numpy()).groupby(codes.numpy()).cumcount()
    return torch.from_numpy(found.to_numpy(copy=True))


def contents(memories: Sequence[Memory]) -> pd.DataFrame:
    """What was in a memory after each task, to be looked at.

    The columns of `Memory.table` behind `after`, and `id` where the collection has one; tasks count from 1.
    """
    frames = []
    for after, memory in enumerate(memories, start=1):
        frame, samples = memory.table, memory.part.table
        frame.insert(0, "after", after)
        frame["task"] += 1
        if "id" in samples:
            frame["id"] = samples["id"]
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def class_quota(size: int, *, growth: Growth, classes: int, seen: int) -> int:
    """Samples a class may have: a share of the memory among all classes, or among those seen so far; 0 of no memory.

    Raises `DataInvalid` for a memory that is smaller than the number of classes there will be.

    >>> class_quota(930, growth="fixed", classes=31, seen=4), class_quota(10, growth="growing", classes=5, seen=3)
    (30, 3)
    """
    if 0 < size < classes:
        message = f"a memory of {counted(size, 'sample')} is smaller than the {counted(classes, 'class', 'classes')}"
        raise DataInvalid(
            [Problem(message, path="memory", remedy=f"Keep at least {counted(classes, 'sample')}, or none.")]
        )
    return size // max(1, classes if growth == "fixed" else seen)


def reservoir_places(stream: int, *, size: int, seen: int, generator: torch.Generator) -> Int[Tensor, "place"]:
    """Which sample of a stream is in each place of a reservoir after it went by; -1: what was there before.

    `seen` samples went by earlier. The first fill the places; the i-th after that takes place j, drawn from 0..i, if there is one.
    """
    number = np.arange(seen, seen + stream)
    share = torch.rand(stream, generator=generator, dtype=torch.float64).numpy()
    place = np.where(number < size, number, np.floor(share * (number + 1)).astype(np.int64))
    there = place < size
    placed = np.full(min(size, seen + stream), -1)
    np.maximum.at(placed, place[there], np.flatnonzero(there))  # of several that take a place the last stays
    return torch.from_numpy(placed)
