"""A pipeline in two processes that torchrun started: they train together, and one of them judges and writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from tests.pipeline.waves import PIPELINE, write_pipeline
from tswork.data.places import Places
from tswork.pipeline.loading import load_pipeline
from tswork.pipeline.plan import make_plan
from tswork.store import Store

# Nothing random in the views, which each process would draw for its own share.
SIMCLR = "  simclr: {uses: contrastive, iterations: 6, batch_size: 8, views: [identity], encoder: {dropout: 0}}\n"
TWO_METHODS = PIPELINE.replace("  probe:", SIMCLR + "  probe:").replace("needs: ts2vec", "needs: [ts2vec, simclr]")


def run(pipeline: Path, root: Path, *launcher: str) -> dict[str, object]:
    command = [sys.executable, *launcher, "-m", "tswork", "run", str(pipeline), "--root", str(root), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    document: dict[str, object] = json.loads(done.stdout)
    return document


@pytest.mark.slow
def test_two_processes_train_what_one_trains(tmp_path: Path) -> None:
    pipeline = write_pipeline(tmp_path, TWO_METHODS)
    two = run(pipeline, tmp_path / "two", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    one = run(pipeline, tmp_path / "one")
    assert [stage["status"] for stage in two["stages"]] == ["run"] * 3  # type: ignore[attr-defined]
    weights = [simclr_weights(pipeline, tmp_path / name, size) for name, size in (("one", 1), ("two", 2))]
    for name, value in weights[0].items():
        assert weights[1][name] == pytest.approx(value, abs=1e-4), name
    assert set(one["results"]) == set(two["results"])  # type: ignore[call-overload]
    assert not list((tmp_path / "two" / ".tswork" / "store").glob("*/*.lock"))


def simclr_weights(pipeline: Path, root: Path, world_size: int) -> dict[str, object]:
    plan = make_plan(load_pipeline(pipeline, places=Places.here(root)), world_size=world_size)
    (stage,) = [one for one in plan.members[0].stages if one.spec.name == "simclr"]
    folder = Store(plan.pipeline.places.store).get(stage.key)
    assert folder is not None, "the number of processes is part of the key"
    return dict(load_file(folder / "model-0" / "weights.safetensors"))
