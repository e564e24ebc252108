"""What a training step needs of the machine: a device, a precision, and the other processes.

One process in 32-bit floats is plain torch and pays for nothing; mixed precision and several processes go through
Lightning Fabric (`tswork.training.distributed`).
"""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from tswork.errors import InvalidInput, Problem
from tswork.methods.model import Model

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]

# torch's CPU kernels are compiled for each shape and the last 1024 are kept, about 0.2 MB each: training on crops of ever new
# lengths would fill that with kernels that are never used again. Read when the first kernel is made.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "256")

T = TypeVar("T")


def release_memory() -> None:
    """Give freed memory back to the system; the C library keeps hundreds of megabytes of a training's activations otherwise."""
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "malloc_trim"):  # only glibc has it
        library.malloc_trim(0)


class Runtime:
    """One process in 32-bit floats on one device. Use as a context manager: leaving it ends process groups."""

    precision: Precision = "32-true"
    rank = 0
    world_size = 1

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def prepare(self, model: Model) -> Model:
        """The model on the device. Raises `ModelUnfit` when it cannot be trained here."""
        return model.to(self.device)

    def autocast(self) -> AbstractContextManager[Any]:
        """Where losses are computed."""
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        """Gradients of a loss."""
        loss.backward()

    def gather_gradients(self, optimiser: Optimizer) -> None:
        """Bring the gradients of an optimiser's parameters to what a step is made with: their mean over the processes."""

    def step(self, optimiser: Optimizer, *, clip: float | None = None) -> Tensor | None:
        """One step of an optimiser; gives the gradient's norm before clipping, when it clips."""
        norm = None
        if clip is not None:
            norm = torch.nn.utils.clip_grad_norm_(parameters_of(optimiser), clip)
        self._take_step(optimiser)
        return norm

    def agree(self, *flags: bool) -> tuple[bool, ...]:
        """For each flag whether any process raises it."""
        return flags

    def broadcast(self, value: T) -> T:
        """The value that the first process has."""
        return value

    def state_dict(self) -> dict[str, Any]:
        """State of the precision (the scale of 16-bit losses)."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` gave."""

    def close(self) -> None:
        """Leave the group of processes."""

    def __enter__(self) -> Runtime:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take_step(self, optimiser: Optimizer) -> None:
        optimiser.step()


def process_count() -> int:
    """How many processes torchrun started to train together; 1 without it."""
    return int(os.environ["WORLD_SIZE"]) if _launched() else 1


def own_rank() -> int:
    """Which of these processes this is."""
    return int(os.environ["RANK"]) if _launched() else 0


def _launched() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_torchelastic_launched()


def parameters_of(optimiser: Optimizer) -> list[Tensor]:
    """All parameters an optimiser changes, in order."""
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]


def open_runtime(device: torch.device, *, precision: Precision = "32-true") -> Runtime:
    """The runtime for a device and a precision, in as many processes as torchrun started.

    Raises `InvalidInput` for 16-bit floats on a CPU.
    """
    if precision == "16-mixed" and device.type == "cpu":
        fault = Problem("16-bit floats do not train on a CPU", path="precision", remedy="Use bf16-mixed or 32-true.")
        raise InvalidInput([fault])
    launched = _launched()
    if precision == "32-true" and not launched:
        return Runtime(device)
    from tswork.training.distributed import FabricRuntime

    return FabricRuntime(device, precision=precision, launched=launched)
