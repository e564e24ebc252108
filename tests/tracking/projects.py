"""Pipelines that run into a store of runs of their own."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest.mock import patch

from mlflow.entities import Run

from tests.pipeline.waves import PIPELINE, write_pipeline
from tswork.data.places import Places
from tswork.errors import ModelUnfit
from tswork.pipeline.loading import load_pipeline
from tswork.pipeline.plan import Plan, make_plan
from tswork.pipeline.runner import RunReport, run_plan
from tswork.tracking.client import Tracking
from tswork.tracking.reporter import MlflowReporter

DATABASE = ".tswork/mlflow.db"


@cache
def empty_database() -> bytes:
    """A database as MLflow creates it; copying it takes less than creating it."""
    with tempfile.TemporaryDirectory() as folder:
        Tracking.open(Path(folder), experiment="any")
        return (Path(folder) / DATABASE).read_bytes()


def new_project(folder: Path) -> Path:
    """A folder with an empty store of runs."""
    folder.mkdir(parents=True)
    add_database(folder)
    return folder


def add_database(folder: Path) -> None:
    """An empty store of runs in a folder that is there."""
    (folder / ".tswork").mkdir(exist_ok=True)
    (folder / DATABASE).write_bytes(empty_database())


def plan(folder: Path, text: str = PIPELINE) -> Plan:
    return make_plan(load_pipeline(write_pipeline(folder, text), places=Places.here(folder)))


@dataclass(frozen=True)
class Recorded:
    """A run and what it left in the store of runs."""

    report: RunReport
    reporter: MlflowReporter
    tracking: Tracking

    @property
    def parent(self) -> Run:
        assert self.report.run_id is not None
        return self.tracking.client.get_run(self.report.run_id)

    @property
    def children(self) -> list[Run]:
        return [self.tracking.client.get_run(str(member.run_id)) for member in self.report.members]


def run(folder: Path, text: str = PIPELINE, *, experiment: str = "waves", export: bool = False) -> Recorded:
    """Run a pipeline of a project and report it; everything has to be recorded.

    Exporting takes seconds a model and is left out where a test is not about it.
    """
    if not (folder / DATABASE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        add_database(folder)
    planned = plan(folder, text)
    reporter = MlflowReporter(planned)
    with nullcontext() if export else without_exports():
        report = run_plan(planned, reporter=reporter)
    assert reporter.incomplete is None, str(reporter.incomplete)
    return Recorded(report, reporter, Tracking.open(folder, experiment=experiment))


def without_exports() -> AbstractContextManager[object]:
    refusal = ModelUnfit("this encoder", "is not exported in this test")
    return patch("tswork.tracking.exports.export_encoder", side_effect=refusal)


def artifacts(recorded: Recorded, run_id: str, folder: Path) -> Path:
    """All artifacts of a run as files."""
    target = folder / run_id
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    recorded.tracking.client.download_artifacts(run_id, "", str(target))
    return target
