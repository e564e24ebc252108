"""Which items make up a batch. Samplers see metadata only (counts, codes, lengths), never values."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from jaxtyping import Int
from torch import Tensor

from tswork import random


class Sampler(ABC):
    """A pure plan of batches: the items of a step follow from (seed, epoch, step)."""

    batch_size: int

    @abstractmethod
    def steps(self, epoch: int) -> int:
        """Number of batches of an epoch."""

    @abstractmethod
    def at(self, epoch: int, step: int) -> Int[Tensor, "batch"]:
        """The items (spans of the part) of one batch."""


class Uniform(Sampler):
    """Every item once an epoch in random order; `shuffle=False` keeps the order, `drop_last` drops a smaller rest.

    A batch size above the number of items is reduced to it.
    """

    def __init__(
        self, items: int, *, batch_size: int, seed: int, shuffle: bool = True, drop_last: bool = False
    ) -> None:
        self.items = items
        self.batch_size = min(batch_size, items)
        self._seed = seed
        self._shuffle = shuffle
        self._drop_last = drop_last
        self._order: tuple[int, Tensor] | None = None

    def steps(self, epoch: int) -> int:
        if self.items == 0:
            return 0
        full, rest = divmod(self.items, self.batch_size)
        return full + (1 if rest and not self._drop_last else 0)

    def at(self, epoch: int, step: int) -> Int[Tensor, "batch"]:
        return self._epoch_order(epoch)[step * self.batch_size : (step + 1) * self.batch_size]

    def _epoch_order(self, epoch: int) -> Int[Tensor, "item"]:
        if self._order is None or self._order[0] != epoch:
            if self._shuffle:
                order = torch.randperm(self.items, generator=random.generator(self._seed, "order", epoch))
            else:
                order = torch.arange(self.items)
            self._order = (epoch, order)
        return self._order[1]


class EqualLength(Sampler):
    """Batches of items of exactly one length, for encoders that padding would change.

    Every item comes once an epoch; the items of a length are in random order, and so are the batches.
    """

    def __init__(self, lengths: Int[Tensor, "item"], *, batch_size: int, seed: int) -> None:
        self.batch_size = batch_size
        self._lengths = lengths
        self._seed = seed
        _, counts = torch.unique(lengths, return_counts=True)
        self._steps = int(((counts + batch_size - 1) // batch_size).sum())
        self._epoch: tuple[int, list[Tensor]] | None = None

    def steps(self, epoch: int) -> int:
        return self._steps

    def at(self, epoch: int, step: int) -> Int[Tensor, "batch"]:
        if self._epoch is None or self._epoch[0] != epoch:
            self._epoch = (epoch, self._drawn(epoch))
        return self._epoch[1][step]

    def _drawn(self, epoch: int) -> list[Tensor]:
        draw = random.generator(self._seed, "equal lengths", epoch)
        shuffled = torch.randperm(len(self._lengths), generator=draw)
        ordered = shuffled[torch.argsort(self._lengths[shuffled], stable=True)]
        _, counts = torch.unique_consecutive(self._lengths[ordered], return_counts=True)
        batches = [batch for group in ordered.split(counts.tolist()) for batch in group.split(self.batch_size)]
        return [batches[index] for index in torch.randperm(len(batches), generator=draw).tolist()]
