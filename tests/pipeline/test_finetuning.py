"""Fine-tuning on shares of the labels through a pipeline file: from patients on disk to a comparison and predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.protocols.patients import toy_patients
from tswork.data.places import Places
from tswork.errors import Interrupted, PipelineInvalid
from tswork.pipeline.loading import load_pipeline
from tswork.pipeline.plan import Plan, make_plan
from tswork.pipeline.reporting import Unreported
from tswork.pipeline.results import load_result
from tswork.pipeline.runner import RunReport, run_plan
from tswork.protocols import kept_tuning
from tswork.protocols.fine_tuning import Tuned, fine_tune
from tswork.store import Store

PIPELINE = """\
version: 1
name: patients
data:
  reader: manifest
  path: segments.csv
  label: diagnosis
  groups: [patient]
  rate: 32
  split: {by: groups, fractions: [.6, .2, .2]}
encoder: {uses: dilated_conv, depth: 2, dim: 8, hidden: 4}
stages:
  ts2vec: {uses: ts2vec, iterations: 4, batch_size: 8}
  tune:
    uses: finetune_fraction
    needs: ts2vec
    fractions: [1, .3]
    epochs: [2]
    hidden: 8
    learning_rate: 1e-2
    scratch: {learning_rate: 3e-2}
    features: band_powers
"""


def write(folder: Path, text: str = PIPELINE) -> Path:
    """Patients and a pipeline file in a folder."""
    split = toy_patients(patients=10, segments=4)
    collection = split.train.collection
    (folder / "segments").mkdir()
    rows = []
    for number in range(len(collection)):
        np.save(folder / "segments" / f"{number}.npy", collection.sequence(number).numpy())
        rows.append({"path": f"segments/{number}.npy", **collection.table.iloc[number].to_dict()})
    pd.DataFrame(rows).to_csv(folder / "segments.csv", index=False)
    (folder / "patients.yaml").write_text(text)
    return folder


def planned(folder: Path) -> Plan:
    return make_plan(load_pipeline(folder / "patients.yaml", places=Places.here(folder)))


def run(folder: Path) -> RunReport:
    return run_plan(planned(folder), reporter=Unreported())


def entry(folder: Path, key: str) -> Path:
    found = Store(Places.here(folder).store).get(key, verify=True)
    assert found is not None
    return found


def test_a_pipeline_gives_every_row_at_every_share_and_keeps_the_networks(tmp_path: Path) -> None:
    report = run(write(tmp_path)).members[0]
    for row in ("majority", "random", "from_scratch", "band_powers", "ts2vec"):
        for at in ("", "@100%", "@30%"):
            assert 0 <= report.metrics[f"tune/{row}/macro_f1{at}"] <= 1
            assert 0 <= report.metrics[f"tune/{row}/macro_auroc.patient{at}"] <= 1
    assert report.metrics["tune/macro_f1"] == report.metrics["tune/ts2vec/macro_f1"]
    folder = entry(tmp_path, report.stages[1].key)
    stored = load_result(folder)
    assert set(stored.heads) == {"ts2vec@100%", "ts2vec@30%"}
    curves = pd.read_parquet(folder / "records" / "scalars.parquet")["name"].unique()
    assert {"ts2vec@30%/loss", "random@100%/validation/macro_f1"} <= set(curves)


def test_a_share_that_cannot_hold_the_classes_is_refused_before_training(tmp_path: Path) -> None:
    text = PIPELINE.replace("fractions: [1, .3]", "fractions: [1, .01]")
    told = r"patients.yaml:14:5  stages.tune \(fractions\): 0.01 is 0 of 24 segments. Take a larger fraction."
    with pytest.raises(PipelineInvalid, match=told):
        run(write(tmp_path, text))
    assert not list(Path(tmp_path).glob(".tswork/store/*/*/weights.safetensors"))


def test_an_interrupted_judgement_resumes_and_its_files_are_those_of_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []

    def until_the_fourth(*arguments: Any, name: str) -> Tuned:
        if len(trained) == 3:
            raise Interrupted("interrupted")
        trained.append(name)
        return fine_tune(*arguments, name=name)

    whole, stopped = (tmp_path / name for name in ("whole", "stopped"))
    for folder in (whole, stopped):
        folder.mkdir()
        write(folder)
    stage = run(whole).members[0].stages[1]
    with monkeypatch.context() as patched:
        patched.setattr(kept_tuning, "fine_tune", until_the_fourth)
        with pytest.raises(Interrupted):
            run(stopped)
        again = planned(stopped).members[0].stages[1]
        assert (again.key, again.status) == (stage.key, "resume")
        assert again.reason == "an interrupted run left 3 finished pieces of it"
        text = PIPELINE.replace("hidden: 8", "hidden: 9")
        (stopped / "patients.yaml").write_text(text)
        assert planned(stopped).members[0].stages[1].status == "run"
        (stopped / "patients.yaml").write_text(PIPELINE)
    rest: list[str] = []

    def counted(*arguments: Any, name: str) -> Tuned:
        rest.append(name)
        return fine_tune(*arguments, name=name)

    monkeypatch.setattr(kept_tuning, "fine_tune", counted)
    report = run(stopped).members[0]
    assert [(one.name, one.status) for one in report.stages] == [("ts2vec", "cached"), ("tune", "resumed")]
    assert trained == ["random@100%", "from_scratch@100%", "ts2vec@100%"]
    assert rest == ["random@30%", "from_scratch@30%", "ts2vec@30%"]
    one, other = entry(whole, stage.key), entry(stopped, stage.key)
    files = sorted(str(file.relative_to(one)) for file in one.rglob("*") if file.is_file())
    assert files == sorted(str(file.relative_to(other)) for file in other.rglob("*") if file.is_file())
    for file in (name for name in files if name.endswith((".parquet", ".safetensors", "warnings.json"))):
        assert (one / file).read_bytes() == (other / file).read_bytes(), file
    assert not list(stopped.rglob("*.work"))
