"""Intervals of one figure: groups are drawn, not items, and a class without items does not vanish."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from tswork.metrics import classification
from tswork.metrics.intervals import figure_intervals
from tswork.metrics.score_differences import UNDEFINED
from tswork.metrics.significance import TOO_FEW
from tswork.metrics.weighted_figures import weighted_figure


def units(right: np.ndarray, group: np.ndarray) -> pd.DataFrame:
    """Items of two classes that are right or wrong."""
    truth = np.arange(len(right)) % 2
    predicted = np.where(right, truth, 1 - truth)
    frame = pd.DataFrame({"row": "ours", "at": "", "unit": np.arange(len(right)), "group": group, "truth": truth})
    scores = np.eye(2)[predicted]
    return frame.assign(predicted=predicted, **{"score/0": scores[:, 0], "score/1": scores[:, 1]})


def test_a_thousand_clips_of_ten_cities_are_worth_ten() -> None:
    city = np.repeat(np.arange(10), 100)
    right = city < 6  # each city is all right or all wrong
    by_city, by_clip = (
        figure_intervals(units(right, group), "accuracy", resamples=4000).iloc[0] for group in (city, np.arange(1000))
    )
    assert by_city["value"] == by_clip["value"] == 0.6
    assert by_clip["error"] == pytest.approx(math.sqrt(0.6 * 0.4 / 1000), rel=0.05)
    assert by_city["error"] == pytest.approx(math.sqrt(0.6 * 0.4 / 9), rel=0.05)  # unbiased: ten cities, nine freedoms
    assert by_city["high"] - by_city["low"] > 9 * (by_clip["high"] - by_clip["low"])
    assert (by_city["groups"], by_clip["groups"]) == (10, 1000)


def test_a_few_groups_have_no_interval() -> None:
    found = figure_intervals(units(np.ones(20, bool), np.arange(20) % 5), "macro_f1").iloc[0]
    assert (found["value"], found["note"]) == (1.0, TOO_FEW)
    assert math.isnan(found["low"])


def test_a_figure_that_one_class_leaves_undefined_has_no_interval_and_says_so() -> None:
    of_one_class = units(np.arange(24) % 3 > 0, np.arange(24) // 3).assign(truth=0)
    found = figure_intervals(of_one_class, "macro_auroc").iloc[0]
    assert math.isnan(found["value"])
    assert math.isnan(found["low"])
    assert found["note"] == UNDEFINED


def test_a_figure_that_does_not_follow_from_units_is_refused() -> None:
    with pytest.raises(ValueError, match="'mse' does not follow from the units' columns"):
        figure_intervals(units(np.ones(20, bool), np.arange(20)), "mse")


def test_a_resample_without_a_class_leaves_it_out_and_one_without_items_counts_zero() -> None:
    truth, predicted = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0])
    scores = np.zeros((4, 3))
    whole = weighted_figure("macro_f1", truth, predicted, scores, np.ones((1, 4)), averaged=3)
    assert whole[0] == pytest.approx(classification.measures(truth, predicted, scores, averaged=3)["macro_f1"])
    assert whole[0] == pytest.approx((4 / 5 + 2 / 3) / 3)
    one_class = weighted_figure("macro_f1", truth, predicted, scores, np.array([[1.0, 1, 0, 0]]), averaged=3)
    assert one_class[0] == pytest.approx(1.0 / 1.5)  # half of the classes with items, so half of three
