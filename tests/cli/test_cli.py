"""The command as a person uses it: exit codes, one JSON document, messages without tracebacks, lightness."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import Done, tswork
from tests.encoders.speech_checkpoints import write_checkpoint
from tests.pipeline.waves import PIPELINE, write_pipeline
from tswork import door
from tswork.cli.doctor import _decode_edf, _decode_wfdb, _encoders, _try


def as_a_process(folder: Path, *arguments: str) -> Done:
    """The command as a shell starts it; what needs no process of its own is run in that of the tests."""
    script = "from tswork.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2]), "COLUMNS": "160"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def document(done: Done) -> Any:
    assert done.code == 0, done.err
    return done.document


def references(value: Any) -> Iterator[str]:
    """All `$ref` of a schema."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref":
                yield item
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose pipeline was run once."""
    folder = tmp_path_factory.mktemp("project")
    write_pipeline(folder)
    done = as_a_process(folder, "run", "waves.yaml", "--json")
    assert done.code == 0, done.err
    (folder / "first.json").write_text(done.out)
    return folder


def test_run_prints_one_json_document(project: Path) -> None:
    first = json.loads((project / "first.json").read_text())
    assert [(stage["name"], stage["status"]) for stage in first["stages"]] == [("ts2vec", "run"), ("probe", "run")]
    assert all(len(stage["key"]) == 64 and stage["seconds"] >= 0 for stage in first["stages"])
    assert 0 <= first["results"]["probe/random/accuracy"] <= 1
    assert first["run_id"]


def test_the_second_run_says_cached_and_shows_the_same_table(project: Path) -> None:
    again = document(tswork(project, "run", "waves.yaml", "--json"))
    assert [stage["status"] for stage in again["stages"]] == ["cached", "cached"]
    assert again["results"] == json.loads((project / "first.json").read_text())["results"]
    shown = tswork(project, "run", "waves.yaml")
    assert shown.code == 0
    for part in ("cached", "majority", "random", "ts2vec", "tswork ui"):
        assert part in shown.out


def test_mlflow_holds_parent_child_curves_data_figures_and_the_model(project: Path) -> None:
    import numpy as np

    from tswork.tracking.client import Tracking

    tracking = Tracking.open(project, experiment="waves")
    runs = tracking.client.search_runs([tracking.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    children = [run for run in runs if run.data.tags["tswork.level"] == "member"]
    first = min(children, key=lambda run: run.info.start_time)
    parent = first.data.tags["mlflow.parentRunId"]
    assert tracking.client.get_run(parent).data.metrics["probe/accuracy"] == first.data.metrics["probe/accuracy"]
    assert len(tracking.client.get_metric_history(first.info.run_id, "ts2vec/loss")) == 6
    assert first.inputs is not None
    assert first.outputs is not None
    (dataset,) = first.inputs.dataset_inputs
    assert len(dataset.dataset.digest) == 32
    assert first.data.tags["tswork.data_digest"].startswith(dataset.dataset.digest)
    assert first.data.params["stages.ts2vec.iterations"] == "6"
    names = {one.path for one in tracking.client.list_artifacts(first.info.run_id)}
    assert {"pipeline.resolved.yaml", "data_card.yaml", "probe", "ts2vec"} <= names
    figures = [one.path for one in tracking.client.list_artifacts(first.info.run_id, "probe/figures")]
    assert figures
    import mlflow.pyfunc

    (output,) = first.outputs.model_outputs
    model = mlflow.pyfunc.load_model(f"models:/{output.model_id}")
    assert model.predict(np.zeros((2, 11, 1), np.float32)).shape == (2, 8)


def test_plan_validate_and_list_print_json(project: Path) -> None:
    assert [stage["status"] for stage in document(tswork(project, "plan", "waves.yaml", "--json"))["stages"]] == [
        "cached",
        "cached",
    ]
    assert document(tswork(project, "validate", "waves.yaml", "--json"))["valid"] is True
    assert "dilated_conv" in [one["name"] for one in document(tswork(project, "list", "encoder", "--json"))]


def test_report_writes_a_page_from_finished_runs(project: Path) -> None:
    (project / "page.yaml").write_text("title: Waves\nsections: [{title: Two classes, runs: [waves.yaml]}]\n")
    done = tswork(project, "report", "page.yaml", "--out", "results/waves.md")
    assert done.code == 0, done.err
    text = (project / "results/waves.md").read_text()
    assert "Written by `tswork report page.yaml`" in text
    assert "| majority |" in text


def test_report_keeps_results_beside_the_page(project: Path) -> None:
    page = "title: Waves\nrecords: [kept.jsonl]\nsections: [{title: Two classes, runs: [waves.yaml]}]\n"
    (project / "kept.yaml").write_text(page)
    kept = tswork(project, "report", "kept.yaml", "--keep")
    assert kept.code == 0, kept.err
    alone = tswork(project, "report", "kept.yaml", "--root", "empty")
    assert alone.out == kept.out != ""
    (project / "kept.jsonl").write_text((project / "kept.jsonl").read_text().replace('"seed":7', '"seed":8'))
    done = tswork(project, "report", "kept.yaml")
    assert done.code == 2
    assert "kept.jsonl:2:1  digest: this run was altered" in done.err


def test_compare_prints_the_test_of_a_difference(project: Path) -> None:
    (comparison,) = document(tswork(project, "compare", "waves.yaml", "--json"))
    assert comparison["protocol"] == "probe_classify"
    assert {score["row"] for score in comparison["scores"]} == {"majority", "random", "ts2vec"}
    assert {test["row"] for test in comparison["tests"]} == {"majority", "random"}


def test_predict_and_embed_use_the_finished_run(project: Path) -> None:
    done = tswork(project, "embed", "waves.yaml", "waves.npz", "--out", "e.csv")
    assert done.code == 0, done.err
    assert (project / "e.csv").read_text().count("\n") == 25
    predicted = tswork(project, "predict", "waves.yaml", "waves.npz")
    assert predicted.code == 0, predicted.err
    assert predicted.out.count("\n") >= 25
    assert predicted.out.startswith("row,head,item,sequence,id,start,stop,predicted\n")
    frame = door.predict(project / "waves.yaml", project / "waves.npz", root=project)
    assert predicted.out == frame.to_csv(index=False, float_format="%.7g")


def test_the_list_of_verbs_cuts_no_sentence(project: Path) -> None:
    for arguments in ((), ("data",)):
        listed = tswork(project, *arguments, "--help").out.partition("Commands:")[2]
        assert "compare" in listed or "check" in listed
        assert "..." not in listed


def test_a_wrong_file_ends_with_2_its_places_and_no_traceback(project: Path) -> None:
    (project / "wrong.yaml").write_text(
        PIPELINE.replace("seed: 7", "seed: x").replace("needs: ts2vec", "needs: ts2vek")
    )
    done = as_a_process(project, "run", "wrong.yaml")
    assert done.code == 2
    assert done.out == ""
    assert "wrong.yaml:3:7  seed: should be a valid integer, not 'x'" in done.err
    assert "Did you mean 'ts2vec'?" in done.err
    assert "Traceback" not in done.err


def test_an_unreachable_tracking_server_stops_the_run_before_training(project: Path) -> None:
    done = tswork(
        project, "run", "waves.yaml", "-s", "seed=1", environment={"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    )
    assert done.code == 1
    assert "the tracking server at http://127.0.0.1:9 cannot be reached" in done.err
    assert "Nothing was trained" in done.err


def test_an_old_mlruns_folder_changes_nothing(project: Path) -> None:
    (project / "mlruns").mkdir(exist_ok=True)
    assert as_a_process(project, "run", "waves.yaml", "--json").code == 0
    assert list((project / "mlruns").iterdir()) == []


def test_show_init_schema_and_gc_work(project: Path) -> None:
    shown = tswork(project, "show", "ts2vec")
    assert "AAAI 2022" in shown.out
    assert "max_train_length" in shown.out
    assert "quickstart" in tswork(project, "init").out
    assert tswork(project, "init", "quickstart").code == 0
    assert tswork(project, "init", "quickstart").code == 2
    assert tswork(project, "schema").code == 0
    schema = json.loads((project / ".tswork" / "schema.json").read_text())
    assert set(references(schema)) <= {f"#/$defs/{name}" for name in schema["$defs"]}
    assert "max_train_length" in schema["$defs"]["method.ts2vec"]["properties"]
    assert {"$ref": "#/$defs/encoder.dilated_conv"} in schema["$defs"]["encoder"]["anyOf"]
    assert "the store holds" in tswork(project, "gc", "--dry-run").out


def test_data_verbs_tell_what_a_set_holds(project: Path) -> None:
    assert "etth1" in tswork(project, "data", "list").out
    facts = document(tswork(project, "data", "show", "aeon", "--set", "ArrowHead", "--json"))["data"]
    assert facts["sequences"] == 211
    assert sum(facts["classes"].values()) == 211
    assert tswork(project, "data", "check", "aeon", "--set", "ArrowHead").code == 0
    assert tswork(project, "data", "check", "aeon", "--set", "Nowhere").code == 2


def test_doctor_really_trains_and_decodes(project: Path) -> None:
    report = document(as_a_process(project, "doctor", "--json"))
    assert report["healthy"]
    assert "two steps of ts2vec" in report["checks"]["training"]["detail"]
    assert "FLAC, Ogg Opus" in report["checks"]["sound"]["detail"]
    assert report["checks"]["EDF recordings"]["detail"] == "EDF recording decoded: 500 samples at 250 Hz"
    wfdb = report["checks"]["WFDB records"]
    assert ("500 samples at 250 Hz" if wfdb["ok"] else "pip install 'tswork[medical]'") in wfdb["detail"]


def test_doctor_says_what_to_install_for_what_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wfdb", None)
    ok, detail = _try(_decode_wfdb)
    assert ok is None
    assert "Install it: pip install 'tswork[medical]'" in detail
    assert _try(_decode_edf)[0] is True


def test_doctor_tells_which_encoders_can_be_used_here_and_why_others_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torchaudio", None)
    monkeypatch.setenv("TSWORK_DATA", str(tmp_path))
    found = {name: _try(look) for name, look in _encoders().items()}
    assert found["encoder dilated_conv"] == (True, "needs nothing beyond torch")
    assert found["encoder torchaudio_speech"][0] is None
    assert "imports with torch 2.11 and 2.12 from PyPI; not with torch 2.14" in found["encoder torchaudio_speech"][1]
    assert found["encoder hf_speech"][0] is None
    assert "no checkpoint was found in the hub's cache or a data root" in found["encoder hf_speech"][1]
    write_checkpoint(tmp_path / "checkpoints" / "tiny")
    assert _try(_encoders()["encoder hf_speech"]) == (
        True,
        f"transformers {metadata.version('transformers')}; checkpoints: {tmp_path}/checkpoints/tiny (wav2vec2)",
    )


@pytest.mark.parametrize("statement", ["import tswork", "from tswork.pipeline import plan, loading"])
def test_importing_is_light(statement: str) -> None:
    heavy = ["mlflow", "tsai", "torchaudio", "librosa", "transformers", "lightning_fabric", "sklearn"]
    script = f"{statement}; import sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_plan_imports_nothing_heavy(project: Path) -> None:
    script = (
        "import sys; sys.argv = ['tswork', 'plan', 'waves.yaml']\n"
        "from tswork.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('mlflow', 'lightning_fabric', 'sklearn', 'tsai', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=project, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip().endswith("[]")


def test_help_needs_no_torch() -> None:
    script = "import sys; sys.argv = ['tswork', '--help']\nfrom tswork.cli.main import main\ntry: main()\nexcept SystemExit: pass\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip().endswith("False")
