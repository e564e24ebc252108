"""Comparisons in areas and F1, at one share of the labels, and over Monte-Carlo splits."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reports.judged import finetuned
from tswork.reports.compare import NothingToCompare, compare
from tswork.reports.page import Material, write_page
from tswork.reports.page_spec import PageSpec, SectionSpec
from tswork.reports.splits import relative_test_size, split_of

STRENGTHS = {"comet": 4.0, "random": 1.0, "from_scratch": 1.0}


def test_an_area_is_tested_over_patients_at_one_share_of_the_labels() -> None:
    (one,) = compare([finetuned(STRENGTHS)], metric="macro_auroc", at="10%")
    assert (one.candidate, one.metric, one.at) == ("comet", "macro_auroc", "10%")
    line = one.tests.set_index("row").to_dict("index")["random"]
    means = one.scores.set_index("row")["mean"]
    assert line["difference"] == pytest.approx(means["comet"] - means["random"])
    assert (line["pairs"], line["significant"]) == (8, True)
    (other,) = compare([finetuned(STRENGTHS)], metric="macro_auroc", at="100%")
    assert other.scores["mean"].tolist() != one.scores["mean"].tolist()


def test_without_a_place_the_mean_over_the_shares_is_tested() -> None:
    (one,) = compare([finetuned(STRENGTHS)], metric="macro_f1")
    means = one.scores.set_index("row")["mean"]
    line = one.tests.set_index("row").to_dict("index")["random"]
    assert line["difference"] == pytest.approx(means["comet"] - means["random"])


def test_six_splits_or_more_are_paired_with_each_other() -> None:
    judged = [finetuned(STRENGTHS, split=split, seed=seed) for split in range(8) for seed in (1, 2)]
    (one,) = compare(judged, metric="macro_auroc", at="10%")
    line = one.over_splits.set_index("row").to_dict("index")["random"]
    means = one.scores.set_index("row")["mean"]
    assert line["difference"] == pytest.approx(means["comet"] - means["random"])
    assert (line["pairs"], line["wins"], line["significant"]) == (8, 8, True)
    patients = one.tests.set_index("row").to_dict("index")["random"]
    assert patients["pairs"] == 40  # every patient once, in however many test parts
    assert patients["difference"] == pytest.approx(line["difference"])


def test_few_splits_are_said() -> None:
    (one,) = compare([finetuned(STRENGTHS, split=split) for split in range(3)], metric="macro_auroc")
    assert len(one.over_splits) == 0
    assert "eeg: 3 splits are too few pairs for a test over splits, which needs 6" in one.notes


def test_a_page_says_what_pre_training_adds_at_a_share_over_the_splits() -> None:
    judged = [finetuned(STRENGTHS, split=split) for split in range(8)]
    section = SectionSpec(title="EEG", runs=("eeg",), metrics=("macro_auroc",), at="10%")
    text = write_page(PageSpec(title="Results", sections=(section,)), [Material(judged, 1.0)], command="tswork report")
    assert "| over splits | significant |" in text
    (sentence,) = [line for line in text.splitlines() if line.startswith("- comet: training takes macro_auroc")]
    assert "Over 8 splits the difference is +0." in sentence
    assert sentence.endswith(", significant; better in 8 of them.")


def test_what_is_not_there_is_refused_with_what_there_is() -> None:
    with pytest.raises(NothingToCompare, match=r"there is nothing at '20%'\. Did you mean '10%'\?"):
        compare([finetuned(STRENGTHS)], at="20%")
    with pytest.raises(NothingToCompare, match=r"there is no metric 'macro_auc'\. Did you mean 'macro_auroc'\?"):
        compare([finetuned(STRENGTHS)], metric="macro_auc", at="10%")


@pytest.mark.parametrize(
    ("block", "split", "ratio"),
    [
        ({"by": "groups"}, "3/0", 1 / 3),
        ({"by": "groups", "repeats": 5, "index": 2, "seed": 9, "fractions": [0.5, 0.25, 0.25]}, "9/2", 0.5),
        ({"by": "groups", "counts": [10, 0, 4]}, "3/0", 0.4),
        ({"by": "groups", "folds": 5, "index": 1}, "3/1", 1 / 3),
        ({"by": "groups", "folds": 2, "index": 1}, "3/1", 1.0),
        ({"by": "groups", "folds": 5, "index": 1, "fractions": [0.75, 0.25]}, "3/1", 1 / 3),
        ({"by": "groups", "repeats": 2, "index": "seed"}, "0/1", 1 / 3),
        ({"by": "groups", "folds": 2, "index": "seed", "seed": 5}, "5/1", 1.0),
        ({"by": "groups", "folds": "each", "index": "seed"}, "0/3", 1 / 15 / (14 / 15 * 0.8)),
        ({"by": "groups", "rule": "per_label"}, "3/0", 1 / 8),
        ({"by": "official"}, "the one", 1 / 3),
        (None, "the one", 1 / 3),
    ],
)
def test_splits_are_known_by_seed_and_number_and_have_their_shares(
    block: dict[str, Any] | None, split: str, ratio: float
) -> None:
    made = {"seed": 3, "data": {"split": block}}
    assert split_of(made) == split
    assert relative_test_size(made, splits=15) == pytest.approx(ratio)
