"""Trainings that end with SIGKILL, run as `python -m tests.training.killed FOLDER`.

Each moment gets a child by fork (torch is imported once, and no thread pool exists yet that a fork would break).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import torch

from tests.training.tiny import TinyAlternating, TinyConfig, TinyContinual, TinyContrast, run
from tswork.context import Context

METHODS: dict[str, TinyContrast] = {
    "averaged": TinyContrast(TinyConfig(averaging="mean", schedule=True)),
    "alternating": TinyAlternating(TinyConfig()),
    "continual": TinyContinual(TinyConfig(iterations=15, tasks=2)),
}
MOMENTS = {"averaged": (2, 6, 29), "alternating": (13,), "continual": (9, 22)}
"""Steps in which the process dies; the first checkpoint is written after step 4."""


def main(folder: Path) -> None:
    """Kill trainings at all moments, one while it writes a checkpoint, and one whenever."""
    torch.set_num_threads(1)
    for name, moments in MOMENTS.items():
        for moment in moments:
            in_child(lambda name=name, moment=moment: die_in_step(name, moment, folder / f"{name}-{moment}"))  # type: ignore[misc]
    in_child(lambda: die_while_writing(folder / "averaged-writing"))
    in_child(lambda: die_whenever(folder / "averaged-whenever"))


def in_child(work: Callable[[], None]) -> None:
    """Run in a child that must die of SIGKILL."""
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), status
    assert os.WTERMSIG(status) == signal.SIGKILL


def die() -> None:
    """No handler, no cleaning up."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_in_step(name: str, moment: int, folder: Path) -> None:
    """Die while the forward pass of a step is computed."""
    method, steps = METHODS[name], iter(range(1000))

    def on_step(context: Context) -> None:
        if next(steps) == moment:
            die()

    method.on_step = on_step
    run(method, folder=folder)


def die_while_writing(folder: Path) -> None:
    """Die when the third checkpoint is about to take its place."""
    replaced, replace = iter(range(1000)), os.replace

    def replace_or_die(source: Path, target: Path) -> None:
        if next(replaced) == 2:
            die()
        replace(source, target)

    os.replace = replace_or_die  # type: ignore[assignment]
    run(METHODS["averaged"], folder=folder)


def die_whenever(folder: Path) -> None:
    """Die a while after the first checkpoint, wherever that is."""

    def wait_and_die() -> None:
        while not list(folder.glob("step-*")):
            time.sleep(0.001)
        time.sleep(0.03)
        die()

    threading.Thread(target=wait_and_die, daemon=True).start()
    METHODS["averaged"].on_step = lambda context: time.sleep(0.01)
    run(METHODS["averaged"], folder=folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
