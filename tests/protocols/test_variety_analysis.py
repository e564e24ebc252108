"""The analysis of varieties on generated ones: what classifies, what is told of spaces and leaks, what is refused."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import silhouette_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from tests.protocols.toys import toy_classes, toy_model
from tests.protocols.varieties import toy_varieties
from tswork.context import Context
from tswork.data.collection import Part, Split
from tswork.errors import DataInvalid
from tswork.methods.embedding import classify_part, embed_part
from tswork.methods.model import Model
from tswork.metrics.mantel import great_circle, mantel
from tswork.protocols.base import Result
from tswork.protocols.spaces import pairwise
from tswork.protocols.variety_analysis import VarietyAnalysis
from tswork.protocols.variety_config import Picture, VarietyAnalysisConfig
from tswork.protocols.variety_pictures import plane
from tswork.recorder import MemoryRecorder

QUICK: dict[str, Any] = {"permutations": 99}


def judge(split: Split, *, recorder: MemoryRecorder | None = None, models: dict[str, Model], **options: Any) -> Result:
    protocol = VarietyAnalysis(VarietyAnalysisConfig(**(QUICK | options)))
    return protocol.evaluate(
        {name: [model] for name, model in models.items()}, split, Context(recorder=recorder or MemoryRecorder())
    )


def headed(split: Split, *, seed: int = 0) -> Model:
    """A model with a head of its own, which always says the second class."""
    model = toy_model(split.train, dim=8, seed=seed)
    head = nn.Linear(8, len(model.info.classes))
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.tensor([0.0, 1.0, 0.0]))
    return Model(model.encoder, model.info, heads={"classify": head}, provides=frozenset({"classify"}))


@cache
def analysed() -> tuple[Split, Model, Result, MemoryRecorder]:
    """One analysis that several tests look at; nothing of it is changed."""
    split, recorder = toy_varieties(), MemoryRecorder()
    model = toy_model(split.train, dim=8)
    models = {"ours": model, "random": toy_model(split.train, dim=8, seed=3)}
    return split, model, judge(split, recorder=recorder, models=models, slices=("gender",)), recorder


def test_controls_stand_in_every_table_and_are_judged_by_the_regression() -> None:
    _, _, result, _ = analysed()
    roles = result.rows.drop_duplicates("row").set_index("row")["role"].to_dict()
    assert roles == {"majority": "control", "mfcc_statistics": "control", "ours": "candidate", "random": "control"}
    assert result.value("majority", "accuracy") == pytest.approx(1 / 3)
    assert result.value("mfcc_statistics", "macro_f1") > 0.9
    judged_by = result.tables["judged_by"].set_index("row")["head"].to_dict()
    assert judged_by == {"majority": "the most frequent class"} | dict.fromkeys(
        ["mfcc_statistics", "ours", "random"], "logistic"
    )


def test_the_regression_is_the_library_s_with_balanced_classes() -> None:
    split, model, result, _ = analysed()
    x, new = (embed_part(model, part, Context()).double().numpy() for part in (split.train, split.test))
    truth, expected = (part.codes("region").numpy() for part in (split.train, split.test))
    reference = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))
    assert result.value("ours", "accuracy") == pytest.approx(reference.fit(x, truth).score(new, expected))


def test_a_model_is_judged_by_its_own_head_and_an_untrained_one_is_not() -> None:
    split = toy_varieties()
    models = {"ours": headed(split), "random": headed(split, seed=1)}
    own = judge(split, models=models, leaks=False)
    assert own.tables["judged_by"].set_index("row")["head"].to_dict()["ours"] == "own"
    assert own.tables["judged_by"].set_index("row")["head"].to_dict()["random"] == "logistic"
    assert own.value("ours", "accuracy") == pytest.approx(1 / 3)
    assert "ours does not beat the control" in own.warnings[-1]
    probed = judge(split, models=models, head="probe", leaks=False)
    assert probed.value("ours", "accuracy") > 0.8
    assert probed.value("random", "accuracy") == own.value("random", "accuracy")


def test_macro_figures_count_classes_of_the_training_without_test_items() -> None:
    split = toy_varieties()
    kept = Part(split.test.collection, split.test.spans[split.test.codes("region") != 2])
    result = judge(replace(split, test=kept), models={}, leaks=False)
    told = "1 of 3 classes of the training part has no test items (region2); it counts 0 in macro_f1"
    assert any(warning.startswith(told) for warning in result.warnings)
    f1 = result.tables["classes"].query("row == 'mfcc_statistics'")["f1"]
    assert result.value("mfcc_statistics", "macro_f1") == pytest.approx(f1.sum() / 3)
    assert result.value("majority", "macro_f1") == pytest.approx((2 / 3) / 3)
    intervals = result.tables["intervals"].set_index(["row", "metric"])["value"]
    assert intervals["mfcc_statistics", "macro_f1"] == pytest.approx(result.value("mfcc_statistics", "macro_f1"))


def test_units_groups_and_intervals_are_those_of_places() -> None:
    _, _, result, _ = analysed()
    assert result.units is not None
    of_ours = result.units[result.units["row"] == "ours"]
    assert of_ours["group"].nunique() == 6  # places; their speakers lie inside
    assert result.value("ours", "accuracy.location") == 1
    line = result.tables["intervals"].query("row == 'ours' and metric == 'accuracy'").iloc[0]
    assert line["low"] <= result.value("ours", "accuracy") <= line["high"]
    assert line["groups"] == 6


def test_confusion_stands_as_counts_as_shares_and_in_pairs() -> None:
    _, _, result, _ = analysed()
    counts, shares, pairs = (
        result.tables[name].query("row == 'ours'") for name in ("confusion", "confusion_shares", "confusion_pairs")
    )
    assert shares.groupby("truth")["share"].sum().tolist() == pytest.approx([1, 1, 1])
    off = counts[counts["truth"] != counts["predicted"]]
    assert pairs["count"].sum() == off["count"].sum() == 3
    assert pairs.iloc[0][["one", "other", "count", "share"]].tolist() == ["region0", "region1", 3, 3 / 48]


def test_silhouettes_are_those_of_the_standardised_test_embeddings() -> None:
    split, model, result, _ = analysed()
    train, test = (embed_part(model, part, Context()).double().numpy() for part in (split.train, split.test))
    scaled = StandardScaler().fit(train).transform(test)
    for column, metric in (
        ("region", "silhouette"),
        ("speaker", "silhouette.speaker"),
        ("location", "silhouette.location"),
    ):
        expected = silhouette_score(scaled, split.test.codes(column).numpy())
        assert result.value("ours", metric) == pytest.approx(expected)
    assert result.value("ours", "purity.others") < result.value("ours", "purity") <= 1


def test_the_planted_tree_is_found() -> None:
    _, _, result, _ = analysed()
    joins = result.tables["linkage/location"].query("row == 'ours'")
    first = {frozenset(pair) for pair in joins[["one", "other"]].head(3).itertuples(index=False)}
    assert first == {frozenset({f"c{one}p2", f"c{one}p3"}) for one in range(3)}
    assert result.tables["linkage/region"].query("row == 'ours'")["size"].tolist() == [2, 3]


def test_places_are_compared_with_the_map() -> None:
    split, model, result, _ = analysed()
    places = result.tables["places"].query("row == 'ours'")
    assert places["place"].tolist() == [f"c{one}p{two}" for one in range(3) for two in (2, 3)]
    assert places["label"].tolist() == [f"region{one}" for one in range(3) for _ in range(2)]
    assert places["items"].tolist() == [12] * 6
    found = result.tables["mantel"].set_index("row").loc["ours"]
    train, test = (embed_part(model, part, Context()).double().numpy() for part in (split.train, split.test))
    scaled = (
        pd.DataFrame(StandardScaler().fit(train).transform(test))
        .groupby(split.test.table["location"].to_numpy())
        .mean()
    )
    degrees = split.test.table.groupby("location")[["lat", "lon"]].first().to_numpy()
    expected = mantel(pairwise(scaled.to_numpy(), "euclidean"), great_circle(degrees))
    assert found["correlation"] == pytest.approx(expected.correlation)
    assert found["p"] == expected.p < 0.05


def test_slices_are_figures_of_their_items() -> None:
    split, _, result, _ = analysed()
    slices = result.tables["slices"].query("row == 'ours'")
    assert slices[["column", "value", "items"]].to_numpy().tolist() == [["gender", "f", 36], ["gender", "m", 36]]
    assert result.units is not None
    hits = result.units.query("row == 'ours'")["accuracy"].to_numpy()
    gender = split.test.table["gender"].to_numpy()
    assert slices["accuracy"].tolist() == pytest.approx([hits[gender == one].mean() for one in "fm"])


def test_new_recordings_are_classified_as_the_test_was() -> None:
    split, model, result, _ = analysed()
    own = headed(split)
    protocol = VarietyAnalysis(VarietyAnalysisConfig())
    found = protocol.predict({"ours": [model], "own": [own]}, result.heads, split.test, Context())
    assert result.predictions is not None
    expected = result.predictions[result.predictions["row"] == "ours"]
    ours = found[found["row"] == "ours"]
    assert ours["predicted"].tolist() == expected["predicted"].tolist()
    assert set(ours["head"]) == {"logistic"}
    assert set(found[found["row"] == "own"]["predicted"]) == {"region1"}
    assert found["probability"].between(1 / 3, 1).all()
    none = protocol.predict(
        {"ours": [model]}, result.heads, Part(split.test.collection, split.test.spans[:0]), Context()
    )
    assert none.empty
    with pytest.raises(DataInvalid, match="classes have no horizon"):
        protocol.predict({"ours": [model]}, result.heads, split.test, Context(), horizon=3)


def test_logits_of_a_part_are_those_of_its_items() -> None:
    split = toy_classes()
    model = toy_model(split.train, dim=8, padding_invariant=False)
    model.heads["classify"] = nn.Linear(8, 3)
    found = classify_part(model, split.test, Context(), steps=50)
    for item in (0, 7, 29):
        sequence, start, stop = split.test.spans[item].tolist()
        alone = model.classify(split.test.collection.sequence(sequence)[None, start:stop])
        torch.testing.assert_close(found[item], alone[0])


def test_pictures_and_no_page_unless_asked_for() -> None:
    _, _, _, recorder = analysed()
    of_models = {f"{kind}/ours" for kind in ("tree/region", "tree/location", "places", "space/pca")}
    of_rows = {f"{kind}/{row}" for kind in ("confusion", "similarity") for row in ("mfcc_statistics", "ours", "random")}
    assert set(recorder.figures) == of_models | of_rows
    assert recorder.pages == {}


@pytest.mark.parametrize("page", ["points", "sounds"])
def test_a_page_holds_sounds_only_when_asked_for(page: str) -> None:
    split, recorder = toy_varieties(speakers=1, clips=4), MemoryRecorder()
    options = {"leaks": False, "features": "none", "page": page, "page_megabytes": 0.02, "page_seconds": 0.1}
    judge(split, recorder=recorder, models={"ours": toy_model(split.train)}, **options)
    html = recorder.pages["space/ours"]
    assert '"speaker": "c0p2s0"' in html
    sounds = html.count("data:audio/wav;base64,")
    assert sounds == 0 if page == "points" else 0 < sounds < len(split.test)
    assert (f"{sounds} of 24 items can be heard" in html) == (page == "sounds")


def test_t_sne_and_umap_are_pictures_of_the_seed() -> None:
    x = np.random.default_rng(0).normal(size=(24, 5))
    for picture in ("tsne", "umap"):
        one, two = (plane(x, picture, seed=0)[0] for _ in range(2))
        np.testing.assert_array_equal(one, two)
        assert one.shape == (24, 2)
    assert not np.allclose(one, plane(x, "umap", seed=1)[0])
    few, axes = plane(x[:3], "umap", seed=0)
    np.testing.assert_allclose(np.linalg.norm(few[0] - few[1]), np.linalg.norm(x[0] - x[1]))
    assert axes[0].startswith("first component")


def test_more_items_than_asked_for_are_drawn_for_distances_but_all_are_classified() -> None:
    split = toy_varieties()
    result = judge(split, models={"ours": toy_model(split.train)}, max_items=30, leaks=False)
    assert result.tables["places"].query("row == 'ours'")["items"].sum() == 30
    assert result.tables["confusion"].query("row == 'ours'")["count"].sum() == 72


def test_series_without_a_rate_are_judged_with_statistics() -> None:
    split = toy_classes(groups=9)
    result = judge(split, models={"ours": toy_model(split.train)}, features="statistics")
    assert result.value("ours", "accuracy") > 0.5
    assert set(result.tables["leaks"]["probe"]) == {"identity", "length", "metadata"}
    assert "mantel" not in result.tables


@pytest.mark.parametrize(
    ("rate", "options", "told"),
    [
        (None, {}, "features: mfcc_statistics needs the number of samples a second"),
        (128.0, {}, "features: mfcc_statistics describe sound, and the data have 128 samples a second"),
        (8000.0, {"place": "village"}, "place: the table has no column 'village'"),
        (8000.0, {"slices": ("gender", "sx")}, r"slices: the table has no column 'sx'"),
    ],
)
def test_what_the_data_cannot_serve_is_refused(rate: float | None, options: dict[str, Any], told: str) -> None:
    split = toy_varieties(speakers=1, clips=2)
    other = split.on(split.train.collection.replaced(rate=rate))
    with pytest.raises(DataInvalid, match=told):
        VarietyAnalysis(VarietyAnalysisConfig(**options)).check(other)


def test_coordinates_are_numbers() -> None:
    split = toy_varieties(speakers=1, clips=2)
    table = split.train.collection.table
    other = split.on(split.train.collection.replaced(table=table.assign(lat="45° 30'")))
    with pytest.raises(
        DataInvalid, match="latitude: the column 'lat' should hold degrees as numbers, and has \"45° 30'\""
    ):
        VarietyAnalysis(VarietyAnalysisConfig()).check(other)
    italian = split.on(split.train.collection.replaced(table=table.assign(lat="45,5")))
    with pytest.raises(DataInvalid, match=r"has '45,5'\. Give the data block `decimal: ','`"):
        VarietyAnalysis(VarietyAnalysisConfig()).check(italian)


@pytest.mark.parametrize(
    ("column", "value", "told"), [("lat", 5e6, "5e\\+06"), ("lon", 361.0, "361"), ("lat", np.inf, "inf")]
)
def test_coordinates_are_degrees(column: str, value: float, told: str) -> None:
    split = toy_varieties(speakers=1, clips=2)
    table = split.train.collection.table.copy()
    table[column] = table[column].where(table.index > 0, value)
    other = split.on(split.train.collection.replaced(table=table))
    with pytest.raises(DataInvalid, match=f"the column '{column}' should hold degrees between .*, and has {told}"):
        VarietyAnalysis(VarietyAnalysisConfig()).check(other)
    unknown = table.assign(**{column: table[column].where(table.index > 0)})
    VarietyAnalysis(VarietyAnalysisConfig()).check(split.on(split.train.collection.replaced(table=unknown)))


@pytest.mark.parametrize("picture", ["tsne", "umap"])
@pytest.mark.parametrize("x", [np.ones((20, 3)), np.arange(20.0)[:, None], np.eye(20)[:, :3]])
def test_what_has_no_neighbours_is_drawn_by_its_components(picture: Picture, x: np.ndarray) -> None:
    points, axes = plane(x, picture, seed=0)
    assert np.isfinite(points).all()
    np.testing.assert_array_equal(points, plane(x, "pca", seed=0)[0])
    assert axes[0].startswith("first component")


def test_classes_that_are_places_have_one_tree() -> None:
    split = toy_varieties(speakers=1, clips=4)
    by_place = split.on(
        split.train.collection.replaced(table=split.train.collection.table.assign(region=lambda one: one["location"]))
    )
    items = torch.arange(len(split.train.collection))
    train, none, test = (Part.of(by_place.train.collection, items[rest::3]) for rest in range(3))
    mixed = Split(train, none, test)
    result = judge(mixed, models={}, place="region", leaks=False)
    assert "linkage/region" in result.tables
    assert "places" not in result.tables


def test_a_second_analysis_gives_the_same_rows() -> None:
    split, model, result, _ = analysed()
    again = judge(split, models={"ours": model})
    ours = result.rows[result.rows["row"] == "ours"].reset_index(drop=True)
    pd.testing.assert_frame_equal(again.rows[again.rows["row"] == "ours"].reset_index(drop=True), ours)
