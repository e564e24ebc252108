"""The probe protocol: metrics a probe, controls, units, what is refused, and classes of new items."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC

from tests.protocols.patients import toy_patients
from tests.protocols.toys import toy_classes, toy_model
from tswork.context import Context
from tswork.data.collection import Collection, Part, Split
from tswork.errors import DataInvalid
from tswork.methods.embedding import embed_part
from tswork.methods.model import Model
from tswork.metrics import classification, probes
from tswork.protocols.base import Result
from tswork.protocols.class_table import resampled_together
from tswork.protocols.probe_classify import ProbeClassify, ProbeClassifyConfig
from tswork.recorder import MemoryRecorder

METRICS = list(classification.METRICS)


def judge(split: Split, config: ProbeClassifyConfig | None = None, **models: Model) -> Result:
    protocol = ProbeClassify(config or ProbeClassifyConfig())
    return protocol.evaluate({name: [model] for name, model in models.items()}, split, Context())


def on(split: Split, collection: Collection) -> Split:
    return Split(
        Part(collection, split.train.spans),
        Part(collection, split.validation.spans),
        Part(collection, split.test.spans),
    )


def test_the_headline_is_the_published_machine_on_max_pooled_features() -> None:
    split = toy_classes()
    model = toy_model(split.train, dim=8)
    result = judge(split, ours=model)
    x, new = (embed_part(model, part, Context(), pooling="max").double().numpy() for part in (split.train, split.test))
    truth, expected = (part.codes("kind").numpy() for part in (split.train, split.test))
    search = GridSearchCV(SVC(gamma="scale"), {"C": [10.0**power for power in range(-4, 5)] + [np.inf]}, cv=5)
    assert result.value("ours", "accuracy") == pytest.approx(search.fit(x, truth).score(new, expected))
    assert result.value("ours", "accuracy") > 0.6


def test_every_probe_has_its_metrics_and_the_first_the_plain_names() -> None:
    split = toy_classes()
    result = judge(split, ours=toy_model(split.train), random=toy_model(split.train, seed=1))
    of_ours = result.rows[result.rows["row"] == "ours"]["metric"].tolist()
    assert of_ours == METRICS + [f"{metric}.{head}" for head in ("logistic", "knn") for metric in METRICS]
    roles = result.rows.drop_duplicates("row").set_index("row")["role"].to_dict()
    assert roles == {"majority": "control", "ours": "candidate", "random": "control"}
    assert result.rows["value"].between(0, 1).all()
    first = judge(split, ProbeClassifyConfig(heads=("knn",)), ours=toy_model(split.train))
    assert first.value("ours", "accuracy") == result.value("ours", "accuracy.knn")


def test_the_majority_row_is_the_share_of_its_class() -> None:
    split = toy_classes(classes=2)
    uneven = replace(split, train=Part(split.train.collection, split.train.spans[1:]))
    result = judge(uneven)
    assert result.value("majority", "accuracy") == 0.5
    assert result.value("majority", "macro_auroc") == 0.5
    assert set(result.predictions["predicted"]) == {"k1"} if result.predictions is not None else False


def test_units_are_test_items_with_their_group() -> None:
    split = toy_classes(groups=9)
    result = judge(split, ours=toy_model(split.train))
    assert result.units is not None
    ours = result.units[result.units["row"] == "ours"]
    assert ours["group"].unique().tolist() == ["p6", "p7", "p8"]
    assert ours["accuracy"].mean() == pytest.approx(result.value("ours", "accuracy"))
    assert ours["accuracy.knn"].mean() == pytest.approx(result.value("ours", "accuracy.knn"))
    alone = judge(toy_classes(), ours=toy_model(split.train)).units
    assert alone is not None
    assert alone.loc[alone["row"] == "ours", "group"].is_unique


def test_segments_of_one_recording_are_resampled_together() -> None:
    split = toy_classes()
    collection = split.train.collection
    recording = np.arange(len(collection)) // 3
    cut = collection.replaced(table=collection.table.assign(recording=recording))
    units = judge(split.on(cut), ours=toy_model(split.train)).units
    assert units is not None
    ours = units[units["row"] == "ours"]
    expected = recording[split.test.spans[:, 0].numpy()]
    assert len(set(zip(ours["group"], expected, strict=True))) == len(set(expected)) == ours["group"].nunique()


def test_patients_are_judged_by_the_mean_of_their_scores() -> None:
    split = toy_patients()
    result = judge(split, ProbeClassifyConfig(heads=("logistic", "knn")), ours=toy_model(split.train))
    names = [f"{metric}{head}{level}" for head in ("", ".knn") for level in ("", ".patient") for metric in METRICS]
    assert result.rows[result.rows["row"] == "ours"]["metric"].tolist() == names
    assert result.units is not None
    units = result.units[result.units["row"] == "ours"]
    means = units.groupby("level")[["truth", "score.knn/0", "score.knn/1"]].mean().to_numpy()
    expected = classification.measures(means[:, 0].astype(int), means[:, 1:].argmax(axis=1), means[:, 1:])
    assert result.value("ours", "macro_f1.knn.patient") == expected["macro_f1"]
    assert sorted(result.tables["groups"]["patient"].unique()) == ["p14", "p15", "p16", "p17"]


@pytest.mark.parametrize("name", ["at", "row", "predicted", "accuracy"])
def test_groups_may_be_called_as_a_column_of_results(name: str) -> None:
    split = toy_patients()
    collection = split.train.collection
    table = collection.table.rename(columns={"patient": name})
    renamed = on(split, collection.replaced(table=table, groups=(name,)))
    result = judge(renamed, ProbeClassifyConfig(heads=("knn",)), ours=toy_model(split.train))
    assert sorted(result.tables["groups"][f"{name}_"].unique()) == ["p14", "p15", "p16", "p17"]
    assert {"row", "truth", "predicted", "items", "accuracy", "score"} <= set(result.tables["groups"])
    assert result.value("ours", f"accuracy.{name}") >= 0


def test_folds_of_groups_choose_the_cost_by_patients_who_were_not_fitted() -> None:
    split = toy_patients(patients=22, parts=(18, 18), noise=0.8)
    model = toy_model(split.train)
    protocol = ProbeClassify(ProbeClassifyConfig(heads=("svm",)))
    found = protocol.evaluate({"ours": [model]}, split, Context()).heads["ours@svm"]
    x, patient = embed_part(model, split.train, Context(), pooling="max").double().numpy(), split.train.codes("patient")
    expected = probes.fit("svm", x, split.train.codes("diagnosis").numpy(), groups=patient.numpy())
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
    published = ProbeClassify(ProbeClassifyConfig(heads=("svm",), folds="items"))
    assert published.evaluate({"ours": [model]}, split, Context()).heads["ours@svm"]["cost"] != found["cost"]


def test_items_that_stand_alone_are_divided_as_published() -> None:
    split = toy_classes()
    model = toy_model(split.train)
    found = [
        ProbeClassify(ProbeClassifyConfig(heads=("svm",), folds=folds)).evaluate({"ours": [model]}, split, Context())
        for folds in ("groups", "items")
    ]
    pd.testing.assert_frame_equal(found[0].rows, found[1].rows)


def test_groups_of_several_classes_are_not_judged() -> None:
    result = judge(toy_classes(groups=9), ours=toy_model(toy_classes().train))
    assert not result.rows["metric"].str.contains("person").any()
    assert "groups" not in result.tables


def test_plain_features_are_a_control_under_the_same_probes() -> None:
    split = toy_patients(classes=2)
    config = ProbeClassifyConfig(heads=("logistic", "knn"), features="band_powers")
    result = judge(split, config, ours=toy_model(split.train))
    roles = result.rows.drop_duplicates("row").set_index("row")["role"].to_dict()
    assert roles == {"majority": "control", "band_powers": "control", "ours": "candidate"}
    assert result.value("band_powers", "accuracy") > 0.9  # the class is a frequency
    assert result.value("band_powers", "accuracy.knn") > 0.8
    assert set(result.heads) == {"ours@logistic", "ours@knn"}
    unknown = toy_patients(rate=None)
    with pytest.raises(DataInvalid, match="features: band_powers needs the number of samples a second"):
        ProbeClassify(config).check(unknown)


def test_embeddings_of_candidates_stand_beside_their_ids() -> None:
    split = toy_classes(groups=9)
    model = toy_model(split.train, dim=8)
    tables = judge(split, ours=model, random=toy_model(split.train, seed=1)).tables
    assert "embeddings/random" not in tables
    frame = tables["embeddings/ours"]
    assert frame["sequence"].tolist() == split.test.spans[:, 0].tolist()
    assert frame["kind"].tolist() == split.test.table["kind"].tolist()
    expected = embed_part(model, split.test, Context(), pooling="max").numpy()
    np.testing.assert_allclose(frame[[f"e{column}" for column in range(8)]].to_numpy(), expected, rtol=1e-6)


def test_tables_of_classes_and_confusion_agree() -> None:
    split = toy_classes()
    tables = judge(split, ours=toy_model(split.train)).tables
    confusion = tables["confusion"][tables["confusion"]["row"] == "ours"]
    classes = tables["classes"][tables["classes"]["row"] == "ours"].set_index("class").to_dict("index")
    assert confusion["count"].sum() == len(split.test)
    for name, of_class in confusion.groupby("truth"):
        right = of_class.loc[of_class["predicted"] == name, "count"].sum()
        assert classes[str(name)]["support"] == of_class["count"].sum()
        assert classes[str(name)]["recall"] == pytest.approx(right / of_class["count"].sum())


def test_a_second_evaluation_gives_the_same_result() -> None:
    split = toy_classes()
    one, two = (judge(split, ProbeClassifyConfig(max_train=40), ours=toy_model(split.train)) for _ in range(2))
    pd.testing.assert_frame_equal(one.rows, two.rows)


def test_the_cap_keeps_the_shares_of_the_classes() -> None:
    from tswork.protocols.labelled import capped

    collection = toy_classes(items=200).train.collection
    labels = ["k0"] * 150 + ["k1"] * 49 + ["k2"]
    part = Part.whole(collection.replaced(table=pd.DataFrame({"kind": labels})))
    found = capped(part, "kind", 20, seed=0)
    assert torch.bincount(found.codes("kind")).tolist() in ([14, 5, 1], [15, 4, 1])
    assert capped(part, "kind", 20, seed=0).spans.equal(found.spans)
    assert not capped(part, "kind", 20, seed=1).spans.equal(found.spans)


def test_new_items_are_classified_from_the_stored_heads() -> None:
    split = toy_classes()
    model = toy_model(split.train)
    protocol = ProbeClassify(ProbeClassifyConfig())
    result = protocol.evaluate({"ours": [model]}, split, Context())
    found = protocol.predict({"ours": [model]}, result.heads, split.test, Context())
    assert result.predictions is not None
    expected = result.predictions[result.predictions["row"] == "ours"].drop(columns="truth")
    pd.testing.assert_frame_equal(
        found.sort_values(["head", "item"], ignore_index=True),
        expected.sort_values(["head", "item"], ignore_index=True),
    )
    with pytest.raises(DataInvalid, match="classes have no horizon"):
        protocol.predict({"ours": [model]}, result.heads, split.test, Context(), horizon=3)


def test_confusion_matrices_are_drawn_for_models() -> None:
    split, recorder = toy_classes(), MemoryRecorder()
    ProbeClassify(ProbeClassifyConfig()).evaluate({"ours": [toy_model(split.train)]}, split, Context(recorder=recorder))
    assert set(recorder.figures) == {"confusion/ours"}


def test_items_without_a_label_are_left_out_and_counted() -> None:
    split = toy_classes()
    table = split.train.collection.table.copy()
    table.loc[[0, 1, 80], "kind"] = None
    result = judge(on(split, split.train.collection.replaced(table=table)), ours=toy_model(split.train))
    assert "3 items without a label were left out" in result.warnings
    assert result.units is not None
    assert (result.units["row"] == "ours").sum() == 29


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (["a"] * 90, r"kind: only one class \(a\) is in the training part; a probe needs two. Choose another label"),
        (["a", "b"] * 30 + ["a", "c"] * 15, "kind: class 'c' is in the test part but has no training data. Split by"),
        ([None] * 60 + ["a", "b"] * 15, "train: the part has no labelled items"),
    ],
)
def test_labels_that_cannot_be_judged_are_refused(labels: list[str | None], text: str) -> None:
    split = toy_classes()
    collection = split.train.collection.replaced(table=pd.DataFrame({"kind": labels}))
    with pytest.raises(DataInvalid, match=text):
        ProbeClassify(ProbeClassifyConfig()).check(on(split, collection))


def test_data_without_labels_are_refused() -> None:
    split = toy_classes()
    collection = split.train.collection.replaced(label=None)
    with pytest.raises(
        DataInvalid, match=r"label: no column holds the classes. Name it with `label` in the data block."
    ):
        ProbeClassify(ProbeClassifyConfig()).check(on(split, collection))


def test_probes_are_named_once() -> None:
    with pytest.raises(ValueError, match="a probe is named twice"):
        ProbeClassifyConfig(heads=("svm", "svm"))


def test_a_bundled_set_is_judged() -> None:
    datasets = pytest.importorskip("aeon.datasets")
    halves = [datasets.load_basic_motions(split=half) for half in ("train", "test")]
    x = np.concatenate([half[0] for half in halves]).transpose(0, 2, 1)
    items, time, channels = x.shape
    collection = Collection(
        torch.as_tensor(x.reshape(-1, channels), dtype=torch.float32),
        torch.arange(items + 1) * time,
        pd.DataFrame({"activity": np.concatenate([half[1] for half in halves])}),
        tuple(f"c{index}" for index in range(channels)),
        label="activity",
    )
    border = len(halves[0][0])
    train, test = Part.of(collection, torch.arange(border)), Part.of(collection, torch.arange(border, items))
    split = Split(train, Part(collection, train.spans[:0]), test)
    result = judge(split, ours=toy_model(train, dim=24))
    assert result.value("ours", "accuracy") > 0.6
    assert result.value("majority", "accuracy") == 0.25


def test_items_whose_group_is_not_known_are_resampled_alone() -> None:
    collection = Collection.from_array(np.zeros((5, 3, 1), np.float32), labels=list("ababa"))
    table = collection.table.assign(speaker=pd.Series(["x", "x", None, None, "y"], dtype=object))
    groups = resampled_together(Part.whole(collection.replaced(table=table, groups=("speaker",)))).tolist()
    assert groups[0] == groups[1]
    assert len(set(groups)) == 4
    assert all(isinstance(one, str) for one in groups)
