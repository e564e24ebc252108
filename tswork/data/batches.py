"""Batches from packed data: index arithmetic and one gather, no worker processes, no Python per item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tswork import random
from tswork.data.collection import Part
from tswork.data.samplers import Sampler


@dataclass(frozen=True, eq=False)
class Batch:
    """`x` holds zeros past each length; `span` rows are (sequence, start, stop) of what was read."""

    x: Float[Tensor, "batch time channel"]
    lengths: Int[Tensor, "batch"]
    span: Int[Tensor, "batch 3"]
    codes: Mapping[str, Int[Tensor, "batch"]]

    def __len__(self) -> int:
        """Number of sequences in the batch."""
        return len(self.x)


@dataclass(frozen=True)
class Crop:
    """A random window of `length` steps inside each item; shorter items are read whole.

    `shared` draws one offset for the whole batch instead of one an item (as TS2Vec does with its training pieces).
    """

    length: int
    shared: bool = False


class Batches:
    """A part as batches on a device; `at(epoch, step)` is a pure function, so seeking and resuming cost nothing."""

    def __init__(
        self,
        part: Part,
        *,
        sampler: Sampler,
        crop: Crop | None = None,
        device: torch.device | str = "cpu",
        seed: int = 0,
        columns: tuple[str, ...] = (),
    ) -> None:
        self.part = part
        self.sampler = sampler
        self.crop = crop
        self.device = torch.device(device)
        self._seed = seed
        self._values = part.collection.values.to(self.device)
        self._offsets = part.collection.offsets[part.spans[:, 0]]
        self._codes = {column: part.codes(column) for column in columns}

    def steps(self, epoch: int) -> int:
        """Number of batches of an epoch."""
        return self.sampler.steps(epoch)

    def at(self, epoch: int, step: int) -> Batch:
        """The batch of one step."""
        items = self.sampler.at(epoch, step)
        spans = self._window(self.part.spans[items], epoch, step)
        lengths = spans[:, 2] - spans[:, 1]
        time = int(lengths.max())
        index = (self._offsets[items] + spans[:, 1])[:, None] + torch.arange(time)
        valid = torch.arange(time) < lengths[:, None]
        x = self._values[index.clamp(max=len(self._values) - 1).to(self.device)]
        x = x.masked_fill(~valid.to(self.device)[..., None], 0)
        codes = {column: values[items].to(self.device) for column, values in self._codes.items()}
        return Batch(x, lengths.to(self.device), spans, codes)

    def _window(self, spans: Tensor, epoch: int, step: int) -> Tensor:
        if self.crop is None:
            return spans
        length = (spans[:, 2] - spans[:, 1]).clamp(max=self.crop.length)
        room = spans[:, 2] - spans[:, 1] - length
        draws = 1 if self.crop.shared else len(spans)
        share = torch.rand(draws, generator=random.generator(self._seed, "crop", epoch, step))
        start = spans[:, 1] + (share * (room + 1)).long().clamp(max=room)
        return torch.stack([spans[:, 0], start, start + length], dim=1)
