"""What a finished run leaves in MLflow: everything that is needed to trust, to compare and to repeat it."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pandas as pd
import pytest
from mlflow.entities import Run

import tswork
from tests.pipeline.waves import PIPELINE
from tests.tracking.projects import Recorded, artifacts, run
from tswork.data.places import Places
from tswork.errors import TsworkWarning
from tswork.pipeline.loading import load_pipeline
from tswork.pipeline.plan import make_plan
from tswork.tracking.reading import judgements
from tswork.tracking.reporter import over_members

SWEEP = PIPELINE + "description: waves of two classes\ntags: {team: 'a?b', 'odd key!': x}\nsweep: {seed: [1, 2]}\n"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return run(tmp_path_factory.mktemp("project"), SWEEP)


@pytest.fixture(scope="module")
def files(recorded: Recorded, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Artifacts of the first member."""
    return artifacts(recorded, recorded.children[0].info.run_id, tmp_path_factory.mktemp("artifacts"))


def test_a_run_is_a_parent_with_a_child_for_each_member(recorded: Recorded) -> None:
    runs = recorded.tracking.client.search_runs([recorded.tracking.experiment_id])
    assert len(runs) == 3
    assert {one.info.status for one in runs} == {"FINISHED"}
    assert recorded.parent.info.run_name == "waves"
    assert [one.info.run_name for one in recorded.children] == ["seed=1", "seed=2"]
    for child in recorded.children:
        assert child.data.tags["mlflow.parentRunId"] == recorded.parent.info.run_id
    assert recorded.tracking.client.get_experiment(recorded.tracking.experiment_id).name == "waves"


def test_parameters_are_the_resolved_options_flat_with_dots(recorded: Recorded) -> None:
    params = recorded.children[0].data.params
    assert params["seed"] == "1"
    assert params["stages.ts2vec.iterations"] == "6"
    assert params["stages.ts2vec.encoder.uses"] == "dilated_conv"
    assert params["stages.ts2vec.encoder.dim"] == "8"
    assert params["stages.ts2vec.learning_rate"] == "0.001"  # a default
    assert params["stages.probe.needs"] == "['ts2vec']"
    assert params["data.split.by"] == "official"
    assert "None" not in params.values()


def test_a_figure_is_averaged_over_the_members_in_which_it_is_defined() -> None:
    nan, inf = float("nan"), float("inf")
    assert over_members("tune/macro_f1", [0.5, nan, 1.0, inf]) == {
        "tune/macro_f1": 0.75,
        "tune/macro_f1.std": pytest.approx(0.5 / 2**0.5),
    }
    assert over_members("tune/macro_f1", [0.5, nan]) == {"tune/macro_f1": 0.5}
    assert over_members("tune/macro_f1", [nan, nan]) == {}


def test_the_parent_shows_what_its_members_share_and_what_was_swept(recorded: Recorded) -> None:
    params = recorded.parent.data.params
    assert params["stages.ts2vec.encoder.dim"] == "8"
    assert params["sweep.seed"] == "[1, 2]"
    assert params["members"] == "2"
    assert "seed" not in params


def test_the_resolved_pipeline_is_a_pipeline_with_the_same_keys(recorded: Recorded, files: Path) -> None:
    project = Path(recorded.parent.data.tags["mlflow.source.name"]).parent
    (project / "again.yaml").write_text((files / "pipeline.resolved.yaml").read_text())
    (member,) = make_plan(load_pipeline(project / "again.yaml", places=Places.here(project))).members
    assert {stage.spec.name: stage.key for stage in member.stages} == {
        stage.name: stage.key for stage in recorded.report.members[0].stages
    }
    assert all(stage.status == "cached" for stage in member.stages)


def test_metrics_are_named_by_stage_row_and_metric_and_the_headline_stands_above(recorded: Recorded) -> None:
    for member, child in zip(recorded.report.members, recorded.children, strict=True):
        for name, value in member.metrics.items():
            assert child.data.metrics[name] == pytest.approx(value)
        assert child.data.metrics["probe/accuracy"] == child.data.metrics["probe/ts2vec/accuracy"]
        assert {"probe/majority/accuracy", "probe/random/accuracy"} <= set(child.data.metrics)


