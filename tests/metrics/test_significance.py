"""Tests of a difference: known p-values, coverage in simulations, and what may not be tested."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp, wilcoxon

from tswork.metrics.significance import TOO_FEW, compare_rows, compare_sets, holm, paired_difference


def units(values: np.ndarray, group: np.ndarray | int = 0, **columns: object) -> pd.DataFrame:
    return pd.DataFrame({"unit": np.arange(len(values)), "group": group, "mse": values, **columns})


def test_independent_units_are_tested_as_by_students_t() -> None:
    difference = np.random.default_rng(0).normal(0.2, 1, size=200)
    own = np.arange(200)
    found = paired_difference(units(difference, own), units(0 * difference, own), "mse", kind="group", resamples=20_000)
    expected = ttest_1samp(difference, 0)
    low, high = expected.confidence_interval()
    assert found.mean == pytest.approx(difference.mean())
    assert found.p == pytest.approx(expected.pvalue, rel=0.05)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.005)


def test_blocks_of_one_are_independent_units_too() -> None:
    difference = np.random.default_rng(1).normal(0.2, 1, size=200)
    found = paired_difference(units(difference), units(0 * difference), "mse", kind="time", block=1, resamples=20_000)
    assert found.error == pytest.approx(difference.std(ddof=1) / math.sqrt(200), rel=0.03)


@pytest.mark.parametrize(("count", "horizon"), [(1400, 24), (900, 60)])
def test_the_interval_covers_zero_about_as_often_as_it_says(count: int, horizon: int) -> None:
    covered = 0
    for seed in range(150):
        noise = np.random.default_rng(seed).normal(size=count + horizon)
        overlapping = np.convolve(noise, np.full(horizon, 1 / horizon), "valid")[:count]
        found = paired_difference(
            units(overlapping), units(0 * overlapping), "mse", kind="time", horizon=horizon, seed=seed, resamples=300
        )
        covered += found.low < 0 < found.high
    assert 0.87 <= covered / 150 <= 0.99


def test_units_of_a_group_are_not_taken_for_independent() -> None:
    random = np.random.default_rng(0)
    group = np.repeat(np.arange(12), 40)
    difference = random.normal(size=12)[group] + 0.1 * random.normal(size=480)
    by_group, alone = (
        paired_difference(units(difference, of), units(0 * difference, of), "mse", kind="group").error
        for of in (group, np.arange(480))
    )
    assert by_group > 4 * alone


def test_seeds_are_averaged_before_pairing() -> None:
    random = np.random.default_rng(0)
    own, values = np.arange(30), random.normal(size=30)
    twice = pd.concat([units(values + 1, own, seed=0), units(values - 1, own, seed=1)])
    assert paired_difference(twice, units(values, own, seed=0), "mse", kind="group").mean == pytest.approx(0)


def test_equal_seeds_give_equal_intervals() -> None:
    values = np.random.default_rng(0).normal(size=100)
    one, two, other = (
        paired_difference(units(values), units(0 * values), "mse", kind="time", seed=seed).error for seed in (3, 3, 4)
    )
    assert one == two != other


def test_fewer_than_six_groups_are_not_tested() -> None:
    values, group = np.arange(20.0), np.arange(20) % 5
    found = paired_difference(units(values, group), units(0 * values, group), "mse", kind="group")
    assert (found.note, found.pairs, found.mean) == (TOO_FEW, 5, 9.5)
    assert math.isnan(found.p)
    assert math.isnan(found.low)


def test_few_blocks_are_said() -> None:
    values = np.random.default_rng(0).normal(size=300)
    found = paired_difference(units(values), units(0 * values), "mse", kind="time", horizon=100)
    assert found.note == "only 3.0 independent blocks"
    alone = paired_difference(units(values), units(0 * values), "mse", kind="time", horizon=200)
    assert alone.note == TOO_FEW


def test_many_short_series_are_resampled_as_wholes() -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"unit": np.tile(np.arange(3), 40), "group": np.repeat(np.arange(40), 3)})
    other = frame.assign(mse=random.normal(size=120))
    found = paired_difference(frame.assign(mse=0.0), other, "mse", kind="time", horizon=24)
    assert found.pairs == 40
    assert found.note.startswith("groups resampled")


def test_no_difference_at_all_is_not_significant() -> None:
    values = np.random.default_rng(0).normal(size=100)
    found = paired_difference(units(values), units(values), "mse", kind="time")
    assert (found.mean, found.p, found.low, found.high) == (0.0, 1.0, 0.0, 0.0)


def test_rows_judged_on_other_data_are_refused() -> None:
    with pytest.raises(ValueError, match="share no units"):
        paired_difference(units(np.ones(5), 0), units(np.ones(5), 1), "mse", kind="time")


def test_a_detectable_difference_is_found_four_times_in_five() -> None:
    random, own, found = np.random.default_rng(0), np.arange(60), 0
    for seed in range(200):
        noise = random.normal(size=60)
        size = 1 / math.sqrt(60) * 2.849  # (t at .975 + t at .8) for 59 degrees of freedom
        test = paired_difference(
            units(noise + size, own), units(0 * noise, own), "mse", kind="group", seed=seed, resamples=400
        )
        found += test.p < 0.05
    assert 0.7 < found / 200 < 0.9
    assert test.detectable == pytest.approx(size, rel=0.3)


def test_holm_by_hand() -> None:
    assert holm(np.array([0.01, 0.04, 0.03, np.nan])).tolist() == pytest.approx([0.03, 0.06, 0.06, np.nan], nan_ok=True)
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]


def test_an_interval_of_a_table_excludes_zero_exactly_when_the_row_is_significant() -> None:
    random, own = np.random.default_rng(0), np.arange(80)
    noise = [random.normal(size=80) for _ in range(9)]
    frames = [units(noise[0], own, row="ours", at="")]
    frames += [
        units(noise[0] + shift + 0.5 * noise[index], own, row=f"r{index}", at="")
        for index, shift in enumerate(np.linspace(0, 0.25, 8), start=1)
    ]
    table = compare_rows(pd.concat(frames), "mse", candidate="ours", kind="group")
    assert table["row"].tolist() == [f"r{index}" for index in range(1, 9)]
    assert 0 < table["significant"].sum() < 8
    assert ((table["low"] > 0) | (table["high"] < 0)).tolist() == table["significant"].tolist()
    assert (table["p_holm"] >= table["p"]).all()


def test_horizons_are_averaged_over_the_starts_that_all_have() -> None:
    values = np.random.default_rng(0).normal(size=(2, 400))
    frames = []
    for row, shift in (("ours", 0.0), ("other", 1.0)):
        frames += [units(values[0] + shift, row=row, at="h2"), units(values[1][:390] + 3 * shift, row=row, at="h10")]
    table = compare_rows(pd.concat(frames), "mse", candidate="ours", kind="time")
    assert table["difference"].tolist() == pytest.approx([-2.0])
    only = compare_rows(pd.concat(frames), "mse", candidate="ours", kind="time", at="h2")
    assert only["difference"].tolist() == pytest.approx([-1.0])


def test_fewer_comparisons_are_corrected_less() -> None:
    random, own = np.random.default_rng(0), np.arange(80)
    frames = pd.concat([units(random.normal(size=80), own, row=row, at="") for row in "abcd"])
    every = compare_rows(frames, "mse", candidate="a", kind="group").set_index("row")["p"].to_dict()
    one = compare_rows(frames[frames["row"].isin(["a", "c"])], "mse", candidate="a", kind="group")
    assert one["row"].tolist() == ["c"]
    assert one["p_holm"].tolist() == one["p"].tolist() == [every["c"]]


def test_an_unknown_candidate_is_named() -> None:
    with pytest.raises(ValueError, match="no row is called 'mine'; there are ours"):
        compare_rows(units(np.ones(5), row="ours", at=""), "mse", candidate="mine", kind="time")


def test_many_sets_are_compared_by_signed_ranks() -> None:
    random = np.random.default_rng(0)
    ours, other = random.normal(size=12), random.normal(0.3, 1, size=12)
    scores = pd.DataFrame(
        {
            "set": np.tile(np.arange(12), 3),
            "row": np.repeat(["ours", "other", "few"], 12),
            "value": [*ours, *other, *ours],
        }
    )
    scores = scores[(scores["row"] != "few") | (scores["set"] < 5)]
    table = compare_sets(scores, candidate="ours").set_index("row").to_dict("index")
    assert table["other"]["p"] == pytest.approx(wilcoxon(ours - other).pvalue)
    assert table["other"]["p_holm"] == table["other"]["p"]
    assert table["few"]["note"] == TOO_FEW
    assert [table["few"][name] for name in ("wins", "ties", "losses")] == [0, 5, 0]
    assert math.isnan(table["few"]["p"])
