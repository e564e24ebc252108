"""A pipeline of continual methods from its file to its figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.waves import write_pipeline, write_waves
from tswork.data.places import Places
from tswork.data.tasks_spec import TasksSpec
from tswork.errors import PipelineInvalid
from tswork.pipeline.checking import open_member
from tswork.pipeline.loading import load_pipeline
from tswork.pipeline.plan import make_plan
from tswork.pipeline.reporting import Unreported
from tswork.pipeline.runner import RunReport, run_plan

CONTINUAL = """\
version: 1
name: tasks
seed: 7
data: {reader: arrays, path: waves.npz, tasks: {step: 2}, split: {by: official}}
encoder: {uses: dilated_conv, depth: 2, dim: 8, hidden: 4}
stages:
  finetune: {uses: finetune, iterations: 3, batch_size: 8}
  er:       {uses: er, iterations: 3, batch_size: 8, memory: 4, selection: herding}
  joint:    {uses: joint, iterations: 3, batch_size: 8}
  judge:    {uses: continual, needs: [finetune, er, joint]}
"""


def run(folder: Path, text: str = CONTINUAL) -> RunReport:
    write_waves(folder, classes=4, cases=32)
    plan = make_plan(load_pipeline(write_pipeline(folder, text), places=Places.here(folder)))
    return run_plan(plan, reporter=Unreported())


def test_continual_methods_are_judged_beside_their_controls_and_found_again(tmp_path: Path) -> None:
    first, second = run(tmp_path), run(tmp_path)
    assert {stage.status for stage in second.members[0].stages} == {"cached"}
    metrics = second.members[0].metrics
    assert metrics == first.members[0].metrics
    for row in ("majority", "random", "finetune", "er", "joint"):
        assert 0 <= metrics[f"judge/{row}/average_accuracy_by_sample"] <= 1
        assert f"judge/{row}/accuracy@t2" in metrics


def test_models_that_classify_and_models_that_write_are_judged_together(tmp_path: Path) -> None:
    decoder = "decoder: {dim: 8, layers: 1, heads: 2}"
    text = (
        CONTINUAL.replace("tasks: {step: 2}", "tasks: {step: 2}, text: {vocabulary: 20}")
        .replace("{uses: er,", f"{{uses: er, answer: text, {decoder},")
        .replace("{uses: continual,", "{uses: continual, beams: 2,")
    )
    text = text.replace("needs: [finetune, er,", "needs: [er, finetune,")
    metrics = run(tmp_path, text).members[0].metrics
    assert metrics["judge/finetune/average_accuracy_by_sample"] >= 0
    assert "judge/random.er/average_string_wer" in metrics
    assert "judge/random.finetune/average_string_wer" not in metrics
    assert "judge/finetune/forward_transfer_all_classes" in metrics
    assert metrics["judge/er/average_string_wer"] > 0
    assert not {name for name in metrics if "transcript" in name or "slu" in name}


OTHER_ENCODER = "{uses: er, encoder: {uses: dilated_conv, depth: 3, dim: 8, hidden: 4},"


@pytest.mark.parametrize("er", [OTHER_ENCODER, "{uses: er, pooling: mean,"])
def test_stages_that_start_from_different_models_have_untrained_ones_of_their_own(tmp_path: Path, er: str) -> None:
    """Each forward transfer is over its own start, which is exactly the model that was trained."""
    text = CONTINUAL.replace("{uses: er,", er).replace("iterations: 3", "iterations: 1, learning_rate: 1e-12")
    report = run(tmp_path, text).members[0]
    rows = report.results["judge"].rows
    assert {"random.finetune", "random.er", "random.joint"} <= set(rows["row"])
    assert "random" not in set(rows["row"])
    for name in ("finetune", "er"):
        assert report.metrics[f"judge/{name}/forward_transfer_all_classes"] == pytest.approx(0)
        own = f"judge/random.{name}/accuracy@t2"
        assert report.metrics[f"judge/{name}/accuracy@t2"] == report.metrics[own]


@pytest.mark.parametrize(
    ("changed", "told"),
    [("pooling: max", None), ("dropout: 0.3", None), ("merge_dropout: 0.1", None), ("pooling: mean", "of each stage")],
)
def test_keys_stay_where_the_untrained_model_of_the_first_stage_is_that_of_all(
    tmp_path: Path, changed: str, told: str | None
) -> None:
    write_waves(tmp_path, classes=4, cases=32)
    text = CONTINUAL.replace("{uses: er,", f"{{uses: er, {changed},")
    plan = make_plan(load_pipeline(write_pipeline(tmp_path, text), places=Places.here(tmp_path)))
    assert plan.members[0].stages[-1].inputs.get("controls") == told


def test_a_model_that_cannot_classify_and_tasks_that_do_not_fit_are_refused_where_they_stand(tmp_path: Path) -> None:
    text = CONTINUAL.replace("{uses: finetune, iterations", "{uses: ts2vec, iterations")
    with pytest.raises(PipelineInvalid, match="models that can answer"):
        run(tmp_path, text)
    with pytest.raises(PipelineInvalid, match=r"stages\.er.*a memory of 3 samples is smaller than the 4 classes"):
        run(tmp_path, CONTINUAL.replace("memory: 4", "memory: 3"))
    with pytest.raises(PipelineInvalid, match="4 classes cannot be divided into 3 classes at a time"):
        run(tmp_path, CONTINUAL.replace("step: 2", "step: 3"))
    with pytest.raises(PipelineInvalid, match=r"answer: text: the data have no texts"):
        run(tmp_path, CONTINUAL.replace("{uses: joint,", "{uses: joint, answer: text,"))


def test_every_seed_may_have_an_order_of_classes_of_its_own(tmp_path: Path) -> None:
    text = CONTINUAL.replace("step: 2", "step: 2, order_seed: seed").replace(
        "seed: 7", "seed: 7\nsweep: {seed: [1, 2]}"
    )
    write_waves(tmp_path, classes=4, cases=32)
    plan = make_plan(load_pipeline(write_pipeline(tmp_path, text), places=Places.here(tmp_path)))
    found = [open_member(one.member, plan).splits[0].train.collection.tasks for one in plan.members]
    assert found == [TasksSpec(step=2, order_seed=1), TasksSpec(step=2, order_seed=2)]