def test_the_parent_holds_mean_and_spread_of_the_headlines(recorded: Recorded) -> None:
    metrics = recorded.parent.data.metrics
    for name in ("probe/accuracy", "probe/ts2vec/accuracy", "probe/random/accuracy", "probe/majority/accuracy"):
        values = [member.metrics[name] for member in recorded.report.members]
        assert metrics[name] == pytest.approx(statistics.fmean(values))
        assert metrics[f"{name}.std"] == pytest.approx(statistics.stdev(values))
    assert not [name for name in metrics if "macro" in name]


def test_curves_and_their_full_history_are_there(recorded: Recorded, files: Path) -> None:
    history = recorded.tracking.client.get_metric_history(recorded.children[0].info.run_id, "ts2vec/loss")
    assert [point.step for point in history] == list(range(6))
    full = pd.read_parquet(files / "ts2vec" / "scalars.parquet")
    assert full[full["name"] == "loss"]["value"].tolist() == pytest.approx([point.value for point in history])


def test_the_machine_is_watched(recorded: Recorded) -> None:
    metrics = recorded.children[0].data.metrics
    assert metrics["system/process_memory_usage_megabytes"] > 50
    assert {"system/cpu_utilization_percentage", "system/system_memory_usage_megabytes"} <= set(metrics)


def test_the_data_are_an_input_with_our_own_digest(recorded: Recorded, files: Path) -> None:
    child = recorded.children[0]
    assert child.inputs is not None
    (given,) = child.inputs.dataset_inputs
    assert len(given.dataset.digest) == 32
    assert child.data.tags["tswork.data_digest"].startswith(given.dataset.digest)
    assert len(child.data.tags["tswork.data_digest"]) == 64
    assert [(tag.key, tag.value) for tag in given.tags] == [("mlflow.data.context", "train, validation, test")]
    assert json.loads(str(given.dataset.profile)) == {"num_rows": 960, "num_sequences": 24, "num_elements": 960}
    card = (files / "data_card.yaml").read_text()
    assert child.data.tags["tswork.data_digest"] in card
    assert "reader: arrays" in card


def test_results_figures_and_predictions_are_artifacts(files: Path) -> None:
    names = {file.relative_to(files).as_posix() for file in files.rglob("*") if file.is_file()}
    assert {
        "probe/rows.parquet",
        "probe/units.parquet",
        "probe/predictions.parquet",
        "probe/figures/confusion/ts2vec.png",
        "probe/figures/confusion/random.png",
        "probe/tables/confusion.parquet",
    } <= names
    assert (files / "probe/figures/confusion/ts2vec.png").read_bytes().startswith(b"\x89PNG")
    predicted = pd.read_parquet(files / "probe/predictions.parquet")
    assert set(predicted["predicted"]) <= {"0", "1"}


def test_each_stage_is_tagged_with_its_key(recorded: Recorded) -> None:
    for member, child in zip(recorded.report.members, recorded.children, strict=True):
        for stage in member.stages:
            about = json.loads(child.data.tags[f"tswork.stage.{stage.name}"])
            assert (about["key"], about["status"]) == (stage.key, "run")


def test_origin_description_and_tags_of_the_user_are_shown(recorded: Recorded) -> None:
    for one in (recorded.parent, *recorded.children):
        assert one.data.tags["mlflow.note.content"].startswith("waves of two classes\n\n")
        assert one.data.tags["mlflow.source.name"].endswith("waves.yaml")
        assert (one.data.tags["team"], one.data.tags["odd key_"]) == ("a?b", "x")
        assert json.loads(one.data.tags["tswork.versions"])["torch"]


def test_the_page_of_a_run_shows_its_results_and_the_whole_run_has_them_all_as_a_table(
    recorded: Recorded, tmp_path: Path
) -> None:
    note = recorded.parent.data.tags["mlflow.note.content"]
    mean = statistics.fmean(member.metrics["probe/majority/accuracy"] for member in recorded.report.members)
    assert "**probe (mean of 2 seeds)** (accuracy: greater is better)" in note
    assert f"| majority | {mean:.4f} |" in note
    own = recorded.children[1].data.tags["mlflow.note.content"]
    assert f"| majority | {recorded.report.members[1].metrics['probe/majority/accuracy']:.4f} |" in own
    table = pd.read_csv(
        artifacts(recorded, recorded.parent.info.run_id, tmp_path) / "results.csv", keep_default_na=False
    )
    pd.testing.assert_frame_equal(table, recorded.report.rows, check_dtype=False)
    assert table.columns.tolist() == ["seed", "stage", "row", "role", "metric", "at", "value"]


