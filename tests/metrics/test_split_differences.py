"""Differences over splits of one data set: the corrected error, its coverage, and what is not tested."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from tswork.metrics.significance import TOO_FEW
from tswork.metrics.split_differences import compare_splits, split_difference


def test_the_error_is_that_of_nadeau_and_bengio() -> None:
    values = np.array([0.1, 0.3, 0.2, 0.0, 0.4, 0.2, 0.1, 0.3])
    found = split_difference(values, test_to_train=1 / 3)
    error = math.sqrt((1 / 8 + 1 / 3) * values.var(ddof=1))
    assert (found.mean, found.error) == pytest.approx((0.2, error))
    assert found.pairs == 8
    assert found.p == pytest.approx(2 * t.sf(0.2 / error, 7))


def test_splits_are_paired_and_seeds_averaged() -> None:
    draw = np.random.default_rng(0)
    hard = draw.normal(size=8)
    lines = [
        {"split": split, "row": row, "value": hard[split] + gain + 0.01 * draw.normal()}
        for split in range(8)
        for row, gain in (("other", 0.0), ("ours", 0.2))
        for _ in range(2)
    ]
    (line,) = compare_splits(pd.DataFrame(lines), candidate="ours", test_to_train=1 / 3).to_dict("records")
    assert line["difference"] == pytest.approx(0.2, abs=0.02)
    assert (line["wins"], line["ties"], line["losses"], line["pairs"]) == (8, 0, 0, 8)
    assert line["significant"]


def test_fewer_than_six_splits_are_not_tested_and_a_split_without_a_figure_is_left_out() -> None:
    values = [0.1, 0.2, 0.3, 0.4, 0.5, np.nan]
    scores = pd.DataFrame({"split": [*range(6)] * 2, "row": ["ours"] * 6 + ["other"] * 6, "value": values + [0.0] * 6})
    line = compare_splits(scores, candidate="ours", test_to_train=0.3).iloc[0]
    assert (line["pairs"], line["note"]) == (5, TOO_FEW)
    assert not line["significant"]
    with pytest.raises(ValueError, match="no row is called 'mine'; there are ours, other"):
        compare_splits(scores, candidate="mine", test_to_train=0.3)


def test_splits_that_share_training_items_are_not_taken_for_independent() -> None:
    """The mean of shares of one sample stands for the figure of a split: two rows that do not differ are rarely told apart."""
    plain = corrected = 0
    for seed in range(200):
        draw = np.random.default_rng(seed)
        items = draw.normal(size=60)
        values = np.array([items[draw.permutation(60)[:20]].mean() for _ in range(10)])
        corrected += split_difference(values, test_to_train=0.5).p < 0.05
        plain += split_difference(values, test_to_train=0.0).p < 0.05
    assert corrected <= 0.12 * 200 < plain
