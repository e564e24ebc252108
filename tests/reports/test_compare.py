"""Comparisons over many runs: what is averaged, what is told apart, what is tested, and what cannot be."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.reports.judged import finetuned, forecasts, judgement
from tswork.metrics.significance import compare_rows
from tswork.reports.compare import Comparison, NothingToCompare, compare
from tswork.reports.naming import differences, names_of
from tswork.tracking.reading import Judgement

FIGURES = {"majority": 0.5, "random": 0.75, "ts2vec": 0.875}


def scores(one: Comparison) -> dict[tuple[str, str], float]:
    return {(line["row"], line["data"]): line["mean"] for line in one.scores.to_dict("records")}


def test_rows_are_averaged_over_seeds_with_their_spread() -> None:
    (one,) = compare(
        [judgement({**FIGURES, "ts2vec": value}, seed=seed) for seed, value in ((1, 0.8), (2, 0.9), (3, 1.0))]
    )
    line = one.scores.set_index("row").loc["ts2vec"]
    assert (line["mean"], line["std"], line["seeds"]) == (pytest.approx(0.9), pytest.approx(0.1), 3)
    assert one.scores["row"].tolist() == ["majority", "random", "ts2vec"]
    assert one.scores.set_index("row")["role"].to_dict() == {
        "majority": "control",
        "random": "control",
        "ts2vec": "candidate",
    }
    assert (one.candidate, one.metric, one.greater_is_better) == ("ts2vec", "accuracy", True)


def test_data_sets_stand_in_the_order_of_their_names_whatever_ran_last() -> None:
    (one,) = compare([judgement(FIGURES, data=name) for name in ("waves", "beats", "taps")])
    assert one.scores["data"].drop_duplicates().tolist() == ["beats", "taps", "waves"]
    assert one.tests["data"].drop_duplicates().tolist() == ["beats", "taps", "waves"]


def test_the_test_of_a_difference_is_that_of_the_units() -> None:
    judged = judgement(FIGURES)
    (one,) = compare([judged])
    assert judged.units is not None
    expected = compare_rows(judged.units.assign(seed=1), "accuracy", candidate="ts2vec", kind="group")
    found = one.tests.set_index("row")
    for row in ("majority", "random"):
        for column in ("difference", "low", "high", "p_holm", "detectable", "pairs"):
            assert found.loc[row, column] == pytest.approx(expected.set_index("row").loc[row, column])
    assert (found["detectable"] > 0).all()
    assert set(found["data"]) == {"waves"}


def test_the_candidate_can_be_chosen() -> None:
    (one,) = compare([judgement(FIGURES)], candidate="random")
    assert one.candidate == "random"
    assert set(one.tests["row"]) == {"majority", "ts2vec"}


def test_the_same_seed_under_other_options_is_another_row() -> None:
    (one,) = compare([judgement(FIGURES, iterations=9), judgement({**FIGURES, "ts2vec": 0.25}, iterations=6)])
    assert scores(one) == {
        ("majority", "waves"): 0.5,
        ("random", "waves"): 0.75,
        ("ts2vec (iterations=9)", "waves"): 0.875,
        ("ts2vec (iterations=6)", "waves"): 0.25,
    }
    assert (one.scores["seeds"] == 1).all()
    assert one.candidate == "ts2vec (iterations=9)"  # the newest


def test_another_encoder_is_another_row_of_the_untrained_control_too() -> None:
    (one,) = compare([judgement(FIGURES, dim=8), judgement(FIGURES, dim=16)])
    rows = {row for row, _ in scores(one)}
    assert rows == {"majority", *(f"{name} (encoder.dim={dim})" for name in ("random", "ts2vec") for dim in (8, 16))}


def test_a_candidate_can_be_named_without_its_options() -> None:
    judged = [judgement(FIGURES, iterations=9), judgement(FIGURES, iterations=6)]
    assert compare(judged, candidate="ts2vec")[0].candidate == "ts2vec (iterations=9)"
    assert compare(judged, candidate="ts2vec (iterations=6)")[0].candidate == "ts2vec (iterations=6)"


def test_another_definition_of_the_protocol_is_another_table() -> None:
    found = compare([judgement(FIGURES, heads=("svm",)), judgement({**FIGURES, "ts2vec": 0.1}, heads=("knn",))])
    assert [one.protocol for one in found] == ["probe_classify (heads=[svm])", "probe_classify (heads=[knn])"]
    assert [scores(one)["ts2vec", "waves"] for one in found] == [0.875, 0.1]


def test_other_content_under_one_name_is_another_column() -> None:
    (one,) = compare([judgement(FIGURES, content="a" * 64), judgement(FIGURES, content="b" * 64)])
    assert {data for _, data in scores(one)} == {
        "waves (content=aaaaaaaaaaa…aaaaaaaaaaaa)",
        "waves (content=bbbbbbbbbbb…bbbbbbbbbbbb)",
    }


def test_the_splits_of_one_seed_are_averaged_and_their_items_stay_apart() -> None:
    folds = [
        judgement({**FIGURES, "ts2vec": value}, split={"by": "groups", "folds": 2, "index": index})
        for index, value in enumerate((0.7, 0.9))
    ]
    (one,) = compare(folds)
    assert scores(one)["ts2vec", "waves"] == pytest.approx(0.8)
    assert one.scores["seeds"].tolist() == [1, 1, 1]
    assert one.tests.set_index("row").loc["majority", "difference"] == pytest.approx(0.3)


def test_a_result_that_stands_in_two_pipelines_counts_once() -> None:
    (one,) = compare([judgement(FIGURES), judgement(FIGURES)])
    assert one.scores["seeds"].tolist() == [1, 1, 1]
    assert scores(one)["ts2vec", "waves"] == 0.875


def test_a_metric_that_is_no_mean_over_items_is_not_tested_and_the_reason_is_told() -> None:
    (one,) = compare([judgement(FIGURES, metric="macro_f1")], metric="macro_f1")
    assert len(one.tests) == 0
    assert one.notes == (
        "macro_f1 is no mean over items or forecast starts, so no paired test of it is possible; accuracy can be tested",
    )


def test_too_few_items_are_said_and_not_tested() -> None:
    (one,) = compare([judgement(FIGURES, items=5)])
    assert one.tests["note"].tolist() == ["too few pairs"] * 2
    assert one.tests["p_holm"].isna().all()
    assert not one.tests["significant"].any()


@pytest.mark.parametrize(("sets", "tested"), [(1, False), (5, False), (6, True)])
def test_a_rank_test_over_data_sets_needs_six_of_them(sets: int, tested: bool) -> None:
    draw = np.random.default_rng(0)
    judged = [
        judgement({"majority": 0.3, "random": 0.5, "ts2vec": round(0.6 + 0.3 * draw.random(), 3)}, data=f"set{number}")
        for number in range(sets)
    ]
    (one,) = compare(judged)
    assert (one.over_sets is not None) == tested
    told = [note for note in one.notes if "too few pairs" in note]
    assert bool(told) == (1 < sets < 6)
    if one.over_sets is not None:
        line = one.over_sets.set_index("row").loc["random"]
        assert (line["wins"], line["losses"], line["pairs"]) == (6, 0, 6)
        assert line["p"] == pytest.approx(2 / 64)  # all six signs alike
        assert line["difference"] > 0.1


def test_where_smaller_is_better_wins_are_the_smaller_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    from tswork.protocols.probe_classify import ProbeClassify

    monkeypatch.setattr(ProbeClassify, "greater_is_better", False)
    (one,) = compare([judgement({"random": 0.5, "ts2vec": 0.25}, data=f"set{number}") for number in range(6)])
    assert one.over_sets is not None
    line = one.over_sets.set_index("row").loc["random"]
    assert (line["wins"], line["losses"]) == (6, 0)
    assert line["difference"] == pytest.approx(-0.25)  # of the metric itself


def test_a_metric_may_go_the_other_way_than_its_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    from tswork.protocols.probe_classify import ProbeClassify

    several = [judgement({"random": 0.5, "ts2vec": 0.25}, data=f"set{number}") for number in range(6)]
    assert compare(several)[0].greater_is_better
    monkeypatch.setattr(ProbeClassify, "turned", frozenset({"accuracy"}))
    (one,) = compare(several)
    assert not one.greater_is_better
    assert one.over_sets is not None
    assert one.over_sets.set_index("row").loc["random"]["wins"] == 6


def test_what_is_not_there_is_refused_with_what_there_is() -> None:
    with pytest.raises(NothingToCompare, match="no finished protocol stage was found; run a pipeline first"):
        compare([])
    with pytest.raises(NothingToCompare, match=r"there is no metric 'acuracy'\. Did you mean 'accuracy'\?"):
        compare([judgement(FIGURES)], metric="acuracy")
    with pytest.raises(NothingToCompare, match=r"there is no row 'ts2vek'\. Did you mean 'ts2vec'\?"):
        compare([judgement(FIGURES)], candidate="ts2vek")


def test_a_comparison_is_plain_data() -> None:
    (one,) = compare([judgement(FIGURES)])
    document = one.to_json()
    assert json.loads(json.dumps(document, allow_nan=True))["candidate"] == "ts2vec"
    assert math.isnan(document["scores"][0]["std"])


def test_only_what_differs_stands_behind_a_name() -> None:
    blocks = [{"uses": "a", "x": 1, "deep": {"y": [1, 2]}}, {"uses": "a", "x": 2, "deep": {"y": [1, 3]}}, {"uses": "b"}]
    assert differences(blocks) == ["uses=a, x=1, deep.y=[1, 2]", "uses=a, x=2, deep.y=[1, 3]", "uses=b"]
    assert differences([{"a": 1}]) == [""]
    many = [{str(number): value for number in range(5)} for value in (0, 1)]
    assert differences(many) == ["0=0, 1=0, 2=0, 2 more", "0=1, 1=1, 2=1, 2 more"]


def test_names_that_would_be_equal_are_never_shared_by_different_blocks() -> None:
    blocks = [{str(number): number + value for number in range(5)} | {"z": value} for value in (0, 1)]
    alike = [{"0": 1, "1": 1, "2": 1, "3": 1}, {"0": 2, "1": 2, "2": 2, "3": 1}, {"0": 1, "1": 1, "2": 1, "3": 2}]
    for several in (blocks, alike):
        assert len(set(names_of([("row", block) for block in several]))) == len(several)


@pytest.mark.parametrize(("horizons", "told"), [((24, 168), True), ((24,), False)])
def test_where_horizons_have_other_starts_it_is_told_what_differences_are_over(
    horizons: tuple[int, ...], told: bool
) -> None:
    judged = forecasts(starts=400, rows=3, horizons=horizons)
    places = [judged.rows.assign(at=f"h{horizon}") for horizon in horizons]
    (one,) = compare([replace(judged, rows=pd.concat([judged.rows, *places], ignore_index=True))], metric="mse")
    note = "differences are over the starts of forecasts that every horizon has, means over all that a horizon has"
    assert (note in one.notes) == told
    (at,) = compare([replace(judged, rows=pd.concat(places, ignore_index=True))], metric="mse", at="h24")
    assert note not in at.notes


def lacking(judged: Judgement, at: str) -> Judgement:
    """The same where nothing was trained on a share of the labels: its figures and the mean over shares are not defined."""
    assert judged.units is not None
    rows = judged.rows.assign(value=judged.rows["value"].mask(judged.rows["at"].isin(["", at])))
    return replace(judged, rows=rows, units=judged.units[judged.units["at"] != at])


@pytest.mark.parametrize("metric", ["macro_f1", "accuracy"])
@pytest.mark.parametrize("at", ["", "10%"])
def test_figures_that_no_result_has_are_not_tested_and_it_is_said_where_there_are_some(metric: str, at: str) -> None:
    (one,) = compare([lacking(finetuned({"random": 0.0, "comet": 2.0}), "10%")], metric=metric, at=at)
    assert one.scores["mean"].isna().all()
    assert one.scores["seeds"].tolist() == [0, 0]
    assert one.tests.empty
    place = f" at {at}" if at else ""
    told = f"eeg: {metric}{place} is not defined in 2 of 2 figures (random, comet), which take no part; it is at 100%"
    assert one.notes == (told,)


def test_a_seed_without_a_figure_counts_neither_in_the_mean_nor_in_the_test() -> None:
    rows = {"random": 0.0, "comet": 2.0}
    whole = [finetuned(rows, seed=seed) for seed in (1, 2)]
    (expected,) = compare(whole)
    (found,) = compare([*whole, lacking(finetuned(rows, seed=3), "10%")])
    pd.testing.assert_frame_equal(found.scores, expected.scores)
    pd.testing.assert_frame_equal(found.tests, expected.tests)
    assert found.notes[0].startswith("eeg: macro_f1 is not defined in 2 of 6 figures (random, comet)")
