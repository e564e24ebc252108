"""A recorder on top of MLflow that never makes training wait: points are queued and one thread sends them in batches."""

from __future__ import annotations

import math
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tswork.tracking import names
from tswork.tracking.client import Tracking

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from tswork.recorder import Value

FLUSH_SECONDS = 3.0
HEARTBEAT_SECONDS = 30.0
BATCH = 1000
POINTS = 1000
"""After so many points a curve keeps every second one, after half as many more every fourth, and so on."""


class Outbox:
    """Sends the points of one run in batches from a thread of its own, and its heartbeat."""

    def __init__(self, tracking: Tracking, run_id: str) -> None:
        self._tracking = tracking
        self._run_id = run_id
        self._waiting: list[tuple[int, int, Mapping[str, Value]]] = []
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._stop = threading.Event()
        self._beaten = time.monotonic()
        self.fault: Exception | None = None
        self._thread = threading.Thread(target=self._work, daemon=True, name=f"outbox {run_id[:8]}")
        self._thread.start()

    def put(self, values: Mapping[str, Value], step: int) -> None:
        """Queue points; tensors are read when they are sent."""
        with self._lock:
            self._waiting.append((int(time.time() * 1000), step, values))

    def flush(self) -> None:
        """Send what waits."""
        from mlflow.entities import Metric

        with self._sending:
            with self._lock:
                waiting, self._waiting = self._waiting, []
            metrics = [
                Metric(names.slug(name), value, stamp, step)
                for stamp, step, name, value in _read(waiting)
                if math.isfinite(value) and self._keeps(name)
            ]
            for start in range(0, len(metrics), BATCH):
                self._tracking.client.log_batch(self._run_id, metrics=metrics[start : start + BATCH])

    def close(self) -> None:
        """Send the rest and end the thread."""
        self._stop.set()
        self._thread.join()
        self.flush()

    def _keeps(self, name: str) -> bool:
        count = self._counts[name] = self._counts.get(name, -1) + 1
        stride = 2 ** max(0, math.floor(math.log2(max(1, count / POINTS)) + 1)) if count >= POINTS else 1
        return count % stride == 0

    def _work(self) -> None:
        while not self._stop.wait(FLUSH_SECONDS):
            try:
                self.flush()
                if time.monotonic() - self._beaten > HEARTBEAT_SECONDS:
                    self._beaten = time.monotonic()
                    self._tracking.tag(self._run_id, {names.HEARTBEAT: time.time()})
            except Exception as error:  # a server that is away for a while must not end a training
                self.fault = error


class RunRecorder:
    """Reports one stage into a run, its names under the stage's."""

    def __init__(self, outbox: Outbox, tracking: Tracking, run_id: str, prefix: str) -> None:
        self._outbox = outbox
        self._tracking = tracking
        self._run_id = run_id
        self._prefix = prefix

    def scalars(self, values: Mapping[str, Value], *, step: int) -> None:
        self._outbox.put({self._prefix + name: value for name, value in values.items()}, step)

    def table(self, name: str, frame: pd.DataFrame) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{Path(names.artifact_name(name)).name}.parquet"
            frame.to_parquet(path, index=False)
            self._log(path, "tables", name)

    def figure(self, name: str, figure: Figure | Path) -> None:
        from tswork.figures.files import write_figure

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{Path(names.artifact_name(name)).name}.png"
            write_figure(figure, path)
            self._log(path, "figures", name)

    def _log(self, path: Path, kind: str, name: str) -> None:
        parent = Path(names.artifact_name(f"{self._prefix}{kind}/{name}")).parent
        self._tracking.client.log_artifact(self._run_id, str(path), artifact_path=parent.as_posix())


def _read(waiting: list[tuple[int, int, Mapping[str, Any]]]) -> Iterator[tuple[int, int, str, float]]:
    """All points; the tensors among them are fetched in one transfer."""
    tensors = [
        value.detach().double() for _, _, values in waiting for value in values.values() if isinstance(value, Tensor)
    ]
    read = iter(torch.stack(tensors).tolist() if tensors else [])
    for stamp, step, values in waiting:
        for name, value in values.items():
            yield stamp, step, name, next(read) if isinstance(value, Tensor) else float(value)
