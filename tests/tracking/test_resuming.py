"""Cached stages are replayed into new runs, interrupted ones go on in their own, and dead runs are recognised."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest

from tests.pipeline.waves import PIPELINE
from tests.tracking.projects import new_project, plan, run, without_exports
from tswork.errors import Interrupted, TrainingDiverged
from tswork.pipeline.observer import Silent
from tswork.pipeline.plan import PlannedStage
from tswork.pipeline.runner import run_plan
from tswork.tracking.client import Tracking
from tswork.tracking.reading import judgements
from tswork.tracking.reporter import MlflowReporter


def test_a_second_run_is_replayed_from_the_cache_with_the_same_figures(tmp_path: Path) -> None:
    project = new_project(tmp_path / "project")
    first, second = run(project), run(project)
    assert second.parent.info.run_id != first.parent.info.run_id
    (before,), (after,) = first.children, second.children
    own = {name for name in before.data.metrics if not name.startswith("system/")}
    assert {name: after.data.metrics[name] for name in own} == {name: before.data.metrics[name] for name in own}
    for name in ("ts2vec/loss", "probe/ts2vec/accuracy"):
        points = [
            [(point.step, point.value) for point in one.tracking.client.get_metric_history(child.info.run_id, name)]
            for one, child in ((first, before), (second, after))
        ]
        assert points[0] == points[1]
    for stage in ("ts2vec", "probe"):
        old, new = (json.loads(child.data.tags[f"tswork.stage.{stage}"]) for child in (before, after))
        assert (old["key"], old["status"], new["status"]) == (new["key"], "run", "cached")
    figures = [
        {file.path for file in one.tracking.client.list_artifacts(child.info.run_id, "probe/figures/confusion")}
        for one, child in ((first, before), (second, after))
    ]
    assert figures[0] == figures[1] != set()


def test_results_that_were_replayed_count_once(tmp_path: Path) -> None:
    project = new_project(tmp_path / "project")
    recorded = [run(project), run(project)][0]
    (judged,) = judgements(recorded.tracking, ["waves"])
    assert judged.key == recorded.report.members[0].stages[1].key


class Stop(Silent):
    """Sends the process a signal when a stage shows its first progress."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self.sent = False

    def stage_progress(self, stage: PlannedStage, done: int, total: int, values: Mapping[str, float]) -> None:
        if stage.spec.name == self._stage and not self.sent:
            self.sent = True
            os.kill(os.getpid(), signal.SIGTERM)


TWO = PIPELINE.replace("iterations: 6", "iterations: 3").replace(
    "  probe:", "  other: {uses: ts2vec, iterations: 40, batch_size: 8}\n  probe:"
)


def interrupt(project: Path, text: str = TWO) -> MlflowReporter:
    """Run until the stage `other` has made a step, and be ended by SIGTERM."""
    planned = plan(project, text)
    reporter = MlflowReporter(planned)
    with without_exports(), pytest.raises(Interrupted, match="other: interrupted after step"):
        run_plan(planned, reporter=reporter, observer=Stop("other"))
    return reporter


def test_sigterm_ends_the_runs_as_killed_and_the_stage_goes_on_in_its_own_run(tmp_path: Path) -> None:
    project = new_project(tmp_path / "project")
    interrupt(project)
    tracking = Tracking.open(project, experiment="waves")
    killed = tracking.client.search_runs([tracking.experiment_id])
    assert {one.info.status for one in killed} == {"KILLED"}
    assert len(killed) == 2

    recorded = run(project, TWO)
    assert [stage.status for stage in recorded.report.members[0].stages] == ["cached", "resumed", "run"]
    assert {recorded.parent.info.run_id, recorded.children[0].info.run_id} == {one.info.run_id for one in killed}
    assert len(recorded.tracking.client.search_runs([recorded.tracking.experiment_id])) == 2
    assert recorded.parent.info.status == recorded.children[0].info.status == "FINISHED"
    for name, steps in (("ts2vec/loss", 3), ("other/loss", 40)):
        history = recorded.tracking.client.get_metric_history(recorded.children[0].info.run_id, name)
        assert [point.step for point in history] == list(range(steps)), name


