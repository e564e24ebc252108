"""Sound as log-mel frames, computed once: a sequence of samples becomes one of frames with the channels `mel_00`, `mel_01`, ...

The frames are those of the front end of the same name (`tswork.encoders.front_ends.log_mel`, which says what a frame is), so an
encoder on prepared frames reads what it would read behind that front end. Prepared frames take less memory than sound does and cost
nothing in training; views of sound (`speed`, `noise`) need the sound, and so the front end. `rate` is then frames a second.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tswork.data.backends import Resident
from tswork.data.collection import Collection, DataInfo
from tswork.data.prepare.base import Preparation
from tswork.data.prepare.requirements import rate_of, uncontinued
from tswork.encoders.front_ends.log_mel import LogMel, LogMelConfig
from tswork.encoders.front_ends.mel import MelConfig, rate_faults
from tswork.errors import DataInvalid, Problem
from tswork.registry import register

PORTION = 1 << 22
"""Samples that are transformed at once; bounds the memory."""


class LogMelFramesConfig(MelConfig):
    """Options of the preparation."""


@register("preparation", "log_mel", version=1, config=LogMelFramesConfig)
class LogMelFrames(Preparation[LogMelFramesConfig]):
    """Turns sound into log-mel frames."""

    def apply(self, collection: Collection) -> Collection:
        uncontinued(collection, "log_mel")
        rate = rate_of(collection, "log_mel")
        if faults := rate_faults(self.config, rate):
            remedy = "Change `mels`, `low`, `high`, `window` or `hop`."
            raise DataInvalid([Problem(fault, "data.prepare", remedy=remedy) for fault in faults])
        options = LogMelConfig(**self.config.model_dump())
        front = LogMel(options, DataInfo(collection.channels, rate=rate)).eval()
        lengths = -(-collection.lengths // front.stride)
        offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
        times = None
        if collection.times is not None:
            row = torch.repeat_interleave(torch.arange(len(collection)), lengths)
            inside = torch.arange(int(offsets[-1])) - offsets[row]
            times = collection.times[collection.offsets[row] + inside * front.stride]
        return collection.replaced(
            values=_frames(front, collection, offsets),
            offsets=offsets,
            times=times,
            channels=front.channels,
            targets=(),
            affine=None,
            rate=rate / front.stride,
        )


@torch.no_grad()
def _frames(front: LogMel, collection: Collection, offsets: Int[Tensor, "bound"]) -> Float[Tensor, "frame channel"]:
    """The frames of all sequences, one after another."""
    windows = Resident(collection.values, torch.device("cpu"))
    values = torch.empty(int(offsets[-1]), len(front.channels))
    for rows in _portions(collection.lengths):
        frames = front(windows.gather(collection.offsets[rows], collection.lengths[rows]), collection.lengths[rows])
        place = torch.arange(frames.values.shape[1])
        inside = place < frames.lengths[:, None]
        values[(offsets[rows][:, None] + place)[inside]] = frames.values[inside]
    return values


def _portions(lengths: Int[Tensor, "sequence"]) -> Iterator[Int[Tensor, "some"]]:
    """Sequences with a step or more, those of like length together, at most so many samples with padding (or one sequence)."""
    order = lengths.argsort(stable=True)
    order = order[lengths[order] > 0]
    while len(order):
        size = (torch.arange(1, len(order) + 1) * lengths[order] <= PORTION).sum().clamp(min=1)
        yield order[: int(size)]
        order = order[int(size) :]
