"""A task's new samples and those of the memory in one part, the sampler that mixes them, and one for the memory alone.

Every batch knows which of its samples are of the memory, whatever their labels: `Batches(..., columns=(MEMORY_ROW,))` gives the
row of the memory, or -1 for a new sample. What a frozen teacher makes of the memory can so be computed once a task and looked
up.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from tswork import random
from tswork.data.collection import Part
from tswork.data.memory import Memory
from tswork.data.samplers import Buckets, OfEpoch, Sampler, Uniform
from tswork.wording import counted, worded

MEMORY_ROW = "memory_row"
"""Among a batch's codes: the row of the memory a sample is, -1 for a new one."""
PART_ROW = "part_row"
"""Among a batch's codes: the place of a sample in the part, new ones first."""


@dataclass(frozen=True, eq=False)
class RehearsalPart(Part):
    """New spans, and then `remembered` spans of a memory in its order."""

    remembered: int

    @staticmethod
    def joined(part: Part, memory: Memory) -> RehearsalPart:
        """A task's part with a memory behind it."""
        return RehearsalPart(part.collection, torch.cat([part.spans, memory.spans]), len(memory))

    @property
    def new(self) -> int:
        """Number of new spans."""
        return len(self) - self.remembered

    def codes(self, column: str) -> Int[Tensor, "span"]:
        """As of any part; `MEMORY_ROW` and `PART_ROW` beside the table's columns."""
        if column == PART_ROW:
            return torch.arange(len(self))
        if column == MEMORY_ROW:
            return (torch.arange(len(self)) - self.new).clamp(min=-1)
        return super().codes(column)


class Rehearsal(Sampler):
    """Batches of new samples and, behind them, `from_memory` samples of the memory.

    New samples come once an epoch in random order, or, where `lengths` (of the new ones) and `steps` are given, with others of
    similar length in at most so many padded steps (`Buckets`). Those of the memory are dealt from shuffled packs, so that none comes
    twice in a batch and all come about equally often. Without a memory batches are those of the new samples alone.
    """

    def __init__(
        self,
        new: int,
        memory: int,
        *,
        batch_size: int,
        from_memory: int,
        seed: int,
        lengths: Int[Tensor, "new"] | None = None,
        steps: int | None = None,
        drop_last: bool = False,
    ) -> None:
        if not 0 <= from_memory < batch_size:
            raise ValueError(nothing_new(from_memory, batch_size))
        self._from_memory = min(from_memory, memory)
        size = batch_size - self._from_memory
        self._fresh: Sampler = Uniform(new, batch_size=size, seed=seed, drop_last=drop_last)
        if lengths is not None and steps is not None:
            self._fresh = Buckets(lengths, steps=steps, batch_size=size, seed=seed)
        self.batch_size = self._fresh.batch_size + self._from_memory
        self._new, self._memory, self._seed = new, memory, seed
        self._packs = OfEpoch(lambda epoch: dict[int, Tensor]())

    def steps(self, epoch: int) -> int:
        return self._fresh.steps(epoch)

    def at(self, epoch: int, step: int) -> Int[Tensor, "batch"]:
        fresh = self._fresh.at(epoch, step)
        if not self._from_memory:
            return fresh
        pack, place = divmod(step, self._memory // self._from_memory)
        order = self._pack(epoch, pack)
        return torch.cat([fresh, self._new + order[place * self._from_memory : (place + 1) * self._from_memory]])

    def _pack(self, epoch: int, pack: int) -> Int[Tensor, "memory"]:
        known = self._packs(epoch)
        if pack not in known:
            draw = random.generator(self._seed, "memory", epoch, pack)
            known[pack] = torch.randperm(self._memory, generator=draw)
        return known[pack]


class Drawn(Sampler):
    """For every batch of another sampler some items of a memory, drawn anew, none of them twice.

    With `lengths` all of a batch are of one length, for encoders that padding would change, and may then be fewer.
    """

    def __init__(
        self, items: int, *, beside: Sampler, batch_size: int, seed: int, lengths: Int[Tensor, "item"] | None = None
    ) -> None:
        self.batch_size = min(batch_size, items)
        self._items, self._beside, self._seed, self._lengths = items, beside, seed, lengths

    def steps(self, epoch: int) -> int:
        return self._beside.steps(epoch)

    def at(self, epoch: int, step: int) -> Int[Tensor, "batch"]:
        order = torch.randperm(self._items, generator=random.generator(self._seed, "drawn", epoch, step))
        if self._lengths is not None:
            order = order[self._lengths[order] == self._lengths[order[0]]]
        return order[: self.batch_size]


def rehearsal_sampler(
    part: RehearsalPart,
    *,
    batch_size: int,
    from_memory: int | None,
    seed: int,
    steps: int | None = None,
    drop_last: bool = False,
) -> Sampler:
    """Batches of a part with a memory; `from_memory` None: one pool, in which the memory has the share of its size.

    With `steps` the new samples beside `from_memory` are batched by length within so many padded steps; else `drop_last` leaves a
    smaller rest of them out.
    """
    if from_memory is None:
        return Uniform(len(part), batch_size=batch_size, seed=seed, drop_last=drop_last)
    return Rehearsal(
        part.new,
        part.remembered,
        batch_size=batch_size,
        from_memory=from_memory,
        seed=seed,
        lengths=part.lengths[: part.new],
        steps=steps,
        drop_last=drop_last,
    )


def nothing_new(from_memory: int, batch_size: int) -> str:
    """What is wrong with as many samples of the memory as a batch has."""
    old = f"{counted(from_memory, 'sample')} of the memory {worded(from_memory, 'leaves', 'leave')}"
    return f"{old} a batch of {batch_size} no new one"
