"""Batches from packed data: index arithmetic and one gather, no worker processes, no Python per item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tswork import random
from tswork.data.backends import Backend, Pinned, windows
from tswork.data.collection import Part
from tswork.data.samplers import Sampler


@dataclass(frozen=True, eq=False)
class Batch:
    """`x` holds zeros past each length.

    `span` rows are (sequence, start, stop) of what was read; it stays on the host, so that lengths can be looked at without
    waiting for the device. `codes` are the asked-for columns of the table.
    """

    x: Float[Tensor, "batch time channel"]
    lengths: Int[Tensor, "batch"]
    span: Int[Tensor, "batch 3"]
    codes: Mapping[str, Int[Tensor, "batch"]]

    def __len__(self) -> int:
        """Number of sequences in the batch."""
        return len(self.x)

    @property
    def unequal_lengths(self) -> Int[Tensor, "batch"] | None:
        """The lengths where there is padding, else None, which spares an encoder all care for it."""
        padded = (self.span[:, 2] - self.span[:, 1] < self.x.shape[1]).any()
        return self.lengths if bool(padded) else None


@dataclass(frozen=True)
class Crop:
    """A random window of `length` steps inside each item; shorter items are read whole.

    `shared` draws one place for the whole batch instead of one an item (as TS2Vec does with its training pieces).
    """

    length: int
    shared: bool = False


class Batches:
    """A part as batches on a device; `at(epoch, step)` is a pure function, so seeking and resuming cost nothing.

    Of several processes each takes every `world_size`-th row of the same batch, beginning with its `rank`.
    """

    def __init__(
        self,
        part: Part,
        *,
        sampler: Sampler,
        crop: Crop | None = None,
        device: torch.device | str = "cpu",
        seed: int = 0,
        columns: tuple[str, ...] = (),
        backend: Backend = "auto",
        budget: int | None = None,
        scratch: Path | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.part = part
        self.sampler = sampler
        self.crop = crop
        self.device = torch.device(device)
        self._seed = seed
        self._rows = slice(rank, None, world_size) if world_size > 1 else None
        self._windows = windows(
            part.collection.values, device=self.device, backend=backend, budget=budget, scratch=scratch
        )
        self._origin = part.collection.offsets[part.spans[:, 0]] + part.spans[:, 1]
        # Everything about windows that does not depend on the draw is known per item, once.
        self._lengths = part.lengths if crop is None else part.lengths.clamp(max=crop.length)
        self._places = part.lengths - self._lengths + 1
        alike = len(part) > 0 and bool((self._lengths == self._lengths[0]).all())
        self._length = int(self._lengths[0]) if alike else None
        self._codes = {column: part.codes(column).to(self.device) for column in columns}

    def steps(self, epoch: int) -> int:
        """Number of batches of an epoch."""
        return self.sampler.steps(epoch)

    def at(self, epoch: int, step: int) -> Batch:
        """The batch of one step."""
        plan = self._plan(epoch, step)
        x = self._windows.gather(plan.start, plan.lengths, self._length)
        if isinstance(self._windows, Pinned) and step + 1 < self.steps(epoch):
            coming = self._plan(epoch, step + 1)
            self._windows.ahead(coming.start, coming.lengths, self._length)
        codes = {}
        if self._codes:
            items = plan.items.to(self.device, non_blocking=True)
            codes = {column: values[items] for column, values in self._codes.items()}
        return Batch(x, plan.lengths.to(self.device, non_blocking=True), plan.span, codes)

    def _plan(self, epoch: int, step: int) -> _Plan:
        """Which items, and which window of each."""
        items = self.sampler.at(epoch, step)
        start, lengths, span = self._origin[items], self._lengths[items], self.part.spans[items]
        if self.crop is not None:
            draws = 1 if self.crop.shared else len(items)
            share = torch.rand(draws, generator=random.generator(self._seed, "crop", epoch, step), dtype=torch.float64)
            moved = share.mul(self._places[items]).long()
            start += moved
            span[:, 1] += moved
            torch.add(span[:, 1], lengths, out=span[:, 2])
        rows = self._rows
        return (
            _Plan(items, start, lengths, span)
            if rows is None
            else _Plan(items[rows], start[rows], lengths[rows], span[rows])
        )


class _Plan(NamedTuple):
    items: Tensor
    start: Tensor
    lengths: Tensor
    span: Tensor
