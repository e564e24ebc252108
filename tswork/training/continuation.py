"""Which checkpoint a training goes on from, and whether the result will have the same bits."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from tswork.config import dump
from tswork.context import Context
from tswork.data.collection import Part
from tswork.errors import TsworkWarning
from tswork.methods.base import Method
from tswork.store import key_of
from tswork.training.checkpoints import Checkpoints, Snapshot
from tswork.training.runtime import Runtime


@dataclass(frozen=True)
class Continuation:
    """A checkpoint to go on from (or none), and whether this machine computes as the one that wrote it."""

    snapshot: Snapshot | None
    bit_identical: bool = True

    @property
    def step(self) -> int:
        """Steps already done."""
        return self.snapshot.step if self.snapshot is not None else 0

    @contextmanager
    def threads(self) -> Iterator[None]:
        """Compute with as many threads as the checkpoint was computed with: sums over threads round differently."""
        before = torch.get_num_threads()
        if self.snapshot is not None:
            torch.set_num_threads(self.snapshot.state["machine"]["threads"])
        try:
            yield
        finally:
            torch.set_num_threads(before)


def find_continuation(checkpoints: Checkpoints | None, identity: str, device: torch.device) -> Continuation:
    """The newest whole checkpoint of this very training.

    Warns (`TsworkWarning`) of damaged checkpoints, of those of another training, and when the resumed result may differ
    in its last digits.
    """
    snapshot = checkpoints.newest() if checkpoints is not None else None
    if snapshot is None:
        return Continuation(None)
    if snapshot.state["identity"] != identity:
        _warn(f"the checkpoints in {checkpoints.folder} belong to a training with other options; it begins anew")  # type: ignore[union-attr]
        return Continuation(None)
    then, now = dict(snapshot.state["machine"]), machine(device)
    then["threads"] = now["threads"]
    changed = [f"{name} was {then[name]}, is {now[name]}" for name in now if then[name] != now[name]]
    if changed:
        _warn(f"resumed on another machine ({'; '.join(changed)}): the result is not bit-identical")
    deterministic = device.type == "cpu" or torch.are_deterministic_algorithms_enabled()
    return Continuation(snapshot, bit_identical=deterministic and not changed)


def identity(method: Method[Any], train: Part, context: Context, runtime: Runtime) -> str:
    """A hash of what makes a training this one: method, options, seed, precision, processes, and the number of spans."""
    return key_of(
        {
            "method": f"{type(method).__module__}.{type(method).__qualname__}",
            "config": dump(method.config),
            "seed": context.seed,
            "precision": runtime.precision,
            "world_size": runtime.world_size,
            "spans": len(train),
        }
    )


def machine(device: torch.device) -> dict[str, Any]:
    """What the last digits of a result depend on."""
    return {
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "processor": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
    }


def _warn(text: str) -> None:
    warnings.warn(text, TsworkWarning, stacklevel=4)
