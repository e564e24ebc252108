"""An analysis of varieties through a pipeline file: from recordings on disk to tables, a page, and classes of new recordings."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pandas as pd
import pytest

from tests.data.sounds import write
from tests.protocols.varieties import RATE, toy_varieties
from tswork.data.collection import DataInfo, Part
from tswork.data.places import Places
from tswork.errors import DataInvalid, PipelineInvalid
from tswork.pipeline.finding import find_finished
from tswork.pipeline.loading import load_pipeline
from tswork.pipeline.plan import Plan, make_plan
from tswork.pipeline.predicting import predict_new, refuse_unknown_classes
from tswork.pipeline.records import replay
from tswork.pipeline.reporting import Unreported
from tswork.pipeline.runner import run_plan
from tswork.recorder import MemoryRecorder
from tswork.store import Store

PIPELINE = f"""\
version: 1
name: villages
data:
  reader: manifest
  path: villages.csv
  label: region
  groups: [location, speaker]
  rate: {RATE:g}
  split: {{by: groups, fractions: [.5, .1, .4]}}
encoder: {{uses: dilated_conv, depth: 2, dim: 8, hidden: 4}}
stages:
  ce: {{uses: supervised, epochs: 1, batch_size: 16}}
  ts2vec: {{uses: ts2vec, iterations: 2, batch_size: 8}}
  analysis:
    uses: variety_analysis
    needs: [ce, ts2vec]
    slices: [gender]
    permutations: 99
    page: points
"""


def files(folder: Path) -> pd.DataFrame:
    """The recordings as WAV files, and their table."""
    collection = toy_varieties(places=6, speakers=1, clips=3, seconds=0.2).train.collection
    names = [f"{name}.wav" for name in collection.table["id"]]
    for number, name in enumerate(names):
        write(folder / name, collection.sequence(number)[:, 0].numpy(), rate=int(RATE))
    table = collection.table.assign(path=names)
    table.to_csv(folder / "villages.csv", index=False)
    return table


def planned(folder: Path, text: str = PIPELINE) -> Plan:
    (folder / "villages.yaml").write_text(text)
    return make_plan(load_pipeline(folder / "villages.yaml", places=Places.here(folder)))


def test_from_recordings_to_an_analysis_and_classes_of_new_ones(tmp_path: Path) -> None:
    table = files(tmp_path)
    report = run_plan(planned(tmp_path), reporter=Unreported())
    member, stage = report.members[0], report.members[0].stages[-1]
    rows = ("majority", "mfcc_statistics", "random", "ce", "ts2vec")
    for row in rows:
        assert 0 <= member.metrics[f"analysis/{row}/macro_f1"] <= 1
        assert 0 <= member.metrics[f"analysis/{row}/balanced_accuracy.location"] <= 1
    assert -1 <= member.metrics["analysis/ce/silhouette.speaker"] <= 1
    assert member.metrics["analysis/macro_f1"] == member.metrics["analysis/ce/macro_f1"]
    assert member.metrics["analysis/mfcc_statistics/accuracy"] > 0.6

    folder = Store(Places.here(tmp_path).store).get(stage.key)
    assert folder is not None
    recorder = MemoryRecorder()
    replay(folder, recorder)
    assert set(recorder.pages) == {"space/ce", "space/ts2vec"}
    assert recorder.pages["space/ce"] == (folder / "records/pages/space/ce.html").read_text(encoding="utf-8")
    assert {"leaks", "nearness", "slices", "intervals", "mantel", "linkage/location"} <= set(recorder.tables)
    heads = recorder.tables["judged_by"].set_index("row")["head"]
    assert (heads["ce"], heads["ts2vec"], heads["random"]) == ("own", "logistic", "logistic")

    predicted = new_classes(tmp_path, table.drop(columns="region"))
    assert predicted["row"].tolist() == ["ce"] * len(table) + ["ts2vec"] * len(table)
    assert set(predicted["predicted"]) <= {"region0", "region1", "region2"}
    known = new_classes(tmp_path, table)
    pd.testing.assert_frame_equal(known, predicted)
    foreign = table.assign(region=["region9"] * 2 + table["region"].tolist()[2:])
    told = r"region: 'region9' is no class of the model \(region0, region1, region2\)\. Correct or remove the row of"
    with pytest.raises(DataInvalid, match=told):
        new_classes(tmp_path, foreign)
    pd.testing.assert_frame_equal(new_classes(tmp_path, foreign, ignore_unknown=True), predicted)


def new_classes(folder: Path, table: pd.DataFrame, *, ignore_unknown: bool = False) -> pd.DataFrame:
    """What the finished pipeline says of the recordings of a table."""
    table.to_csv(folder / "new.csv", index=False)
    finished = find_finished(folder / "villages.yaml", places=Places.here(folder))
    return predict_new(finished, folder / "new.csv", ignore_unknown=ignore_unknown)


def test_numbers_are_known_by_their_value() -> None:
    collection = toy_varieties(speakers=1, clips=2).train.collection
    info = DataInfo(("sound",), classes=("1", "2", "10"), label="digit")
    for digits, fits in (([1.0, 2.0, 10.0, None], True), (["1", "02", "10", "2"], False)):
        table = pd.DataFrame({"digit": (digits * len(collection))[: len(collection)]})
        part = Part.whole(collection.replaced(table=table, label=None, groups=()))
        with nullcontext() if fits else pytest.raises(DataInvalid, match="digit: '02' is no class"):
            refuse_unknown_classes(part, info, Path("new.csv"))


def test_a_column_that_is_not_there_is_refused_before_anything_trains(tmp_path: Path) -> None:
    files(tmp_path)
    plan = planned(tmp_path, PIPELINE.replace("[gender]", "[gendr]"))
    with pytest.raises(
        PipelineInvalid, match=r"analysis \(slices\): the table has no column 'gendr'. Did you mean 'gender'"
    ):
        run_plan(plan, reporter=Unreported())
