"""Fine-tuning on shares of the labels through a pipeline file: from patients on disk to a comparison and predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.protocols.patients import toy_patients
from tswork.data.places import Places
from tswork.errors import PipelineInvalid
from tswork.pipeline.loading import load_pipeline
from tswork.pipeline.plan import make_plan
from tswork.pipeline.reporting import Unreported
from tswork.pipeline.results import load_result
from tswork.pipeline.runner import RunReport, run_plan
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


def run(folder: Path, text: str) -> RunReport:
    split = toy_patients(patients=10, segments=4)
    collection = split.train.collection
    (folder / "segments").mkdir()
    rows = []
    for number in range(len(collection)):
        np.save(folder / "segments" / f"{number}.npy", collection.sequence(number).numpy())
        rows.append({"path": f"segments/{number}.npy", **collection.table.iloc[number].to_dict()})
    pd.DataFrame(rows).to_csv(folder / "segments.csv", index=False)
    (folder / "patients.yaml").write_text(text)
    plan = make_plan(load_pipeline(folder / "patients.yaml", places=Places.here(folder)))
    return run_plan(plan, reporter=Unreported())


def test_a_pipeline_gives_every_row_at_every_share_and_keeps_the_networks(tmp_path: Path) -> None:
    report = run(tmp_path, PIPELINE).members[0]
    for row in ("majority", "random", "from_scratch", "band_powers", "ts2vec"):
        for at in ("", "@100%", "@30%"):
            assert 0 <= report.metrics[f"tune/{row}/macro_f1{at}"] <= 1
            assert 0 <= report.metrics[f"tune/{row}/macro_auroc.patient{at}"] <= 1
    assert report.metrics["tune/macro_f1"] == report.metrics["tune/ts2vec/macro_f1"]
    folder = Store(Places.here(tmp_path).store).get(report.stages[1].key)
    assert folder is not None
    stored = load_result(folder)
    assert set(stored.heads) == {"ts2vec@100%", "ts2vec@30%"}
    curves = pd.read_parquet(folder / "records" / "scalars.parquet")["name"].unique()
    assert {"ts2vec@30%/loss", "random@100%/validation/macro_f1"} <= set(curves)


def test_a_share_that_cannot_hold_the_classes_is_refused_before_training(tmp_path: Path) -> None:
    text = PIPELINE.replace("fractions: [1, .3]", "fractions: [1, .01]")
    told = r"patients.yaml:14:5  stages.tune \(fractions\): 0.01 is 0 of 24 segments. Take a larger fraction."
    with pytest.raises(PipelineInvalid, match=told):
        run(tmp_path, text)
    assert not list(Path(tmp_path).glob(".tswork/store/*/*/weights.safetensors"))