@pytest.mark.parametrize("change", [("name: waves", "name: others"), ("heads: [logistic]", "heads: [knn]")])
def test_a_stage_that_another_pipeline_goes_on_with_is_recorded_in_a_run_of_that(
    tmp_path: Path, change: tuple[str, str]
) -> None:
    project = new_project(tmp_path / "project")
    former = interrupt(project)
    assert former.run_id is not None
    text = TWO.replace(*change)
    assert text != TWO
    recorded = run(project, text)
    assert [stage.status for stage in recorded.report.members[0].stages] == ["cached", "resumed", "run"]
    assert recorded.parent.info.run_id != former.run_id
    assert recorded.tracking.client.get_run(former.run_id).info.status == "KILLED"
    (own,) = recorded.children
    history = recorded.tracking.client.get_metric_history(own.info.run_id, "other/loss")
    assert [point.step for point in history] == list(range(40)), "those before the resumption too"
    path = recorded.tracking.client.download_artifacts(own.info.run_id, "other/scalars.parquet", str(tmp_path))
    curves = pd.read_parquet(path)
    assert sorted(curves[curves["name"] == "loss"]["step"]) == list(range(40))


def test_a_stage_whose_run_was_deleted_gets_a_new_one(tmp_path: Path) -> None:
    project = new_project(tmp_path / "project")
    former = interrupt(project)
    assert former.run_id is not None
    Tracking.open(project, experiment="waves").client.delete_run(former.run_id)
    recorded = run(project, TWO)
    assert recorded.parent.info.run_id != former.run_id
    assert recorded.report.members[0].stages[1].status == "resumed"


def test_a_diverged_training_is_recorded_as_failed_with_its_reason(tmp_path: Path) -> None:
    project = new_project(tmp_path / "project")
    with pytest.raises(TrainingDiverged):
        run(project, PIPELINE.replace("iterations: 6", "iterations: 60, learning_rate: 1e18"))
    tracking = Tracking.open(project, experiment="waves")
    for one in tracking.client.search_runs([tracking.experiment_id]):
        assert one.info.status == "FAILED"
        assert "the loss is not finite at step" in one.data.tags["tswork.reason"]


LEAVE_A_RUN_OPEN = """
import sys, time
from pathlib import Path
from tswork.tracking.client import Tracking
run = Tracking.open(Path(sys.argv[1]), experiment="waves").start("left open", parent=None)
Path(sys.argv[2]).write_text(run)
time.sleep(120)
"""


def test_a_run_of_a_dead_process_is_marked_killed_at_the_next_start(tmp_path: Path) -> None:
    project, note = new_project(tmp_path / "project"), tmp_path / "run"
    process = subprocess.Popen([sys.executable, "-c", LEAVE_A_RUN_OPEN, str(project), str(note)])
    try:
        while not (note.exists() and note.read_text()):
            assert process.poll() is None
            time.sleep(0.05)
        tracking = Tracking.open(project, experiment="waves")
        assert tracking.mark_dead() == []
        process.kill()
        process.wait()
        assert tracking.mark_dead() == [note.read_text()]
        run = tracking.client.get_run(note.read_text())
        assert (run.info.status, run.data.tags["tswork.reason"]) == ("KILLED", "the process ended without a word")
    finally:
        process.kill()
        process.wait()


def test_runs_of_other_machines_are_dead_when_they_are_silent_and_runs_of_others_are_left_alone(tmp_path: Path) -> None:
    tracking = Tracking.open(new_project(tmp_path / "project"), experiment="waves")
    away = json.dumps({"host": "elsewhere", "pid": 1, "started": 0.0})
    silent, beating, foreign = (tracking.start(name, parent=None) for name in ("silent", "beating", "foreign"))
    tracking.tag(silent, {"tswork.process": away, "tswork.heartbeat": time.time() - 1000})
    tracking.tag(beating, {"tswork.process": away, "tswork.heartbeat": time.time()})
    tracking.client.delete_tag(foreign, "tswork.process")
    assert tracking.mark_dead() == [silent]


def test_a_process_that_got_the_number_of_a_dead_one_does_not_keep_its_run_alive(tmp_path: Path) -> None:
    import socket

    tracking = Tracking.open(new_project(tmp_path / "project"), experiment="waves")
    run_id = tracking.start("old", parent=None)
    tracking.tag(
        run_id, {"tswork.process": json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "started": 5})}
    )
    assert tracking.mark_dead() == [run_id]
