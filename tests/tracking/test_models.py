"""Trained models in MLflow: they load without tswork's store, agree with the encoder, and hold no code."""

from __future__ import annotations

import json
import os
import pickletools
import zipfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import mlflow.pyfunc
import numpy as np
import pytest
import torch

from tests.pipeline.waves import PIPELINE, write_waves
from tests.tracking.projects import Recorded, new_project, plan, run
from tswork.errors import ModelUnfit
from tswork.methods.model import Model
from tswork.pipeline.spec import Gate
from tswork.pipeline.stages import load_models
from tswork.store import Store
from tswork.tracking.exports import exported, write_export
from tswork.tracking.models import judge

GATE = "gate: {metric: probe/accuracy, stage: ts2vec, minimum: MINIMUM, name: wave reader, alias: best}\n"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return run(tmp_path_factory.mktemp("project"), PIPELINE + GATE.replace("MINIMUM", "0"), export=True)


@pytest.fixture(scope="module")
def folder(recorded: Recorded, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifacts of the logged model."""
    target = tmp_path_factory.mktemp("model")
    uri = f"models:/{model_id(recorded)}"
    return Path(
        mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(target), tracking_uri=recorded.tracking.uri)
    )


def load(recorded: Recorded, uri: str) -> Any:
    # mlflow writes its addresses into the environment, where fixtures of other modules would find them.
    with patch.dict(os.environ):
        mlflow.set_tracking_uri(recorded.tracking.uri)
        mlflow.set_registry_uri(recorded.tracking.uri)
        return mlflow.pyfunc.load_model(uri)


def model_id(recorded: Recorded) -> str:
    outputs = recorded.children[0].outputs
    assert outputs is not None
    (output,) = outputs.model_outputs
    return str(output.model_id)


def stored(recorded: Recorded) -> tuple[Model, Path]:
    """The model in the store, and its folder."""
    root = Path(recorded.tracking.uri.removeprefix("sqlite:///")).parent
    folder = Store(root / "store").get(recorded.report.members[0].stages[0].key)
    assert folder is not None
    return load_models(folder)[-1], folder / "model-0"


def arrays(length: int) -> np.ndarray:
    return np.random.default_rng(length).normal(size=(3, length, 1)).astype(np.float32)


@pytest.mark.parametrize("length", [11, 64])
def test_the_loaded_model_embeds_like_our_own(recorded: Recorded, length: int) -> None:
    loaded = load(recorded, f"models:/{model_id(recorded)}")
    model, _ = stored(recorded)
    with torch.no_grad():
        expected = model.embed(torch.from_numpy(arrays(length))).numpy()
    np.testing.assert_array_equal(loaded.predict(arrays(length)), expected)


def test_the_loaded_model_takes_missing_values(recorded: Recorded) -> None:
    x = arrays(20)
    x[0, 3:9] = np.nan
    loaded = load(recorded, f"models:/{model_id(recorded)}")
    assert np.isfinite(loaded.predict(x)).all()


@pytest.mark.filterwarnings("ignore:The given buffer is not writable")  # torch, about its own file
@pytest.mark.parametrize(("batch", "length"), [(1, 11), (5, 64)])
def test_the_exported_program_gives_the_frames_of_the_encoder(
    recorded: Recorded, folder: Path, batch: int, length: int
) -> None:
    program = torch.export.load(folder / "data" / "encoder.pt2").module()
    model, _ = stored(recorded)
    x = torch.randn(batch, length, 1)
    with torch.no_grad():
        torch.testing.assert_close(program(x), model.encoder(x).values)


def test_nothing_in_the_model_is_a_pickle_or_code(folder: Path) -> None:
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert {"weights.safetensors", "model.json", "encoder.pt2", "MLmodel"} <= {file.name for file in files}
    for file in files:
        assert file.suffix not in (".py", ".pyc", ".pkl", ".pickle", ".pt", ".pth", ".so"), file
        contents = {file.name: file.read_bytes()}
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                contents = {name: archive.read(name) for name in archive.namelist()}
        for name, content in contents.items():
            assert not is_pickle(content), f"{file} {name}"
    assert "code" not in (folder / "MLmodel").read_text().replace("loader_module", "")


def is_pickle(content: bytes) -> bool:
    """Whether it begins with the mark of a pickle, or holds one, as an archive of torch.save does."""
    if content[:1] != b"\x80":
        return b"data.pkl" in content
    try:
        list(pickletools.genops(content))
    except Exception:
        return False
    return True


def test_the_check_for_pickles_would_find_one(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "x.pt")
    assert is_pickle((tmp_path / "x.pt").read_bytes())
    import pickle

    assert is_pickle(pickle.dumps({"a": 1}))
    assert not is_pickle(b"\x80\xff\xff" + b"0" * 50)


def test_the_signature_leaves_batch_and_time_free(recorded: Recorded) -> None:
    signature = load(recorded, f"models:/{model_id(recorded)}").metadata.signature
    assert signature.inputs.inputs[0].shape == (-1, -1, 1)
    assert signature.outputs.inputs[0].shape == (-1, -1)


def test_an_encoder_that_is_not_exportable_says_so_and_the_run_goes_on(tmp_path: Path) -> None:
    text = PIPELINE.replace("{uses: dilated_conv, depth: 2, dim: 8, hidden: 4}", "{uses: recurrent, dim: 8}")
    recorded = run(tmp_path / "project", text, export=True)
    _, source = stored(recorded)
    write_export(source, tmp_path)
    assert json.loads((tmp_path / "export.json").read_text()) == {
        "exported": False,
        "reason": "Recurrent: computes step after step, and an exported program would hold those of one length.",
    }
    assert not (tmp_path / "encoder.pt2").exists()
    assert recorded.parent.info.status == "FINISHED"


def test_whatever_an_export_stumbles_over_does_not_end_the_run(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError("too big")

    monkeypatch.setattr("tswork.tracking.exports.export_encoder", fail)
    write_export(stored(recorded)[1], tmp_path)
    assert json.loads((tmp_path / "export.json").read_text())["reason"] == "MemoryError: too big"


def test_an_export_is_made_once_a_training(recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []

    def refuse(encoder: object, **_: object) -> None:
        calls.append(encoder)
        raise ModelUnfit("x", "no")

    monkeypatch.setattr("tswork.tracking.exports.export_encoder", refuse)
    store, source = Store(tmp_path), stored(recorded)[1]
    assert exported(store, "a" * 64, source) == exported(store, "a" * 64, source)
    assert len(calls) == 1


def test_a_replayed_training_is_the_same_model(tmp_path: Path) -> None:
    project = new_project(tmp_path / "project")
    first, second = run(project), run(project)
    inputs = second.children[0].inputs
    assert inputs is not None
    assert [one.model_id for one in inputs.model_inputs] == [model_id(first)]
    assert len(second.tracking.client.search_logged_models([second.tracking.experiment_id])) == 1


def test_a_gate_that_passes_registers_the_model_with_its_alias(recorded: Recorded) -> None:
    version = recorded.tracking.client.get_model_version_by_alias("wave reader", "best")
    assert version.source == f"models:/{model_id(recorded)}"
    model = recorded.tracking.client.get_logged_model(model_id(recorded))
    assert json.loads(model.tags["mlflow.modelVersions"]) == [{"name": "wave reader", "version": version.version}]
    assert load(recorded, "models:/wave reader@best").predict(arrays(9)).shape == (3, 8)
    assert recorded.children[0].data.tags["tswork.gate"].startswith("passed: probe/accuracy is ")
    assert recorded.children[0].data.tags["tswork.gate"].endswith(": wave reader version 1 is best")


def test_a_model_is_registered_once_and_the_alias_moves_to_a_better_one(tmp_path: Path) -> None:
    project = new_project(tmp_path / "project")
    text = PIPELINE + GATE.replace("MINIMUM", "0")
    first, again = run(project, text), run(project, text)
    client = first.tracking.client
    assert len(client.search_model_versions("name = 'wave reader'")) == 1
    assert again.children[0].data.tags["tswork.gate"].endswith("version 1 is best")
    other = run(project, text.replace("iterations: 6", "iterations: 5"))
    assert client.get_model_version_by_alias("wave reader", "best").source == f"models:/{model_id(other)}"


def test_a_gate_that_does_not_pass_registers_nothing_and_says_why(tmp_path: Path) -> None:
    project = new_project(tmp_path / "project")
    write_waves(project)
    recorded = run(project, PIPELINE + GATE.replace("MINIMUM", "1.5"))
    assert recorded.tracking.client.search_registered_models() == []
    assert "not passed: probe/accuracy is" in recorded.children[0].data.tags["tswork.gate"]
    assert "below 1.5" in recorded.children[0].data.tags["tswork.gate"]
    assert plan(project).members[0].finished  # the gate is no part of any key


@pytest.mark.parametrize(
    ("bounds", "value", "passed", "said"),
    [
        ({"minimum": 0.5}, 0.5, True, "passed: m is 0.5"),
        ({"minimum": 0.5}, 0.49, False, "not passed: m is 0.49, below 0.5"),
        ({"maximum": 0.5}, 0.51, False, "not passed: m is 0.51, above 0.5"),
        ({"minimum": 0.1, "maximum": 0.5}, 0.2, True, "passed: m is 0.2"),
        ({}, float("nan"), False, "not passed: there is no figure m"),
        ({}, None, False, "not passed: there is no figure m"),
    ],
)
def test_a_gate_is_judged_by_its_bounds(bounds: dict[str, float], value: float | None, passed: bool, said: str) -> None:
    gate = Gate.model_validate({"metric": "m", "stage": "s", **bounds})
    assert judge(gate, {} if value is None else {"m": value}) == (passed, said)
