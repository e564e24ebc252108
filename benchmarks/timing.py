"""Times of rivals in one process: their runs alternate, so that whatever else the machine does meets all of them alike.

Tables show the best run of each. The best is what the work costs; everything above it is what others on the machine took.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
CLOCK = time.perf_counter if DEVICE.type == "cuda" else time.process_time
"""Of work on the device: on a CPU processor seconds of all threads, which what else runs hardly changes."""


def best_times(
    rivals: Mapping[str, Callable[[], object]],
    *,
    seconds: float = 2.0,
    least: int = 3,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Seconds of each rival's best run, of at least `least` runs each and as many as begin within `seconds`."""
    best = dict.fromkeys(rivals, float("inf"))
    stop = time.perf_counter() + seconds
    runs = 0
    while runs < least or time.perf_counter() < stop:
        for name, run in rivals.items():
            started = clock()
            run()
            wait()
            best[name] = min(best[name], clock() - started)
        runs += 1
    return best


def wait() -> None:
    """Until the device has done all that it was given."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def machine() -> str:
    """One line about where figures come from, with what else was going on."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    graphics = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return (
        f"{_processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, "
        f"{torch.backends.cpu.get_cpu_capability()}{graphics}, torch {torch.__version__}, load before {load:.1f}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
