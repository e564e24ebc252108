"""The store of runs: opened explicitly, created once, reachable before anything trains."""

from __future__ import annotations

import json
import os
import socket
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tswork.errors import TrackingUnreachable, UserError
from tswork.store import Store
from tswork.tracking import names
from tswork.tracking.locations import SERVER, artifact_location, database, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

DEAD_AFTER_SECONDS = 120.0
ATTEMPTS = 3
AWAY = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "DEADLINE_EXCEEDED", "UNAVAILABLE")
"""Codes of MLflow's errors after which it is worth to ask again."""

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # whoever asks here asks again by himself
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}
"""Set before mlflow is imported, unless the user set them otherwise."""


@dataclass
class NothingRecorded(UserError):
    """There is no store of runs yet."""

    root: str

    def __str__(self) -> str:
        return (
            f"nothing was recorded under {self.root} yet. Run a pipeline first, or say where its runs are with --root or"
            " MLFLOW_TRACKING_URI."
        )


@dataclass(frozen=True)
class Tracking:
    """A client of one experiment. Everything names its run; no global state of mlflow is used beyond its addresses."""

    client: MlflowClient
    experiment_id: str
    uri: str

    @staticmethod
    def attach(root: Path) -> Tracking:
        """The store for reading. Raises `NothingRecorded` where there is none yet, and `TrackingUnreachable`."""
        if not os.environ.get(SERVER) and not database(root).exists():
            raise NothingRecorded(str(root))
        return _opened(root, _any_experiment)

    @staticmethod
    def open(root: Path, *, experiment: str) -> Tracking:
        """The experiment, created when it is new. Raises `TrackingUnreachable` after a few attempts.

        A new SQLite database is created and migrated under a lock, because several processes that open one at once break it.
        """
        return _opened(root, lambda client: _experiment(client, experiment, artifact_location(root)))

    def answers(self) -> bool:
        """Whether the store can be spoken to at this moment."""
        try:
            self.client.get_experiment(self.experiment_id)
        except away_errors():
            return False
        return True

    def start(
        self, name: str, *, parent: str | None, tags: Mapping[str, str] | None = None, reopen: str | None = None
    ) -> str:
        """The id of a new run, or of one that is opened again."""
        own = {names.PROCESS: json.dumps(_this_process()), names.HEARTBEAT: str(time.time())}
        if reopen is not None:
            self.client.update_run(reopen, status="RUNNING")
            self.tag(reopen, own)
            return reopen
        nested = {"mlflow.parentRunId": parent} if parent else {}
        fitting = {names.slug(key): value[: names.MAX_TAG] for key, value in {**(tags or {}), **nested, **own}.items()}
        run = self.client.create_run(self.experiment_id, run_name=name[: names.MAX_NAME], tags=fitting)
        return str(run.info.run_id)

    def tag(self, run_id: str, tags: Mapping[str, Any]) -> None:
        """Set tags of a run."""
        from mlflow.entities import RunTag

        entities = [RunTag(names.slug(key), str(value)[: names.MAX_TAG]) for key, value in tags.items()]
        for start in range(0, len(entities), 100):
            self.client.log_batch(run_id, tags=entities[start : start + 100])

    def params(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Log parameters; values are cut at what the store takes."""
        from mlflow.entities import Param

        known = {names.slug(key): str(value)[: names.MAX_PARAMETER] for key, value in params.items()}
        entities = [Param(key, value) for key, value in known.items()]
        for start in range(0, len(entities), 100):
            self.client.log_batch(run_id, params=entities[start : start + 100])

    def exists(self, run_id: str) -> bool:
        """Whether a run is there and not deleted."""
        from mlflow.exceptions import MlflowException

        try:
            return bool(self.client.get_run(run_id).info.lifecycle_stage == "active")
        except MlflowException:
            return False

    def last_steps(self, run_id: str) -> dict[str, int]:
        """The last step of every curve of a run."""
        return {metric.key: metric.step for metric in self.client.get_run(run_id).data.to_proto().metrics}

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


def _opened(root: Path, experiment: Callable[[MlflowClient], str]) -> Tracking:
    import_quietly()
    import mlflow
    from mlflow import MlflowClient

    uri = tracking_uri(root)
    # Parts of mlflow ask for the global addresses; both are set, so that no `mlruns/` nearby is ever used.
    chosen = os.environ.get(SERVER)
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    if chosen is None:
        os.environ.pop(SERVER, None)  # mlflow writes it, and what the user chose must stay visible
    with Store(root / ".tswork" / "store").lock("tracking"):
        fault, new = "", not database(root).exists()
        for attempt in range(ATTEMPTS):
            time.sleep(attempt)
            try:
                client = MlflowClient(tracking_uri=uri, registry_uri=uri)
                return Tracking(client, experiment(client), uri)
            except away_errors() as error:
                fault = fault or names.first_line(error)
                if new:  # half a database could never be opened again
                    database(root).unlink(missing_ok=True)
    raise TrackingUnreachable(uri, fault)


def _any_experiment(client: MlflowClient) -> str:
    return next((str(one.experiment_id) for one in client.search_experiments(max_results=1)), "")


def _experiment(client: MlflowClient, name: str, location: str | None) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        place = location and f"{location}/{names.folder_name(name)}"
        return str(client.create_experiment(name, artifact_location=place))
    if found.lifecycle_stage != "active":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def away_errors() -> tuple[type[Exception], ...]:
    """What speaking to a store can raise: its own errors, those of the database, of the network and of the disk."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return (MlflowException, SQLAlchemyError, OSError)


def is_away(error: Exception) -> bool:
    """Whether an error says that the store cannot be spoken to now, and not that it refuses."""
    return isinstance(error, OSError) or getattr(error, "error_code", None) in AWAY


def import_quietly() -> None:
    """Import mlflow without its telemetry and without its remarks about itself."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import logging

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pyfunc  # noqa: F401
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # It logs the traceback of an error that it raises as well, and that is told in one line here.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


def _this_process() -> dict[str, str | int | float]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": _started(os.getpid())}


def _is_dead(run: Run) -> bool:
    """Runs of others (without our tags) are left alone."""
    try:
        process = json.loads(run.data.tags[names.PROCESS])
        silent = time.time() - float(run.data.tags[names.HEARTBEAT]) > DEAD_AFTER_SECONDS
        host, pid, started = process["host"], int(process["pid"]), float(process["started"])
    except (KeyError, ValueError, TypeError):
        return False
    # A number that was given to another process since then belongs to a dead one.
    return bool(silent) if host != socket.gethostname() else abs(_started(pid) - started) > 1.0


def _started(pid: int) -> float:
    """When a process was started, in seconds since 1970; 0 when there is none."""
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0
