"""Tests of a difference in areas and F1: weighted figures against repeated items, pairing, patients, and coverage."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from tswork.metrics import classification
from tswork.metrics.score_differences import ScoredMetric, compare_scores
from tswork.metrics.significance import TOO_FEW, compare_rows


def scored(
    *, patients: int = 12, segments: int = 5, strength: float = 1.0, row: str = "ours", seed: int = 0, classes: int = 2
) -> pd.DataFrame:
    """Units of patients of one class each, whose segments share an error."""
    draw = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), segments)
    truth = patient % classes
    scores = strength * np.eye(classes)[truth] + draw.normal(size=(patients, classes))[patient]
    scores += 0.5 * draw.normal(size=scores.shape)
    names = [f"p{one}" for one in patient]
    frame = pd.DataFrame(
        {"row": row, "at": "", "unit": np.arange(len(truth)), "group": names, "level": names, "truth": truth}
    )
    frame["predicted"] = scores.argmax(axis=1)
    frame["accuracy"] = (frame["predicted"] == truth).astype(float)
    return frame.assign(**{f"score/{number}": scores[:, number] for number in range(classes)})


def test_the_difference_is_that_of_the_figures_and_equal_rows_do_not_differ() -> None:
    one, other = scored(seed=1), scored(seed=2, strength=0.5, row="other")
    units = pd.concat([one, other, one.assign(row="same")])
    table = compare_scores(units, "macro_auroc", candidate="ours", resamples=200)
    areas = [
        classification.macro_auroc(frame["truth"].to_numpy(), frame[["score/0", "score/1"]].to_numpy())
        for frame in (one, other)
    ]
    different, same = table.to_dict("records")
    assert different["difference"] == pytest.approx(areas[0] - areas[1])
    assert [same[name] for name in ("row", "difference", "low", "high", "p")] == ["same", 0, 0, 0, 1]
    assert table["pairs"].tolist() == [12, 12]
    means = compare_rows(units, "accuracy", candidate="ours", kind="group")
    assert table.columns.tolist() == means.columns.tolist()


def test_accuracy_is_tested_as_the_mean_over_units_is() -> None:
    frames = pd.concat([scored(seed=3), scored(seed=4, strength=0.2, row="other")])
    one = compare_scores(frames, "accuracy", candidate="ours", resamples=4000).iloc[0]
    mean = compare_rows(frames, "accuracy", candidate="ours", kind="group", resamples=4000).iloc[0]
    assert one["difference"] == pytest.approx(mean["difference"])
    assert one["high"] - one["low"] == pytest.approx(mean["high"] - mean["low"], rel=0.05)


def test_the_name_of_groups_may_hold_a_dot() -> None:
    frames = pd.concat([scored(seed=1), scored(seed=2, strength=0.5, row="other")])
    found, plain = (
        compare_scores(frames, f"macro_auroc.{name}", candidate="ours", resamples=50)
        for name in ("patient.id", "patient")
    )
    pd.testing.assert_frame_equal(found, plain)


def test_a_patient_is_one_item_with_its_mean_scores() -> None:
    frames = pd.concat([scored(seed=1), scored(seed=2, strength=0.5, row="other")])
    found = compare_scores(frames, "macro_auroc.patient", candidate="ours", resamples=50).iloc[0]
    areas = []
    for _, frame in frames.groupby("row", sort=False):
        means = frame.groupby("level", sort=False)[["truth", "score/0", "score/1"]].mean().to_numpy()
        areas.append(classification.macro_auroc(means[:, 0].astype(int), means[:, 1:]))
    assert found["difference"] == pytest.approx(areas[0] - areas[1])


def test_seeds_splits_and_shares_are_averaged_and_their_patients_drawn_together() -> None:
    """The same judgement under two seeds is no more information than once."""
    frames = pd.concat([scored(seed=1), scored(seed=2, strength=0.5, row="other")])
    once = compare_scores(frames.assign(seed=1), "macro_f1", candidate="ours", resamples=300).iloc[0]
    many = pd.concat(
        [frames.assign(seed=seed, split=split, at=at) for seed in (1, 2) for split in (0, 1) for at in "ab"]
    )
    often = compare_scores(many, "macro_f1", candidate="ours", resamples=300).iloc[0]
    assert often["difference"] == pytest.approx(once["difference"])
    assert (often["low"], often["high"]) == pytest.approx((once["low"], once["high"]))
    only = compare_scores(many, "macro_f1", candidate="ours", at="a", resamples=300).iloc[0]
    assert only["difference"] == pytest.approx(once["difference"])


def test_segments_of_a_patient_are_not_taken_for_independent() -> None:
    frames = pd.concat([scored(seed=1, patients=20), scored(seed=2, patients=20, row="other")])
    alone = frames.assign(group=frames["unit"].astype(str))
    wide, narrow = (
        compare_scores(one, "macro_auroc", candidate="ours", resamples=500).iloc[0] for one in (frames, alone)
    )
    assert wide["high"] - wide["low"] > 1.4 * (narrow["high"] - narrow["low"])


def test_the_interval_covers_no_difference_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(60):
        frames = pd.concat([scored(seed=2 * seed, patients=16), scored(seed=2 * seed + 1, patients=16, row="other")])
        line = compare_scores(frames, "macro_auroc", candidate="ours", seed=seed, resamples=100).iloc[0]
        covered += line["low"] <= 0 <= line["high"]
    assert 52 <= covered <= 60


def test_too_few_patients_and_one_class_are_not_tested_and_it_is_said() -> None:
    frames = pd.concat([scored(patients=4), scored(patients=4, row="other")])
    line = compare_scores(frames, "macro_auroc", candidate="ours").iloc[0]
    assert (line["note"], line["pairs"]) == (TOO_FEW, 4)
    assert math.isnan(line["p"])
    alike = pd.concat([scored(), scored(row="other", seed=1)]).assign(truth=0)
    line = compare_scores(alike, "macro_auroc", candidate="ours").iloc[0]
    assert line["note"] == "not defined in a test part of one class"


def test_what_units_cannot_tell_is_refused() -> None:
    units = scored()
    assert ScoredMetric.named("macro_f1.patient", units) == ScoredMetric("macro_f1", "", True)
    assert ScoredMetric.named("macro_f1.patient", units.drop(columns="level")) is None
    assert ScoredMetric.named("macro_f1.knn", units.drop(columns="level")) is None
    probed = units.assign(**{"predicted.knn": 0, "score.knn/0": 0.5, "score.knn/1": 0.5})
    assert ScoredMetric.named("macro_f1.knn.patient", probed) == ScoredMetric("macro_f1", ".knn", True)
    with pytest.raises(ValueError, match="'mse' does not follow from the units' columns: row, at"):
        compare_scores(units, "mse", candidate="ours")
    with pytest.raises(ValueError, match="no row is called 'mine'; there are ours"):
        compare_scores(units, "macro_f1", candidate="mine")
