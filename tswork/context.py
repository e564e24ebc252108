"""What the world hands to a method or a protocol: a device, a recorder, the store, and generators."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch

from tswork import random
from tswork.recorder import NullRecorder, Recorder
from tswork.store import Store


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

    def generator(self, purpose: str) -> torch.Generator:
        """A generator on the context's device that depends on (seed, purpose, epoch, step) alone."""
        return random.generator(self.seed, purpose, self.epoch, self.step, device=self.device)

    def host_generator(self, purpose: str) -> torch.Generator:
        """The same on the host, for numbers that Python itself needs (sizes of crops), without waiting for the device."""
        return random.generator(self.seed, purpose, self.epoch, self.step)

    def at(self, epoch: int, step: int) -> Context:
        """The same context at a position of training."""
        return replace(self, epoch=epoch, step=step)
