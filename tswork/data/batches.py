"""Batches from packed data: index arithmetic and one gather, no worker processes, no Python per item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tswork import random
from tswork.data.backends import Backend, Staged, windows
from tswork.data.collection import Part
from tswork.data.samplers import Sampler

BLOCK = 64
"""Steps that are planned together: index arithmetic on many small tensors costs more than the gather itself."""


@dataclass(frozen=True, eq=False)
class Batch:
    """`x` holds zeros past each length.

    `span` rows are (sequence, start, stop) of what was read; it stays on the host, so that lengths can be looked at without
    waiting for the device. `codes` are the asked-for columns of the table. None of it is to be changed in place: lengths, span and
    codes are shared with the next batch of the same step.
    """

    x: Float[Tensor, "batch time channel"]
    lengths: Int[Tensor, "batch"]
    span: Int[Tensor, "batch 3"]
    codes: Mapping[str, Int[Tensor, "batch"]]
    planned: Mapping[str, Int[Tensor, "batch"]] = field(default_factory=dict)
    """The same codes on the host, where they are known from."""

    def __len__(self) -> int:
        """Number of sequences in the batch."""
        return len(self.x)

    @property
    def unequal_lengths(self) -> Int[Tensor, "batch"] | None:
        """The lengths where there is padding, else None, which spares an encoder all care for it."""
        padded = (self.span[:, 2] - self.span[:, 1] < self.x.shape[1]).any()
        return self.lengths if bool(padded) else None

    def on_host(self, column: str) -> Int[Tensor, "batch"]:
        """Codes of a column to be looked at; the device is waited for only where the batch was not made by `Batches`."""
        return self.planned[column] if column in self.planned else self.codes[column].cpu()


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
        self._plans: list[_Plan] = []
        self._planned = (-1, -1)
        self._windows = windows(
            part.collection.values, device=self.device, backend=backend, budget=budget, scratch=scratch
        )
        # What does not depend on the draw is known per item, once (in numpy, whose calls on short arrays cost least).
        self._sequence, self._begin, stop = np.ascontiguousarray(part.spans.T.numpy())
        self._origin = part.collection.offsets.numpy()[self._sequence]
        whole = stop - self._begin
        self._lengths = whole if crop is None else np.minimum(whole, crop.length)
        self._places = whole - self._lengths + 1
        alike = len(part) > 0 and bool((self._lengths == self._lengths[0]).all())
        self._length = int(self._lengths[0]) if alike else None
        self._codes = {column: part.codes(column).numpy() for column in columns}

    def steps(self, epoch: int) -> int:
        """Number of batches of an epoch."""
        return self.sampler.steps(epoch)

    def at(self, epoch: int, step: int) -> Batch:
        """The batch of one step."""
        plan = self._plan(epoch, step)
        x = self._windows.gather(plan.start, plan.lengths, self._length)
        if isinstance(self._windows, Staged) and step + 1 < self.steps(epoch):
            coming = self._plan(epoch, step + 1)
            self._windows.ahead(coming.start, coming.lengths, self._length)
        codes = {column: values.to(self.device, non_blocking=True) for column, values in plan.codes.items()}
        return Batch(x, plan.lengths.to(self.device, non_blocking=True), plan.span, codes, plan.codes)

    def _plan(self, epoch: int, step: int) -> _Plan:
        """Which items a step takes, and which window of each."""
        block, index = divmod(step, BLOCK)
        if self._planned != (epoch, block):
            self._plans, self._planned = self._plan_block(epoch, block), (epoch, block)
        return self._plans[index]

    def _plan_block(self, epoch: int, block: int) -> list[_Plan]:
        steps = range(block * BLOCK, min((block + 1) * BLOCK, self.steps(epoch)))
        batches = [self.sampler.at(epoch, step) for step in steps]
        sizes = [len(batch) for batch in batches]
        items = torch.cat(batches).numpy()
        begin, lengths = self._begin[items], self._lengths[items]
        if self.crop is not None:
            draw = random.generator(self._seed, "crop", epoch, block)
            draws = len(sizes) if self.crop.shared else len(items)
            share = torch.rand(draws, generator=draw, dtype=torch.float64).numpy()
            if self.crop.shared:
                share = share.repeat(sizes)
            begin += (share * self._places[items]).astype(np.int64)
        start = self._cut(self._origin[items] + begin, sizes)
        span = self._cut(np.stack([self._sequence[items], begin, begin + lengths], axis=1), sizes)
        codes = {column: self._cut(values[items], sizes) for column, values in self._codes.items()}
        return [
            _Plan(*windows, {column: pieces[index] for column, pieces in codes.items()})
            for index, windows in enumerate(zip(start, self._cut(lengths, sizes), span, strict=True))
        ]

    def _cut(self, column: np.ndarray, sizes: list[int]) -> Sequence[Tensor]:
        """The rows of every step, or of this process among them."""
        pieces: Sequence[Tensor] = torch.from_numpy(column).split(sizes)
        return pieces if self._rows is None else [piece[self._rows] for piece in pieces]


class _Plan(NamedTuple):
    start: Tensor
    lengths: Tensor
    span: Tensor
    codes: Mapping[str, Tensor]
