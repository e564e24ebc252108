"""Classification metrics, against scikit-learn where it has them and by hand where classes are absent."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics

from tswork.metrics import classification


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("seed", range(3))
def test_all_metrics_equal_those_of_scikit_learn(classes: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = random.integers(classes, size=80)
    scores = random.normal(size=(80, classes)).round(1) + np.eye(classes)[truth]  # rounded: equal scores occur
    predicted = scores.argmax(axis=1)
    counts = classification.confusion(truth, predicted, classes)
    one_hot = np.eye(classes)[truth]
    assert counts.tolist() == metrics.confusion_matrix(truth, predicted, labels=range(classes)).tolist()
    assert classification.accuracy(counts) == pytest.approx(metrics.accuracy_score(truth, predicted))
    assert classification.balanced_accuracy(counts) == pytest.approx(metrics.balanced_accuracy_score(truth, predicted))
    assert classification.macro_f1(counts) == pytest.approx(metrics.f1_score(truth, predicted, average="macro"))
    assert classification.macro_auroc(truth, scores) == pytest.approx(metrics.roc_auc_score(one_hot, scores))
    assert classification.macro_auprc(truth, scores) == pytest.approx(metrics.average_precision_score(one_hot, scores))
    table = classification.per_class(counts)
    report = metrics.precision_recall_fscore_support(truth, predicted, labels=range(classes), zero_division=0)
    np.testing.assert_allclose(table[["precision", "recall", "f1", "support"]].to_numpy().T, report)


def test_a_class_that_never_occurs_changes_no_mean() -> None:
    truth, predicted = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    scores = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]])
    wide = np.concatenate([scores, np.full((4, 1), -np.inf)], axis=1)
    two, three = (classification.confusion(truth, predicted, count) for count in (2, 3))
    for metric in (classification.accuracy, classification.balanced_accuracy, classification.macro_f1):
        assert metric(two) == metric(three)
    for ranked in (classification.macro_auroc, classification.macro_auprc):
        assert ranked(truth, scores) == ranked(truth, wide)
    assert three.sum() == 4


def test_a_class_that_is_predicted_but_absent_counts_against_f1_only() -> None:
    truth, predicted = np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1])
    counts = classification.confusion(truth, predicted, 3)
    assert classification.balanced_accuracy(counts) == 0.75
    assert classification.macro_f1(counts) == pytest.approx((2 / 3 + 1 + 0) / 3)


def test_constant_scores_rank_by_chance() -> None:
    truth = np.array([0, 1, 1, 1])
    assert classification.macro_auroc(truth, np.zeros((4, 2))) == 0.5
    assert classification.macro_auprc(truth, np.zeros((4, 2))) == pytest.approx((0.25 + 0.75) / 2)


def test_one_class_has_no_ranking() -> None:
    assert math.isnan(classification.macro_auroc(np.zeros(4, int), np.zeros((4, 2))))
    assert math.isnan(classification.accuracy(np.zeros((2, 2), int)))


def test_precision_and_recall_are_those_of_the_library() -> None:
    from sklearn.metrics import precision_score, recall_score

    draw = np.random.default_rng(3)
    truth, predicted = draw.integers(0, 3, 60), draw.integers(1, 4, 60)
    counts = classification.confusion(truth, predicted, 5)
    options = {"average": "macro", "zero_division": 0}
    assert classification.macro_precision(counts) == pytest.approx(precision_score(truth, predicted, **options))
    assert classification.macro_recall(counts) == pytest.approx(recall_score(truth, predicted, **options))


def test_all_measures_at_once_are_the_single_ones() -> None:
    draw = np.random.default_rng(4)
    truth, scores = draw.integers(0, 3, 40), draw.random((40, 3))
    found = classification.measures(truth, scores.argmax(axis=1), scores)
    assert tuple(found) == classification.METRICS
    counts = classification.confusion(truth, scores.argmax(axis=1), 3)
    assert found["macro_f1"] == classification.macro_f1(counts)
    assert found["macro_auroc"] == classification.macro_auroc(truth, scores)


def test_constant_scores_and_two_classes_have_their_known_areas() -> None:
    from sklearn.metrics import roc_auc_score

    truth = np.array([0] * 6 + [1] * 2)
    found = classification.measures(truth, np.zeros(8, dtype=int), np.full((8, 2), 0.5))
    assert found["macro_auroc"] == 0.5
    assert found["macro_auprc"] == (0.75 + 0.25) / 2  # of each class its prevalence
    score = np.random.default_rng(0).random(8)
    both = np.stack([1 - score, score], axis=1)
    assert classification.macro_auroc(truth, both) == pytest.approx(roc_auc_score(truth, score))


def test_means_over_all_classes_of_the_training_count_those_without_items() -> None:
    truth, predicted = np.array([0, 0, 0, 0, 1, 1, 2]), np.array([0, 0, 0, 1, 1, 0, 1])
    counts, scores = classification.confusion(truth, predicted, 4), np.eye(4)[predicted]
    assert classification.per_class(counts)["f1"].tolist() == pytest.approx([0.75, 0.4, 0, 0])
    assert classification.macro_f1(counts) == pytest.approx(0.383333, abs=1e-6)
    assert classification.macro_f1(counts, averaged=4) == pytest.approx(0.2875)
    assert classification.accuracy(counts) == pytest.approx(4 / 7)
    assert classification.balanced_accuracy(counts) == pytest.approx(0.416667, abs=1e-6)
    found = classification.measures(truth, predicted, scores, averaged=4)
    assert found["macro_f1"] == pytest.approx(0.2875)
    assert found["macro_recall"] == pytest.approx(1.25 / 4)


def test_one_answer_to_two_equal_classes_has_a_third_of_f1() -> None:
    counts = classification.confusion(np.array([0, 1] * 5), np.zeros(10, dtype=int), 2)
    assert classification.macro_f1(counts, averaged=2) == pytest.approx(1 / 3)


def test_both_directions_of_a_confusion_are_one_and_the_total_stays() -> None:
    counts = np.array([[5, 2, 0], [1, 7, 3], [4, 0, 6]])
    assert classification.symmetrised(counts).tolist() == [[5, 3, 4], [0, 7, 3], [0, 0, 6]]
    assert classification.symmetrised(counts).sum() == counts.sum()
    assert (classification.symmetrised(counts) == classification.symmetrised(counts.T)).all()