def test_what_was_judged_belongs_to_the_model_that_was_judged(recorded: Recorded) -> None:
    child = recorded.children[0]
    assert child.outputs is not None
    (output,) = child.outputs.model_outputs
    model = recorded.tracking.client.get_logged_model(output.model_id)
    assert (model.name, str(model.status), model.model_type) == ("ts2vec", "READY", "ts2vec")
    assert model.params["encoder.dim"] == "8"
    figures = {metric.key: metric.value for metric in model.metrics or []}
    assert figures["probe/ts2vec/accuracy"] == child.data.metrics["probe/ts2vec/accuracy"]
    assert "probe/random/accuracy" not in figures


def test_a_leak_that_was_allowed_is_tagged(tmp_path: Path) -> None:
    text = PIPELINE.replace("{by: official}", "{by: official, allow_leak: the published split has it}")
    project = tmp_path / "project"
    clean = run(project, text)
    assert "tswork.leaky" not in clean.children[0].data.tags
    _repeat_a_training_case_in_the_test_half(project)
    leaky: Run = run(project, text).children[0]
    assert "1 sequence of test has the same content as one of train" in leaky.data.tags["tswork.leaky"]


def _repeat_a_training_case_in_the_test_half(project: Path) -> None:
    import numpy as np

    with np.load(project / "waves.npz") as stored:
        arrays = {name: stored[name].copy() for name in stored.files}
    arrays["X_test"][0] = arrays["X_train"][0]
    np.savez(project / "waves.npz", **arrays)


def test_a_pipeline_without_a_sweep_has_a_parent_and_one_child(tmp_path: Path) -> None:
    recorded = run(tmp_path / "project")
    (child,) = recorded.children
    assert child.data.tags["mlflow.parentRunId"] == recorded.parent.info.run_id
    assert recorded.parent.data.metrics == {
        name: value
        for name, value in child.data.metrics.items()
        if name.startswith("probe/") and name.endswith("/accuracy")
    }


def test_new_data_are_predicted_by_the_id_of_a_run_and_its_beginning(recorded: Recorded) -> None:
    project = Path(recorded.parent.data.tags["mlflow.source.name"]).parent
    by_file = tswork.predict(project / "waves.yaml", project / "waves.npz", root=project, member="seed=2")
    parent, child = recorded.parent.info.run_id, recorded.children[1].info.run_id
    for run_id, member in ((child, None), (child[:12], None), (parent, "seed=2")):
        by_id = tswork.predict(run_id, project / "waves.npz", root=project, member=member)
        pd.testing.assert_frame_equal(by_id, by_file)


def test_a_run_knows_where_the_files_of_its_card_are(tmp_path: Path) -> None:
    cards = tmp_path / "data_cards"
    cards.mkdir()
    (cards / "w.yaml").write_text("reader: arrays\npath: ../waves.npz\nsplit: {by: official}\n")
    block = PIPELINE[PIPELINE.index("data:") : PIPELINE.index("encoder:")]
    done = run(tmp_path, PIPELINE.replace(block, "data: {card: w}\n"))
    by_id = tswork.predict(done.children[0].info.run_id, tmp_path / "waves.npz", root=tmp_path)
    pd.testing.assert_frame_equal(by_id, tswork.predict(tmp_path / "waves.yaml", tmp_path / "waves.npz", root=tmp_path))


def test_results_whose_files_are_gone_are_named(tmp_path: Path) -> None:
    done = run(tmp_path, PIPELINE)
    child = done.children[0].info.run_id
    assert [one.stage for one in judgements(done.tracking, ["waves"])] == ["probe"]
    (gone,) = (tmp_path / ".tswork").rglob(f"{child}/artifacts/probe/rows.parquet")
    gone.unlink()
    with pytest.warns(TsworkWarning, match=f"without probe of run {child[:8]}, whose results are not among the files"):
        assert judgements(done.tracking, ["waves"]) == []
