"""Which items make up a batch. Samplers see metadata only (counts, codes, lengths), never values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import pairwise
from typing import Generic, TypeVar

import numpy as np
import torch
from jaxtyping import Float64, Int, Int64
from torch import Tensor

from tswork import random

T = TypeVar("T")

MAX_STEPS = 32_768
"""Time steps, padding included, that are taken at once where everything is looked at once; one longer item goes alone."""


class Sampler(ABC):
    """A pure plan of batches: the items of a step follow from (seed, epoch, step)."""

    batch_size: int

    @abstractmethod
    def steps(self, epoch: int) -> int:
        """Number of batches of an epoch."""

    @abstractmethod
    def at(self, epoch: int, step: int) -> Int[Tensor, "batch"]:
        """The items (spans of the part) of one batch."""


class OfEpoch(Generic[T]):
    """What is drawn once an epoch: made when an epoch is first asked for, and kept until another one is."""

    def __init__(self, draw: Callable[[int], T]) -> None:
        self._draw = draw
        self._latest: tuple[int, T] | None = None

    def __call__(self, epoch: int) -> T:
        if self._latest is None or self._latest[0] != epoch:
            self._latest = (epoch, self._draw(epoch))
        return self._latest[1]


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
        self._order = OfEpoch(self._drawn)

    def steps(self, epoch: int) -> int:
        if self.items == 0:
            return 0
        full, rest = divmod(self.items, self.batch_size)
        return full + (1 if rest and not self._drop_last else 0)

    def at(self, epoch: int, step: int) -> Int[Tensor, "batch"]:
        return self._order(epoch)[step * self.batch_size : (step + 1) * self.batch_size]

    def _drawn(self, epoch: int) -> Int[Tensor, "item"]:
        if not self._shuffle:
            return torch.arange(self.items)
        return torch.randperm(self.items, generator=random.generator(self._seed, "order", epoch))


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
        self._batches = OfEpoch(self._drawn)

    def steps(self, epoch: int) -> int:
        return self._steps

    def at(self, epoch: int, step: int) -> Int[Tensor, "batch"]:
        return self._batches(epoch)[step]

    def _drawn(self, epoch: int) -> list[Tensor]:
        draw = random.generator(self._seed, "equal lengths", epoch)
        shuffled = torch.randperm(len(self._lengths), generator=draw)
        ordered = shuffled[torch.argsort(self._lengths[shuffled], stable=True)]
        _, counts = torch.unique_consecutive(self._lengths[ordered], return_counts=True)
        batches = [batch for group in ordered.split(counts.tolist()) for batch in group.split(self.batch_size)]
        return [batches[index] for index in torch.randperm(len(batches), generator=draw).tolist()]


class Buckets(Sampler):
    """Batches of similar lengths with at most `steps` padded time steps each; every item once an epoch.

    Items are sorted by their lengths, each stretched by a random factor of up to `1 + spread`, so that batches change from epoch
    to epoch; then batches come in random order. One item longer than `steps` makes a batch of its own; `batch_size` also
    bounds the number of items.
    """

    def __init__(
        self,
        lengths: Int[Tensor, "item"],
        *,
        steps: int,
        seed: int,
        batch_size: int | None = None,
        spread: float = 0.1,
    ) -> None:
        self.batch_size = min(batch_size or len(lengths), len(lengths))
        self._lengths = lengths.numpy()
        self._budget = steps
        self._spread = spread
        self._seed = seed
        self._batches = OfEpoch(self._drawn)

    def steps(self, epoch: int) -> int:
        return len(self._batches(epoch))

    def at(self, epoch: int, step: int) -> Int[Tensor, "batch"]:
        return self._batches(epoch)[step]

    def _drawn(self, epoch: int) -> list[Tensor]:
        draw = random.generator(self._seed, "buckets", epoch)
        stretch = 1 + self._spread * torch.rand(len(self._lengths), generator=draw, dtype=torch.float64)
        order = torch.argsort(torch.from_numpy(self._lengths) * stretch)
        ordered = self._lengths[order.numpy()]
        ends = batch_ends(ordered, steps=self._budget, most=max(1, self.batch_size), spread=self._spread)
        batches = order.tensor_split(ends[:-1]) if ends else ()
        return [batches[index] for index in torch.randperm(len(batches), generator=draw).tolist()]


class ByLength(Sampler):
    """Every item once, sorted by length, in batches of at most `steps` padded steps and at most `most` items.

    `equal` gives every batch items of one length, for encoders whose result padding would change.
    """

    def __init__(
        self, lengths: Int[Tensor, "item"], *, steps: int = MAX_STEPS, most: int | None = None, equal: bool = False
    ) -> None:
        order = torch.argsort(lengths, stable=True)
        ends = batch_ends(lengths[order].numpy(), steps=steps, most=most, equal=equal)
        self._batches = [order[start:stop] for start, stop in pairwise([0, *ends])]
        self.batch_size = max((len(batch) for batch in self._batches), default=0)

    def steps(self, epoch: int) -> int:
        return len(self._batches)

    def at(self, epoch: int, step: int) -> Int[Tensor, "batch"]:
        return self._batches[step]


def batch_ends(
    lengths: Int64[np.ndarray, "item"],
    *,
    steps: int,
    most: int | None = None,
    spread: float = 0.0,
    equal: bool = False,
) -> list[int]:
    """Where batches end among lengths that rise but for the spread, so that each holds as many items as fit.

    A batch has at most `steps` padded steps and `most` items (one item always fits); `equal` (without a spread) allows
    one length a batch.
    """
    ends, start = [], 0
    while start < len(lengths):
        shortest = max(1.0, lengths[start] / (1 + spread))
        room = min(most or len(lengths), int(steps / shortest) + 1)
        longest = np.maximum.accumulate(lengths[start : start + room])
        # Padded steps grow with every item that is added, so the last that fits is found by bisection.
        fitting = int(np.searchsorted(longest * np.arange(1, len(longest) + 1), steps, side="right"))
        if equal:
            fitting = min(fitting, int(np.searchsorted(longest, longest[0], side="right")))
        start += max(1, fitting)
        ends.append(start)
    return ends


class ClassBalanced(Sampler):
    """P classes with K items each in every batch, the items of a class from as many groups as it has.

    Classes are dealt from a shuffled pack, so all come equally often. A class goes round its groups, and each group round its
    items, both in an order that is random in every epoch: K items in a row are of `min(K, groups)` groups, and an item comes
    again in a batch only when its group has no other left. `groups_per_class` makes these fewer groups: with 1, the items of a class
    in a batch are of one group, another one in the next batch. Without groups every item is a group of its own, so a class goes
    through all of its items before one comes again. Where P does not divide the classes, some of a pack are left over: they miss
    that turn, and the items of it. Items without a label (-1) are left out. With fewer classes than P, all of
    them are in every batch. An epoch has as many batches as hold the labelled items once.
    """

    def __init__(
        self,
        labels: Int[Tensor, "item"],
        groups: Int[Tensor, "item"] | None = None,
        *,
        classes: int,
        items: int,
        seed: int,
        groups_per_class: int | None = None,
    ) -> None:
        self._items = torch.nonzero(labels >= 0).flatten().numpy()
        _, self._label, sizes = np.unique(labels.numpy()[self._items], return_inverse=True, return_counts=True)
        known = groups.numpy()[self._items] if groups is not None else np.full(len(self._items), -1)
        # An item whose group is not known is a group of its own.
        self._group = np.where(known >= 0, known, known.max(initial=0) + 1 + np.arange(len(known)))
        self._classes = min(classes, len(sizes))
        self._per_class = items
        self._together = groups_per_class
        self.batch_size = self._classes * items
        self._steps = -(-len(self._items) // self.batch_size) if self.batch_size else 0
        self._seed = seed
        self._rounds = OfEpoch(self._drawn)

    def steps(self, epoch: int) -> int:
        return self._steps

    def at(self, epoch: int, step: int) -> Int[Tensor, "batch"]:
        rounds = self._rounds(epoch)
        # A shuffled pack of classes gives `packs` batches; the next one is shuffled anew.
        packs = len(rounds.group_count) // self._classes
        pack, place = divmod(step, packs)
        draw = random.generator(self._seed, "classes", epoch, pack)
        order = torch.randperm(len(rounds.group_count), generator=draw).numpy()
        chosen = order[place * self._classes : (place + 1) * self._classes]
        found = rounds.at(chosen[:, None], pack, self._per_class, self._together)
        return torch.from_numpy(self._items[found.reshape(-1)])

    def _drawn(self, epoch: int) -> _Rounds:
        draw = random.generator(self._seed, "class balanced", epoch)
        keys = torch.rand(2, len(self._items), generator=draw, dtype=torch.float64).numpy()
        return _Rounds.of(self._label, self._group, keys)


class _Rounds:
    """The order of one epoch: items sorted by class, then group, then at random, and where each class and group begins."""

    def __init__(
        self,
        order: Int64[np.ndarray, "item"],
        first_group: Int64[np.ndarray, "class"],
        group_count: Int64[np.ndarray, "class"],
        first_item: Int64[np.ndarray, "group"],
        item_count: Int64[np.ndarray, "group"],
    ) -> None:
        self._order = order
        self._first_group = first_group
        self.group_count = group_count
        self._first_item = first_item
        self._item_count = item_count

    @staticmethod
    def of(
        label: Int64[np.ndarray, "item"], group: Int64[np.ndarray, "item"], keys: Float64[np.ndarray, "2 item"]
    ) -> _Rounds:
        """Groups of a class, and items of a group, in the order of random keys."""
        pairs, of_item, item_count = np.unique(
            np.stack([label, group], axis=1), axis=0, return_inverse=True, return_counts=True
        )
        of_item = of_item.reshape(-1)
        # Groups stand by class, and inside a class in the order of one random key each.
        place = np.empty(len(pairs), np.int64)
        by_class = np.lexsort((keys[0, : len(pairs)], pairs[:, 0]))
        place[by_class] = np.arange(len(pairs))
        order = np.lexsort((keys[1], place[of_item]))
        group_count = np.bincount(pairs[:, 0])
        item_count = item_count[by_class]
        return _Rounds(
            order,
            group_count.cumsum() - group_count,
            group_count,
            item_count.cumsum() - item_count,
            item_count,
        )

    def at(
        self, classes: Int64[np.ndarray, "class 1"], pack: int, items: int, together: int | None
    ) -> Int64[np.ndarray, "class item"]:
        """The items that classes give when it is their turn for the so manieth time, from at most `together` groups."""
        groups, place = self.group_count[classes], np.arange(items)[None, :]
        if together is None:
            turn = pack * items + place
            group, item = turn % groups, turn // groups
        else:
            several = np.minimum(together, groups)
            turn = pack * several + place % several
            group, item = turn % groups, turn // groups * -(-items // several) + place // several
        group = self._first_group[classes] + group
        return np.asarray(self._order[self._first_item[group] + item % self._item_count[group]])
