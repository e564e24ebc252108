"""`import tswork`: the public door works on arrays, cards and pipeline files, and opens only when used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tswork
from tests.pipeline.waves import write_pipeline
from tswork.data.places import Places
from tswork.errors import DataInvalid, InvalidInput
from tswork.pipeline.finding import RunNotFound
from tswork.tracking.finding import find_run


def test_importing_tswork_imports_nothing_heavy() -> None:
    code = "import sys, tswork; print([m for m in ('torch', 'pandas', 'pydantic', 'mlflow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    for name in tswork.__all__:
        assert callable(getattr(tswork, name))
        assert name in dir(tswork)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tswork.nothing


def test_a_pipeline_runs_from_python(tmp_path: Path) -> None:
    pipeline = write_pipeline(tmp_path)
    assert [stage.status for stage in tswork.plan(pipeline, root=tmp_path).members[0].stages] == ["run", "run"]
    report = tswork.run(pipeline, root=tmp_path, record=False, overrides=["stages.ts2vec.iterations=2"])
    assert 0 <= report.members[0].metrics["probe/accuracy"] <= 1
    assert set(report.rows["row"]) == {"majority", "random", "ts2vec"}
    again = tswork.plan(pipeline, root=tmp_path, overrides=["stages.ts2vec.iterations=2"])
    assert [stage.status for stage in again.members[0].stages] == ["cached", "cached"]


def test_new_data_are_predicted_by_what_was_run_with_overrides(tmp_path: Path) -> None:
    pipeline, short = write_pipeline(tmp_path), ["stages.ts2vec.iterations=2"]
    tswork.run(pipeline, root=tmp_path, record=False, overrides=short)
    frame = tswork.predict(pipeline, tmp_path / "waves.npz", root=tmp_path, overrides=short)
    assert set(frame["row"]) == {"ts2vec"}
    with pytest.raises(RunNotFound, match="the results of ts2vec, probe are not in the store"):
        tswork.predict(pipeline, tmp_path / "waves.npz", root=tmp_path)


def test_new_data_are_embedded_by_what_was_run_with_overrides(tmp_path: Path) -> None:
    pipeline, short = write_pipeline(tmp_path), ["stages.ts2vec.iterations=2"]
    tswork.run(pipeline, root=tmp_path, record=False, overrides=short)
    frame = tswork.embed_new(pipeline, tmp_path / "waves.npz", root=tmp_path, overrides=short)
    finished = find_run(str(pipeline), places=Places.here(tmp_path), overrides=tuple(short), member=None)
    model = finished.folders["ts2vec"] / "model-0"
    collection = tswork.open_collection({"reader": "arrays", "path": str(tmp_path / "waves.npz")})
    numbers = [name for name in map(str, frame) if name[0] == "e" and name[1:].isdigit()]
    np.testing.assert_allclose(frame[numbers], tswork.embed(model, collection), rtol=1e-5, atol=1e-6)
    pd.testing.assert_series_equal(frame["id"], collection.table["id"])
    again = tswork.embed_new(pipeline, tmp_path / "waves.npz", stage="ts2vec", root=tmp_path, overrides=short)
    pd.testing.assert_frame_equal(frame, again)
    with pytest.raises(RunNotFound, match="the results of ts2vec, probe are not in the store"):
        tswork.embed_new(pipeline, tmp_path / "waves.npz", root=tmp_path)


def test_what_a_notebook_shows_is_short(tmp_path: Path) -> None:
    pipeline = write_pipeline(tmp_path)
    assert repr(tswork.plan(pipeline, root=tmp_path)).splitlines()[1] == "ts2vec: run, never run"
    report = tswork.run(pipeline, root=tmp_path, record=False)
    assert f"probe/accuracy={report.members[0].metrics['probe/accuracy']:.4g}" in repr(report)
    collection = tswork.open_collection({"reader": "arrays", "path": str(tmp_path / "waves.npz")})
    assert repr(collection).startswith("Collection(data: 24 sequences, 960 steps, 1 channel (")


def test_embeddings_of_arrays_of_a_collection_and_of_a_saved_model(tmp_path: Path) -> None:
    encoder = tswork.build_encoder({"uses": "dilated_conv", "dim": 8, "hidden": 4, "depth": 2}, channels=2, seed=1)
    values = np.random.default_rng(0).normal(size=(5, 20, 2))
    found = tswork.embed(encoder, values)
    assert found.shape == (5, 8)
    np.testing.assert_allclose(tswork.embed(encoder, values[3:]), found[3:], rtol=1e-5, atol=1e-6)
    assert not np.allclose(tswork.embed(encoder, values, pooling="last"), found)
    report = tswork.run(write_pipeline(tmp_path), root=tmp_path, record=False)
    key = report.members[0].stages[0].key
    folder = tmp_path / ".tswork" / "store" / key[:2] / key / "model-0"
    collection = tswork.open_collection({"reader": "arrays", "path": str(tmp_path / "waves.npz")})
    assert tswork.embed(folder, collection).shape == (24, 8)


def test_equal_seeds_build_equal_encoders() -> None:
    values = np.ones((1, 8, 1))
    one, same, other = (
        tswork.embed(tswork.build_encoder({"uses": "recurrent", "dim": 4}, channels=1, seed=seed), values)
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)


def test_wrong_options_and_names_are_told_all_at_once() -> None:
    with pytest.raises(InvalidInput) as fault:
        tswork.build_encoder({"uses": "dilated_conv", "dimm": 3, "depth": 0}, channels=1)
    assert "encoder.dimm: unknown key. Did you mean 'dim'?" in str(fault.value)
    assert "encoder.depth" in str(fault.value)
    with pytest.raises(InvalidInput, match="Did you mean 'dilated_conv'"):
        tswork.build_encoder("dilated_con", channels=1)
    with pytest.raises(DataInvalid, match="Did you mean 'etth1'"):
        tswork.open_collection("eth1")


def test_components_are_listed_by_kind() -> None:
    assert {"ts2vec", "contrastive", "supervised"} <= {one.name for one in tswork.list_components("method")}
    assert {one.kind for one in tswork.list_components()} >= {"reader", "encoder", "protocol"}
