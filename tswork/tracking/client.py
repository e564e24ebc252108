"""The store of runs: opened explicitly, created once, reachable before anything trains."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tswork.errors import TrackingUnreachable
from tswork.store import Store
from tswork.tracking import names
from tswork.tracking.locations import SERVER, artifact_location, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

DEAD_AFTER_SECONDS = 120.0
ATTEMPTS = 3

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""Set before mlflow is imported, unless the user set them otherwise."""


@dataclass(frozen=True)
class Tracking:
    """A client of one experiment. Everything names its run; no global state of mlflow is used beyond its addresses."""

    client: MlflowClient
    experiment_id: str
    uri: str

    @staticmethod
    def attach(root: Path) -> Tracking:
        """The store for reading, without an experiment of its own. Raises `TrackingUnreachable`."""
        return Tracking.open(root, experiment="Default")

    @staticmethod
    def open(root: Path, *, experiment: str) -> Tracking:
        """The experiment, created when it is new. Raises `TrackingUnreachable` after a few attempts.

        A new SQLite database is created and migrated under a lock, because several processes that open one at once break it.
        """
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        import logging

        import mlflow
        from mlflow import MlflowClient

        for logger in ("alembic", "mlflow.store.db.utils", "mlflow.system_metrics.system_metrics_monitor"):
            logging.getLogger(logger).setLevel(logging.WARNING)
        uri, location = tracking_uri(root), artifact_location(root)
        # Parts of mlflow ask for the global addresses; both are set, so that no `mlruns/` nearby is ever used.
        chosen = os.environ.get(SERVER)
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        if chosen is None:
            os.environ.pop(SERVER, None)  # mlflow writes it, and what the user chose must stay visible
        (root / ".tswork").mkdir(parents=True, exist_ok=True)
        with Store(root / ".tswork" / "store").lock("tracking"):
            client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            experiment_id = _reach(client, uri, experiment, location)
        return Tracking(client, experiment_id, uri)

    def start(
        self, name: str, *, parent: str | None, tags: Mapping[str, str] | None = None, reopen: str | None = None
    ) -> str:
        """The id of a new run, or of one that is opened again."""
        own = {
            names.PROCESS: json.dumps({"host": socket.gethostname(), "pid": os.getpid()}),
            names.HEARTBEAT: str(time.time()),
        }
        if reopen is not None:
            self.client.update_run(reopen, status="RUNNING")
            self.tag(reopen, own)
            return reopen
        nested = {"mlflow.parentRunId": parent} if parent else {}
        run = self.client.create_run(self.experiment_id, run_name=name, tags={**own, **nested, **(tags or {})})
        return str(run.info.run_id)

    def tag(self, run_id: str, tags: Mapping[str, Any]) -> None:
        """Set tags of a run."""
        from mlflow.entities import RunTag

        entities = [RunTag(key, str(value)[:8000]) for key, value in tags.items()]
        for start in range(0, len(entities), 100):
            self.client.log_batch(run_id, tags=entities[start : start + 100])

    def params(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Log parameters; values are cut at what the store takes."""
        from mlflow.entities import Param

        entities = [Param(names.slug(key), str(value)[:6000]) for key, value in params.items()]
        for start in range(0, len(entities), 100):
            self.client.log_batch(run_id, params=entities[start : start + 100])

    def exists(self, run_id: str) -> bool:
        """Whether a run is there and not deleted."""
        from mlflow.exceptions import MlflowException

        try:
            return bool(self.client.get_run(run_id).info.lifecycle_stage == "active")
        except MlflowException:
            return False

    def mark_dead(self) -> list[str]:
        """End runs as KILLED whose process is gone or silent; gives their ids."""
        running = self.client.search_runs(
            [self.experiment_id], filter_string="attributes.status = 'RUNNING'", max_results=1000
        )
        dead = [run for run in running if _is_dead(run)]
        for run in dead:
            self.tag(run.info.run_id, {names.REASON: "the process ended without a word"})
            self.client.set_terminated(run.info.run_id, status="KILLED")
        return [run.info.run_id for run in dead]


def _reach(client: MlflowClient, uri: str, experiment: str, location: str | None) -> str:
    from mlflow.exceptions import MlflowException

    fault = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(attempt)
        try:
            found = client.get_experiment_by_name(experiment)
            if found is None:
                return str(
                    client.create_experiment(
                        experiment, artifact_location=location and f"{location}/{names.artifact_name(experiment)}"
                    )
                )
            if found.lifecycle_stage != "active":
                client.restore_experiment(found.experiment_id)
            return str(found.experiment_id)
        except (MlflowException, OSError) as error:
            fault = str(error).partition("\n")[0]
    raise TrackingUnreachable(uri, fault)


def _is_dead(run: Run) -> bool:
    """Runs of others (without our tags) are left alone."""
    try:
        process = json.loads(run.data.tags[names.PROCESS])
        silent = time.time() - float(run.data.tags[names.HEARTBEAT]) > DEAD_AFTER_SECONDS
    except (KeyError, ValueError):
        return False
    if process.get("host") != socket.gethostname():
        return silent
    return process.get("pid") != os.getpid() and not _alive(int(process["pid"]))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
