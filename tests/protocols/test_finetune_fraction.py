"""Fine-tuning on shares of the labels: rows and controls, what pairs them, patients, stored networks, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from tests.methods.toys import method_of, model_of, nothing
from tests.protocols.patients import toy_patients
from tswork.context import Context
from tswork.data.collection import Part, Split
from tswork.data.fractions import labelled_fraction
from tswork.errors import DataInvalid
from tswork.methods.model import Model
from tswork.metrics import classification, probes
from tswork.protocols.base import Result
from tswork.protocols.finetune_config import FinetuneFractionConfig
from tswork.protocols.finetune_fraction import FinetuneFraction
from tswork.protocols.plain_features import plain_features
from tswork.recorder import MemoryRecorder

QUICK: dict[str, Any] = {
    "fractions": (1.0, 0.3),
    "epochs": (6,),
    "learning_rate": 1e-2,
    "batch_size": 20,
    "hidden": 8,
    "scratch": None,
}


def config(**options: Any) -> FinetuneFractionConfig:
    return FinetuneFractionConfig.model_validate({**QUICK, **options})


def encoder(split: Split, *, seed: int = 0) -> Model:
    return model_of(method_of("supervised"), split.train, seed=seed)


def judge(split: Split, models: dict[str, Model], *, seed: int = 0, **options: Any) -> Result:
    protocol = FinetuneFraction(config(**options))
    return protocol.evaluate({name: [model] for name, model in models.items()}, split, Context(seed=seed))


@cache
def judged() -> tuple[Split, dict[str, Model], Result, MemoryRecorder]:
    """One judgement with every control, for the tests that only look at it."""
    split, recorder = toy_patients(), MemoryRecorder()
    models = {"ours": encoder(split), "random": encoder(split, seed=1)}
    own = {"learning_rate": 3e-2, "epochs": [2]}
    protocol = FinetuneFraction(config(scratch=own, batch_size=10, epochs=[10, 3]))
    result = protocol.evaluate({name: [model] for name, model in models.items()}, split, Context(recorder=recorder))
    return split, models, result, recorder


def test_every_share_has_all_rows_and_their_mean_stands_without_a_share() -> None:
    _, _, result, _ = judged()
    rows = result.rows.drop_duplicates(["row", "at"])
    assert rows["at"].unique().tolist() == ["100%", "30%", ""]
    roles = {"majority": "control", "ours": "candidate", "random": "control", "from_scratch": "control"}
    for at in ("100%", "30%", ""):
        found = rows[rows["at"] == at].set_index("row")["role"].to_dict()
        assert found == roles | {"statistics": "control"}
    mean = (result.value("ours", "macro_f1", "100%") + result.value("ours", "macro_f1", "30%")) / 2
    assert result.value("ours", "macro_f1") == pytest.approx(mean)


def test_metrics_stand_for_segments_and_behind_a_dot_for_patients() -> None:
    _, _, result, _ = judged()
    names = result.rows["metric"].unique().tolist()
    assert names == [*classification.METRICS, *(f"{name}.patient" for name in classification.METRICS)]


def test_fine_tuning_learns_and_leaves_the_models_as_they_were() -> None:
    split, models, result, _ = judged()
    assert result.value("ours", "macro_f1", "100%") > 0.9
    assert result.value("majority", "macro_f1", "100%") == pytest.approx(1 / 3)
    for seed, name in enumerate(models):
        fresh = encoder(split, seed=seed).state_dict()
        assert all(torch.equal(value, fresh[key]) for key, value in models[name].state_dict().items())


def test_a_patient_is_judged_by_the_mean_probability_of_its_segments() -> None:
    split, _, result, _ = judged()
    assert result.units is not None
    units = result.units[(result.units["row"] == "ours") & (result.units["at"] == "30%")]
    scores = units.groupby("level")[["score/0", "score/1"]].mean().to_numpy()
    truth = units.groupby("level")["truth"].first().to_numpy()
    assert result.value("ours", "macro_auroc.patient", "30%") == classification.macro_auroc(truth, scores)
    assert result.value("ours", "accuracy.patient", "30%") == (scores.argmax(axis=1) == truth).mean()
    assert scores.sum(axis=1) == pytest.approx(1)
    assert len(units) == len(split.test)


def test_the_worst_patients_stand_first() -> None:
    _, _, result, _ = judged()
    groups = result.tables["groups"]
    assert groups.columns.tolist() == ["row", "at", "patient", "truth", "predicted", "items", "accuracy", "score"]
    for _, of_row in groups.groupby(["row", "at"]):
        assert of_row["accuracy"].is_monotonic_increasing
        assert sorted(of_row["patient"]) == ["p14", "p15", "p16", "p17"]
    assert groups.loc[groups["row"] == "majority", "accuracy"].tolist() == [0, 0, 1, 1] * 2


def test_it_is_told_what_was_drawn_and_what_was_chosen() -> None:
    split, _, result, recorder = judged()
    labels = result.tables["labels"].set_index("at")
    assert labels["by"].tolist() == ["segments"] * 2
    assert labels["items"].tolist() == [60, 18]
    assert (labels["class d0"] + labels["class d1"]).tolist() == [60, 18]
    drawn = labelled_fraction(split.train, 0.3, by="segments", seed=0)
    assert labels.loc["30%", "groups"] == drawn.table["patient"].nunique()
    training = {(line["row"], line["at"]): line for line in result.tables["training"].to_dict("records")}
    scratch, ours = training["from_scratch", "100%"], training["ours", "100%"]
    assert (scratch["learning_rate"], scratch["epochs"]) == (3e-2, 2)
    assert (ours["learning_rate"], ours["epochs"], ours["steps"]) == (1e-2, 10, 60)
    assert len(recorder.curves["ours@30%/loss"]) == 6
    curve = [value for _, value in recorder.curves["ours@30%/validation/macro_f1"]]
    assert training["ours", "30%"]["validation_macro_f1"] == pytest.approx(max(curve))
    assert set(recorder.figures) == {f"confusion/{row}@{at}" for row in ("ours", "random") for at in ("100%", "30%")}


def test_rows_are_paired_equal_encoders_give_equal_rows() -> None:
    """Same labels, batches, first weights of the head and dropout: only the encoder may make a difference."""
    split = toy_patients()
    result = judge(split, {"ours": encoder(split), "random": encoder(split)}, fractions=(0.5,), features="none")
    assert result.units is not None
    ours, random = (result.units[result.units["row"] == name]["score/0"].tolist() for name in ("ours", "random"))
    assert ours == random
    again = judge(split, {"ours": encoder(split)}, fractions=(0.5,), features="none")
    assert _of(again, "ours")["value"].tolist() == _of(result, "ours")["value"].tolist()
    other = judge(split, {"ours": encoder(split)}, fractions=(0.5,), features="none", seed=1).units
    assert other is not None
    assert other[other["row"] == "ours"]["score/0"].tolist() != ours


def _of(result: Result, row: str) -> pd.DataFrame:
    return result.rows[result.rows["row"] == row]


def test_of_several_learning_rates_the_best_on_the_validation_part_is_taken_for_every_row() -> None:
    split = toy_patients()
    models = {"ours": encoder(split), "random": encoder(split, seed=1)}
    options: dict[str, Any] = {"fractions": (1.0,), "features": "none", "scratch": {"epochs": [6]}}
    result = judge(split, models, learning_rates=(1e-6, 1e-2), **options)
    training = result.tables["training"].set_index("row")["learning_rate"].to_dict()
    assert training == {"ours": 1e-2, "random": 1e-2, "from_scratch": 1e-2}
    alone = judge(split, models, learning_rate=1e-2, fractions=(1.0,), features="none")
    assert result.value("ours", "macro_auroc") == alone.value("ours", "macro_auroc")
    # The same recipe on the same untrained encoder is the same network.
    assert _of(result, "from_scratch")["value"].tolist() == _of(result, "random")["value"].tolist()


def test_where_encoders_differ_each_has_its_own_controls() -> None:
    split = toy_patients()
    models = {name: encoder(split, seed=seed) for seed, name in enumerate(("random.a", "random.b", "a", "b"))}
    result = judge(split, models, fractions=(1.0,), epochs=(1,), features="none", scratch={"learning_rate": 0.1})
    roles = result.rows.drop_duplicates("row").set_index("row")["role"].to_dict()
    controls = ["majority", "random.a", "from_scratch.a", "random.b", "from_scratch.b"]
    assert roles == dict.fromkeys(controls, "control") | {"a": "candidate", "b": "candidate"}


def test_a_frozen_encoder_gives_the_head_its_embeddings() -> None:
    split = toy_patients()
    model = encoder(split)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    result = judge(split, {"ours": model}, train="head", fractions=(1.0,), epochs=(3,))
    assert set(result.heads["ours@100%"]) == {
        f"heads.classify.{name}"
        for name in ("0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var")
    } | {f"heads.classify.{name}" for name in ("1.num_batches_tracked", "3.weight", "3.bias")}
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    whole = judge(split, {"ours": model}, fractions=(1.0,), epochs=(3,)).heads["ours@100%"]
    moved = [name for name in before if name.startswith("encoder") and not np.array_equal(whole[name], before[name])]
    assert moved == [name for name in before if name.startswith("encoder")]


@pytest.mark.parametrize("train", ["all", "head"])
def test_new_items_are_classified_from_the_stored_networks(train: str) -> None:
    split = toy_patients()
    model, random = encoder(split), encoder(split, seed=1)
    protocol = FinetuneFraction(config(train=train))
    result = protocol.evaluate({"ours": [model], "random": [random]}, split, Context())
    assert set(result.heads) == {"ours@100%", "ours@30%"}
    found = protocol.predict({"ours": [model]}, result.heads, split.test, Context())
    assert result.predictions is not None
    expected = result.predictions[result.predictions["row"] == "ours"].drop(columns="truth")
    pd.testing.assert_frame_equal(found.drop(columns="probability"), expected.reset_index(drop=True))
    assert found["probability"].between(0.5, 1).all()
    with pytest.raises(DataInvalid, match="classes have no horizon"):
        protocol.predict({"ours": [model]}, result.heads, split.test, Context(), horizon=3)


def test_groups_are_drawn_whole() -> None:
    split = toy_patients()
    labels = judge(split, {}, by="groups", fractions=(0.5,)).tables["labels"].iloc[0]
    assert (labels["by"], labels["items"], labels["groups"]) == ("groups", 30, 5)


def test_a_mask_and_the_published_head_change_training() -> None:
    split = toy_patients()
    models = {"ours": encoder(split)}
    options: list[dict[str, Any]] = [{}, {"mask": "binomial"}, {"head": "published"}]
    found = [judge(split, models, fractions=(1.0,), features="none", epochs=(2,), **one).units for one in options]
    scores = [tuple(units.loc[units["row"] == "ours", "score/0"]) for units in found if units is not None]
    assert len(set(scores)) == 3


def test_without_a_validation_part_all_epochs_are_trained_and_it_is_said() -> None:
    split = toy_patients()
    result = judge(replace(split, validation=nothing(split.train)), {"ours": encoder(split)}, patience=1)
    assert result.warnings[0] == (
        "there is no labelled validation part: every network trains all its epochs, and its last weights are tested"
    )
    assert result.tables["training"]["steps"].tolist() == [18, 6]
    assert result.tables["training"]["validation_macro_f1"].isna().all()


def test_plain_features_choose_their_cost_by_patients_who_were_not_fitted() -> None:
    split = toy_patients(patients=22, parts=(18, 18), noise=1.2)
    result = judge(split, {"ours": encoder(split)}, fractions=(1.0,), epochs=(1,))
    x, x_test = (plain_features("statistics", part) for part in (split.train, split.test))
    truth, patient = split.train.codes("diagnosis").numpy(), split.train.codes("patient").numpy()
    by_patient, by_item = (probes.fit_logistic(x, truth, groups=groups) for groups in (patient, None))
    assert by_patient["cost"] != by_item["cost"]
    chosen, _ = probes.decide("logistic", by_patient, x_test, 2)
    correct = chosen == split.test.codes("diagnosis").numpy()
    assert result.value("statistics", "accuracy", "100%") == pytest.approx(correct.mean())


def test_patience_stops_early() -> None:
    split = toy_patients()
    result = judge(split, {"ours": encoder(split)}, patience=2, epochs=(40,), fractions=(1.0,), features="none")
    (line,) = result.tables["training"].to_dict("records")
    assert line["stopped"] == "patience"
    assert line["steps"] < 120


def test_a_draw_that_lacks_a_class_has_no_figures_and_it_is_said() -> None:
    split = toy_patients()
    protocol = FinetuneFraction(config(fractions=(0.034,)))
    seed = next(seed for seed in range(99) if protocol._draw_problems(split.train, 0.034, seed))
    result = judge(split, {"ours": encoder(split)}, fractions=(0.5, 0.034), epochs=(1,), seed=seed)
    assert result.warnings[0].startswith(
        "nothing was trained on 3.4% of the labels: fraction: 0.034 is 2 of 60 segments"
    )
    assert result.warnings[0].endswith("Take a larger fraction, or give `stratify: true`.")
    for row in ("majority", "ours", "statistics"):
        assert np.isnan(result.value(row, "macro_f1.patient", "3.4%"))
        assert np.isnan(result.value(row, "macro_f1"))
        assert not np.isnan(result.value(row, "macro_f1", "50%"))
    drawn = judge(split, {"ours": encoder(split)}, fractions=(0.034,), stratify=True, epochs=(1,), seed=seed)
    assert not np.isnan(drawn.value("ours", "macro_f1"))


def test_one_class_in_the_test_part_is_said_and_undefined_figures_are_nan() -> None:
    split = toy_patients()
    first = Part(split.test.collection, split.test.spans[split.test.codes("diagnosis") == 0])
    result = judge(replace(split, test=first), {"ours": encoder(split)}, fractions=(1.0,), epochs=(1,))
    assert result.warnings[0] == (
        "the test part has one class only (d0), so macro_auroc is not defined and stands as NaN, and macro_auprc is 1 whatever is said"
    )
    assert set(result.rows.loc[result.rows["metric"] == "macro_auprc", "value"]) == {1.0}
    assert np.isnan(result.value("ours", "macro_auroc"))
    assert 0 <= result.value("ours", "accuracy") <= 1


def test_without_the_patient_of_an_item_patients_are_not_judged_and_it_is_said() -> None:
    split = toy_patients()
    known = split.train.collection.table["patient"].astype(object)
    known.iloc[[0, len(known) - 1]] = None
    table = split.train.collection.table.assign(patient=known)
    split = split.on(split.train.collection.replaced(table=table))
    result = judge(split, {"ours": encoder(split)}, epochs=(1,), by="segments")
    assert "1 test item has no 'patient', so there are no figures by patient" in result.warnings
    assert not result.rows["metric"].str.endswith(".patient").any()
    drawn = result.tables["labels"].set_index("at")["groups"]
    assert drawn["100%"] == 10, "an item without a patient is no patient more"


def test_data_that_cannot_be_judged_are_refused_with_all_faults() -> None:
    split = toy_patients(rate=None)
    protocol = FinetuneFraction(
        config(features="band_powers", learning_rates=[1e-3, 1e-2], fractions=[1.0, 0.01], by="segments")
    )
    with pytest.raises(DataInvalid) as refused:
        protocol.check(replace(split, validation=nothing(split.train)))
    assert str(refused.value).splitlines() == [
        "features: band_powers needs the number of samples a second, which the data do not tell. Give `rate` in the data"
        " block, or `features: statistics`.",
        "learning_rates: there is no labelled validation part to choose among 2 learning rates on. Give `split` a share for"
        " validation, or one `learning_rate`.",
        "fractions: 0.01 is 0 of 60 segments. Take a larger fraction.",
    ]
    unlabelled = split.on(split.train.collection.replaced(label=None))
    with pytest.raises(DataInvalid, match=r"label: no column holds the classes. Name it with `label`"):
        FinetuneFraction(config()).check(unlabelled)


def test_one_patient_has_one_class_so_a_share_of_one_is_refused() -> None:
    split = toy_patients()
    text = r"fractions: 0\.1 is 1 of 10 groups and leaves out 1 class: d\d\. Take a larger fraction, or give `stratify"
    with pytest.raises(DataInvalid, match=text):
        FinetuneFraction(config(by="groups", fractions=[1.0, 0.1])).check(split)


def test_groups_need_a_column() -> None:
    split = toy_patients()
    alone = split.on(split.train.collection.replaced(groups=()))
    with pytest.raises(
        DataInvalid, match=r"group: the data name no groups, so there is no share of them. Name a column"
    ):
        FinetuneFraction(config(by="groups", fractions=[1.0])).check(alone)
    with pytest.raises(DataInvalid, match=r"group: there is no column 'patent'. Did you mean 'patient'?"):
        FinetuneFraction(config(by="groups", group="patent")).check(split)
    FinetuneFraction(config(by="groups", group="patient", fractions=[0.5])).check(alone)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"epochs": [1, 2, 3]}, "epochs has 3 entries, and there are 2 fractions"),
        ({"scratch": {"epochs": [1, 2, 3]}}, "scratch.epochs has 3 entries, and there are 2 fractions"),
        ({"fractions": [0.1, 0.1]}, "a fraction is named twice"),
        ({"fractions": [0.1, 0.10000001]}, "a fraction is named twice"),
        ({"train": "head", "mask": "binomial"}, "a frozen encoder embeds every item once, so no mask can be drawn"),
        ({"fractions": [1.5]}, "less than or equal to 1"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        config(**options)
