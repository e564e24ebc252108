"""Opening the store of runs: where it is, that it is there before anything trains, and that nobody is in anybody's way."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from tests.tracking.projects import new_project, plan
from tswork.errors import TrackingUnreachable
from tswork.pipeline.runner import run_plan
from tswork.tracking import client as module
from tswork.tracking.client import NothingRecorded, Tracking, is_away
from tswork.tracking.locations import artifact_location, tracking_uri, ui_command
from tswork.tracking.reporter import MlflowReporter

OPEN = """
import sys
from pathlib import Path
from tswork.tracking.client import Tracking
tracking = Tracking.open(Path(sys.argv[1]), experiment="shared")
print(tracking.start("run", parent=None), tracking.experiment_id)
"""


def test_several_processes_that_open_one_new_database_at_once_all_succeed(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", OPEN, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    answers = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], answers
    runs, experiments = zip(*(out.split() for out, _ in answers), strict=True)
    assert len(set(runs)) == 3
    assert len(set(experiments)) == 1


def test_runs_are_kept_beside_the_project(tmp_path: Path) -> None:
    tracking = Tracking.open(new_project(tmp_path / "project"), experiment="one")
    assert tracking.uri == f"sqlite:///{tmp_path}/project/.tswork/mlflow.db"
    found = tracking.client.get_experiment(tracking.experiment_id)
    assert found.artifact_location == f"file://{tmp_path}/project/.tswork/artifacts/one"


def test_an_old_mlruns_folder_nearby_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = new_project(tmp_path / "project")
    (project / "mlruns" / "0").mkdir(parents=True)
    monkeypatch.chdir(project)
    tracking = Tracking.open(project, experiment="one")
    run = tracking.start("run", parent=None)
    tracking.client.log_text(run, "x", "x.txt")
    assert [path.name for path in (project / "mlruns").rglob("*")] == ["0"]
    import mlflow

    assert mlflow.get_tracking_uri() == mlflow.get_registry_uri() == tracking.uri


def test_the_environment_names_another_store_and_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = new_project(tmp_path / "elsewhere")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{elsewhere}/.tswork/mlflow.db")
    tracking = Tracking.open(tmp_path / "project", experiment="one")
    assert tracking.uri == os.environ["MLFLOW_TRACKING_URI"] == tracking_uri(tmp_path / "project")
    assert not (tmp_path / "project" / ".tswork" / "mlflow.db").exists()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    Tracking.open(elsewhere, experiment="one")
    assert "MLFLOW_TRACKING_URI" not in os.environ


def test_the_pages_are_for_one_reader_on_this_machine(tmp_path: Path) -> None:
    command = ui_command(tmp_path, port=5001)
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[command.index("--workers") + 1] == "1"


def test_a_server_puts_artifacts_where_it_wants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example.org")
    assert artifact_location(tmp_path) is None
    assert "--default-artifact-root" not in ui_command(tmp_path)


def test_an_unreachable_server_is_tried_again_and_then_named_within_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    planned = plan(tmp_path)
    started = time.perf_counter()
    with pytest.raises(TrackingUnreachable) as refused:
        MlflowReporter(planned)
    assert 3 <= time.perf_counter() - started < 20  # it waits one second, then two
    assert refused.value.exit_code == 1
    assert str(refused.value) == (
        "the tracking server at http://127.0.0.1:9 cannot be reached: Connection refused. Start it, or unset"
        " MLFLOW_TRACKING_URI to log beside the project. Nothing was trained."
    )
    assert not list(tmp_path.glob(".tswork/store/*/*/done.json"))


def test_a_store_that_fails_when_the_run_begins_is_named_before_anything_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = plan(new_project(tmp_path / "project"))
    reporter = MlflowReporter(planned)

    def fail(*_: object, **__: object) -> None:
        raise MlflowException("(sqlite3.OperationalError) database or disk is full")

    monkeypatch.setattr(Tracking, "start", fail)
    with pytest.raises(TrackingUnreachable, match=r"database or disk is full\. Look whether the disk is full"):
        run_plan(planned, reporter=reporter)
    assert not list((tmp_path / "project").glob(".tswork/store/*/*/stage.json"))


def test_half_a_database_is_not_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ATTEMPTS", 1)

    def fail(*_: object, **__: object) -> None:
        (tmp_path / ".tswork" / "mlflow.db").write_bytes(b"half")
        raise MlflowException("(sqlite3.OperationalError) database or disk is full")

    with monkeypatch.context() as broken:
        broken.setattr("mlflow.MlflowClient", fail)
        with pytest.raises(TrackingUnreachable):
            Tracking.open(tmp_path, experiment="one")
    assert Tracking.open(tmp_path, experiment="one").start("run", parent=None)


def test_reading_does_not_create_a_store(tmp_path: Path) -> None:
    with pytest.raises(NothingRecorded, match=f"nothing was recorded under {tmp_path} yet. Run a pipeline first"):
        Tracking.attach(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert Tracking.attach(new_project(tmp_path / "project")).experiment_id


def test_an_experiment_that_was_deleted_is_there_again(tmp_path: Path) -> None:
    project = new_project(tmp_path / "project")
    first = Tracking.open(project, experiment="one")
    first.client.delete_experiment(first.experiment_id)
    again = Tracking.open(project, experiment="one")
    assert again.experiment_id == first.experiment_id
    assert again.start("run", parent=None)


@pytest.mark.parametrize("name", ["../../outside", "/etc", "a b/c", "naïve: 100 %?", ".."])
def test_experiments_may_have_any_name_and_stay_in_their_folder(tmp_path: Path, name: str) -> None:
    tracking = Tracking.open(new_project(tmp_path / "project"), experiment=name)
    run = tracking.start("run", parent=None)
    tracking.client.log_text(run, "x", "x.txt")
    (written,) = tmp_path.rglob("x.txt")
    assert written.is_relative_to(tmp_path / "project" / ".tswork" / "artifacts")
    assert tracking.client.get_experiment(tracking.experiment_id).name == name


def test_telemetry_is_off(tmp_path: Path) -> None:
    script = (
        "from pathlib import Path\nimport sys\nfrom tswork.tracking.client import Tracking\n"
        "Tracking.open(Path(sys.argv[1]), experiment='one')\n"
        "from mlflow.telemetry.client import get_telemetry_client\nprint(get_telemetry_client())"
    )
    command = [sys.executable, "-c", script, str(new_project(tmp_path / "project"))]
    untouched = {name: value for name, value in os.environ.items() if name not in module.QUIET}
    done = subprocess.run(command, env=untouched, capture_output=True, text=True, timeout=120, check=True)
    assert (done.stdout.strip(), done.stderr) == ("None", "")


def test_a_user_may_turn_telemetry_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    module.import_quietly()
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "false"


def test_tags_and_parameters_of_any_length_and_name_are_taken(tmp_path: Path) -> None:
    tracking = Tracking.open(new_project(tmp_path / "project"), experiment="one")
    run = tracking.start("r" * 1000, parent=None, tags={"a?b": "x" * 10_000})
    tracking.params(run, {f"key {number}": "v" * 10_000 for number in range(150)} | {"a@b": 1, "a.b": 2})
    tracking.tag(run, {f"tag/{number}/": "t" * 10_000 for number in range(150)})
    data = tracking.client.get_run(run).data
    assert len(data.params) == 151
    assert len([name for name in data.tags if name.startswith("tag/")]) == 150


def test_errors_that_pass_are_told_from_those_that_do_not() -> None:
    from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, TEMPORARILY_UNAVAILABLE

    assert is_away(ConnectionRefusedError())
    assert is_away(MlflowException("API request to x failed with exception y"))
    assert is_away(MlflowException("busy", error_code=TEMPORARILY_UNAVAILABLE))
    assert not is_away(MlflowException("no", error_code=INVALID_PARAMETER_VALUE))
    assert not is_away(TypeError())
