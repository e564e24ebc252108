"""Plans and runs: what is computed, what is reused, why, and that nothing finished is ever lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.pipeline.waves import PIPELINE, write_pipeline, write_waves
from tswork.data.places import Places
from tswork.errors import DataInvalid, PipelineInvalid, TrainingDiverged
from tswork.pipeline.loading import load_pipeline
from tswork.pipeline.plan import Plan, make_plan
from tswork.pipeline.reporting import Unreported
from tswork.pipeline.runner import RunReport, run_plan
from tswork.store import Entry, Store


def plan(folder: Path, text: str = PIPELINE, *, verify: bool = False) -> Plan:
    return make_plan(load_pipeline(write_pipeline(folder, text), places=Places.here(folder)), verify=verify)


def run(folder: Path, text: str = PIPELINE) -> RunReport:
    return run_plan(plan(folder, text), reporter=Unreported())


def finished_stages(folder: Path) -> list[Entry]:
    return [entry for entry in Store(Places.here(folder).store).entries() if "stage" in entry.about]


def statuses(planned: Plan) -> list[tuple[str, str]]:
    return [(stage.status, stage.reason) for member in planned.members for stage in member.stages]


def test_a_new_pipeline_runs_and_a_second_run_computes_nothing(tmp_path: Path) -> None:
    assert statuses(plan(tmp_path)) == [("run", "never run"), ("run", "needs ts2vec")]
    first, second = run(tmp_path), run(tmp_path)
    assert [stage.status for stage in first.members[0].stages] == ["run", "run"]
    assert [stage.status for stage in second.members[0].stages] == ["cached", "cached"]
    assert first.members[0].metrics == second.members[0].metrics
    assert statuses(plan(tmp_path)) == [("cached", "nothing it depends on has changed")] * 2


def test_results_carry_the_controls_and_the_headline(tmp_path: Path) -> None:
    metrics = run(tmp_path).members[0].metrics
    for row in ("majority", "random", "ts2vec"):
        assert 0 <= metrics[f"probe/{row}/accuracy"] <= 1
    assert metrics["probe/accuracy"] == metrics["probe/ts2vec/accuracy"]


def test_the_untrained_control_is_where_training_began(tmp_path: Path) -> None:
    text = PIPELINE.replace("iterations: 6", "iterations: 1, learning_rate: 1e-12")
    rows = run(tmp_path, text).members[0].results["probe"].rows
    figures = rows.set_index(["row", "metric"])["value"]
    assert figures["random"].to_dict() == pytest.approx(figures["ts2vec"].to_dict())


def test_a_plan_says_what_changed(tmp_path: Path) -> None:
    run(tmp_path)
    assert statuses(plan(tmp_path, PIPELINE.replace("iterations: 6", "iterations: 7"))) == [
        ("run", "changed: iterations 6 -> 7"),
        ("run", "needs ts2vec"),
    ]
    changed = statuses(plan(tmp_path, PIPELINE.replace("heads: [logistic]", "heads: [knn]")))
    assert changed == [
        ("cached", "nothing it depends on has changed"),
        ("run", "changed: heads ['logistic'] -> ['knn']"),
    ]
    write_waves(tmp_path, seed=1)
    assert statuses(plan(tmp_path))[0] == ("run", "changed: the data files")


def test_moving_the_data_or_describing_it_changes_no_key(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    os.rename(tmp_path / "waves.npz", tmp_path / "elsewhere" / "w.npz")
    text = PIPELINE.replace("path: waves.npz", "path: elsewhere/w.npz\n  title: moved").replace(
        "name: waves\n", "name: waves\ndescription: x\n"
    )
    write_waves(tmp_path)
    assert [status for status, _ in statuses(plan(tmp_path, text))] == ["cached", "cached"]


def test_members_of_a_sweep_share_the_stages_they_have_in_common(tmp_path: Path) -> None:
    text = PIPELINE + "sweep: {stages.probe.heads: [[logistic], [knn]]}\n"
    report = run(tmp_path, text)
    assert [[stage.status for stage in member.stages] for member in report.members] == [
        ["run", "run"],
        ["cached", "run"],
    ]


def test_data_that_cannot_be_used_stop_everything_before_training(tmp_path: Path) -> None:
    text = PIPELINE.replace("{by: official}", "{by: groups, fractions: [0, 0, 1]}") + "sweep: {seed: [1, 2]}\n"
    with pytest.raises(DataInvalid, match="the training part is empty"):
        run(tmp_path, text)
    assert finished_stages(tmp_path) == []


def test_models_that_cannot_be_built_stop_everything_before_training(tmp_path: Path) -> None:
    text = PIPELINE + "  patched: {uses: ts2vec, encoder: {uses: transformer, dim: 8, heads: 2, patch: 4, layers: 1}}\n"
    with pytest.raises(PipelineInvalid, match=r"yaml:12:12  stages.patched: .* Use an encoder of stride 1"):
        run(tmp_path, text)
    assert finished_stages(tmp_path) == []


def test_training_data_that_a_method_refuses_stop_everything_before_training(tmp_path: Path) -> None:
    text = PIPELINE + "  patients: {uses: clocs, patient: labl}\n"
    with pytest.raises(PipelineInvalid) as refused:
        run(tmp_path, text)
    told = r"yaml:12:13  stages.patients (patient): the table has no column 'labl'. Did you mean 'label'?"
    assert told in str(refused.value)
    assert finished_stages(tmp_path) == []


def test_a_method_that_takes_its_encoder_twice_has_a_control_of_its_own(tmp_path: Path) -> None:
    text = PIPELINE.replace("needs: ts2vec", "needs: [ts2vec, both]").replace(
        "  probe:", "  both: {uses: tf_c, iterations: 2, epochs: 1}\n  probe:"
    )
    rows = set(run(tmp_path, text).members[0].results["probe"].rows["row"])
    assert {"random.ts2vec", "random.both", "ts2vec", "both"} <= rows
    assert "random" not in rows


def test_an_encoder_that_is_judged_at_more_steps_than_it_takes_is_refused_before_it_trains(tmp_path: Path) -> None:
    text = PIPELINE.replace(
        "{uses: dilated_conv, depth: 2, dim: 8, hidden: 4}", "{uses: trend_seasonal, length: 30, dim: 8}"
    )
    with pytest.raises(PipelineInvalid) as refused:
        run(tmp_path, text)
    told = "stages.probe: gives the encoder of ts2vec 40 steps at once, and it takes at most 30. Give the encoder `length: 40`"
    assert told in str(refused.value)
    assert finished_stages(tmp_path) == []


def test_a_diverging_training_fails_by_name_and_keeps_what_was_finished(tmp_path: Path) -> None:
    text = PIPELINE + "  wild: {uses: ts2vec, iterations: 60, learning_rate: 1e18}\n"
    with pytest.raises(TrainingDiverged, match="wild: the loss is not finite at step"):
        run(tmp_path, text)
    assert [status for status, _ in statuses(plan(tmp_path))] == ["cached", "run"] or [
        status for status, _ in statuses(plan(tmp_path))
    ] == ["cached", "cached"]


def test_a_failure_in_a_sweep_names_its_member_and_what_became_of_the_others(tmp_path: Path) -> None:
    sweep = "sweep: {stages.ts2vec.learning_rate: [0.001, 1.0e+30, 0.002, 0.003]}\n"
    with pytest.raises(TrainingDiverged) as failed:
        run(tmp_path, PIPELINE + sweep)
    assert failed.value.__notes__ == [
        "This was stages.ts2vec.learning_rate=1e+30, member 2 of 4; 1 member before it is kept and 2 members after it were not begun."
    ]


@pytest.mark.slow
@pytest.mark.parametrize("after", [0.1, 0.9])
def test_after_kill_9_the_weights_are_those_of_an_uninterrupted_run(tmp_path: Path, after: float) -> None:
    text = PIPELINE.replace("iterations: 6", "iterations: 150")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
        write_pipeline(folder, text)
    run(whole, text)
    process = start(killed)
    wait_for_checkpoint(killed, process)
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (stage, _) = statuses(plan(killed, text))
    assert stage in (
        ("resume", "an interrupted run left a checkpoint"),
        ("cached", "nothing it depends on has changed"),
    )
    run(killed, text)
    weights = [
        load_file(next(Store(Places.here(folder).store).path.glob("*/*/model-0/weights.safetensors")))
        for folder in (whole, killed)
    ]
    assert weights[0].keys() == weights[1].keys()
    for name, value in weights[0].items():
        np.testing.assert_array_equal(value, weights[1][name], err_msg=name)


SCRIPT = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(int(sys.argv[2]))
from tswork.data.places import Places
from tswork.pipeline.loading import load_pipeline
from tswork.pipeline.plan import make_plan
from tswork.pipeline.reporting import Unreported
from tswork.pipeline.runner import run_plan
folder = Path(sys.argv[1])
places = Places.here(folder, beside=folder)
plan = make_plan(load_pipeline(folder / "waves.yaml", places=places))
run_plan(plan, reporter=Unreported(), checkpoint_seconds=0.3)
"""


def start(folder: Path) -> subprocess.Popen[bytes]:
    import torch

    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(folder), str(torch.get_num_threads())], cwd=Path.cwd())


def wait_for_checkpoint(folder: Path, process: subprocess.Popen[bytes]) -> None:
    for _ in range(1200):
        if list(folder.glob(".tswork/store/*/*.work/checkpoints/step-*/manifest.json")) or process.poll() is not None:
            return
        time.sleep(0.05)
    raise AssertionError("no checkpoint was written within a minute")


def test_two_processes_on_one_key_compute_it_once(tmp_path: Path) -> None:
    write_pipeline(tmp_path, PIPELINE)
    processes = [start(tmp_path) for _ in range(2)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    assert len(finished_stages(tmp_path)) == 2


def test_every_entry_tells_what_it_was_made_from(tmp_path: Path) -> None:
    run(tmp_path)
    for entry in finished_stages(tmp_path):
        assert entry.about["pipeline"] == "waves"
        assert len(entry.about["data"]["digest"]) == 64
        assert entry.about["packages"]["torch"]
        json.dumps(entry.about)
