"""What the world hands to a method or a protocol: a device, a recorder, the store, and generators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from tswork import random
from tswork.pieces import kept_piece
from tswork.recorder import NullRecorder, Recorder
from tswork.store import Store

T = TypeVar("T")


@dataclass(frozen=True)
class Context:
    """Immutable; `at(epoch, step)` gives the context of one training step."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    recorder: Recorder = field(default_factory=NullRecorder)
    store: Store | None = None
    seed: int = 0
    epoch: int = 0
    step: int = 0
    rank: int = 0
    """Position of this process among those that train together; batches are cut by it."""
    world_size: int = 1
    pieces: Store | None = None
    """Where a stage keeps what of it is finished; None: it keeps nothing, as when it is called from Python."""
    work: Path | None = None
    """A folder for what is unfinished of the piece that is being made; None: its work is not kept."""

    def generator(self, purpose: str) -> torch.Generator:
        """A generator on the context's device that depends on (seed, purpose, epoch, step) alone."""
        return random.generator(self.seed, purpose, self.epoch, self.step, device=self.device)

    def own_generator(self, purpose: str) -> torch.Generator:
        """The same, but each process its own: for what is drawn for the sequences of its batch."""
        return self.generator(f"{purpose}/{self.rank}" if self.rank else purpose)

    def host_generator(self, purpose: str) -> torch.Generator:
        """The one that all processes share on the host, for numbers that Python itself needs (sizes of crops), without waiting
        for the device."""
        return random.generator(self.seed, purpose, self.epoch, self.step)

    def kept(
        self,
        key: Any,
        make: Callable[[Context], T],
        *,
        write: Callable[[Path, T], object],
        read: Callable[[Path], T],
    ) -> T:
        """What `make` gives; where the stage was interrupted after this piece, what `read` finds of it.

        `key` (plain data, of which JSON can be made) tells the piece from the others of its stage and of all that it depends on
        within the stage. `make` is given the context that it should use, and reports curves alone. `write` fills an empty folder, and
        what `read` makes of it must be as good as the original, bit for bit.
        """
        return kept_piece(self, key, make, write=write, read=read)

    def at(self, epoch: int, step: int) -> Context:
        """The same context at a position of training."""
        return replace(self, epoch=epoch, step=step)
