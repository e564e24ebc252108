"""What the machine does while a run goes on, under the names that MLflow's page of system metrics knows."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

import psutil

MONITORS = {"cpu": "CPUMonitor", "disk": "DiskMonitor", "network": "NetworkMonitor", "gpu": "GPUMonitor"}


class SystemMetrics:
    """Calling it measures processor, memory, disk, network, graphics cards, and the memory of this process."""

    def __init__(self) -> None:
        self._monitors = list(_monitors())
        self._process = psutil.Process(os.getpid())
        psutil.cpu_percent()  # counts from here to the first call

    def __call__(self) -> Mapping[str, float]:
        found = {"process_memory_usage_megabytes": self._process.memory_info().rss / 1e6}
        for monitor in self._monitors:
            monitor.collect_metrics()
            found.update(monitor.aggregate_metrics())
            monitor.clear_metrics()
        return {f"system/{name}": float(value) for name, value in found.items()}


def _monitors() -> Iterator[Any]:
    for module, name in MONITORS.items():
        try:
            yield getattr(importlib.import_module(f"mlflow.system_metrics.metrics.{module}_monitor"), name)()
        except Exception:  # no card, no driver, no network device: said in many ways
            continue
