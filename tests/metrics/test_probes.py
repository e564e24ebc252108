"""Probes: the library's own search and decisions, reproduced from plain arrays."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut, StratifiedGroupKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from tswork.metrics import probes
from tswork.metrics.probes import PROBES, ProbeName


def clouds(classes: int, count: int, seed: int, spread: float = 1.3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = np.arange(count) % classes
    return random.normal(size=(count, 6)) + spread * np.eye(6)[truth], truth


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_kernel_machine_is_that_of_the_published_grid_search(classes: int) -> None:
    (x, truth), (new, _) = clouds(classes, 90, 0), clouds(classes, 60, 1)
    search = GridSearchCV(SVC(gamma="scale"), {"C": list(probes.SVM_COSTS)}, cv=5).fit(x, truth)
    arrays = probes.fit("svm", x, truth)
    predicted, scores = probes.decide("svm", arrays, new, classes)
    assert arrays["cost"] == search.best_params_["C"]
    assert predicted.tolist() == search.predict(new).tolist()
    decision = search.decision_function(new)  # the solver stops within 1e-3 of the optimum
    np.testing.assert_allclose(scores if classes > 2 else scores[:, 1], decision, atol=5e-3)


def persons(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ten items of each of twelve persons of two classes, told apart by person rather than by class."""
    draw = np.random.default_rng(seed)
    person = np.repeat(np.arange(12), 10)
    x = 2.0 * draw.normal(size=(12, 6))[person] + 0.3 * draw.normal(size=(120, 6)) + 0.8 * np.eye(6)[person % 2]
    return x, person % 2, person


def test_costs_are_chosen_by_persons_who_were_not_fitted() -> None:
    x, truth, person = persons()
    search = GridSearchCV(SVC(gamma="scale"), {"C": list(probes.SVM_COSTS)}, cv=StratifiedGroupKFold(5))
    together = probes.fit("svm", x, truth, groups=person)["cost"][0]
    assert together == search.fit(x, truth, groups=person).best_params_["C"]
    assert together != probes.fit("svm", x, truth)["cost"][0], "items of a person in several folds choose another"
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    costs = {"logisticregression__C": list(probes.LOGISTIC_COSTS)}
    search = GridSearchCV(linear, costs, cv=StratifiedGroupKFold(5)).fit(x, truth, groups=person)
    chosen = probes.fit("logistic", x, truth, groups=person)["cost"][0]
    assert chosen == search.best_params_["logisticregression__C"]


@pytest.mark.parametrize("persons_of", [[0] * 60, [0] * 30 + [1] * 30])
def test_groups_that_leave_nothing_to_compare_give_the_cost_of_few_items(persons_of: list[int]) -> None:
    x, _ = clouds(2, 60, 0)
    truth, person = np.repeat([0, 1], 30), np.array(persons_of)
    assert math.isinf(probes.fit("svm", x, truth, groups=person)["cost"][0])
    assert probes.fit("logistic", x, truth, groups=person)["cost"][0] == 1.0


def test_fewer_groups_than_folds_are_a_fold_each() -> None:
    x, truth = clouds(2, 60, 0)
    person = np.arange(60) // 20
    search = GridSearchCV(SVC(gamma="scale"), {"C": list(probes.SVM_COSTS)}, cv=LeaveOneGroupOut())
    assert probes.fit("svm", x, truth, groups=person)["cost"] == search.fit(x, truth, groups=person).best_params_["C"]


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_a_machine_decides_alike_from_its_arrays(classes: int) -> None:
    (x, truth), (new, _) = clouds(classes, 90, 0), clouds(classes, 60, 1)
    svc = SVC(C=10.0, gamma=0.2).fit(x, truth)
    predicted, scores = probes.decide("svm", probes.machine_arrays(svc, x, 0.2, 10.0), new, classes)
    assert predicted.tolist() == svc.predict(new).tolist()
    decision = svc.decision_function(new)
    np.testing.assert_allclose(scores if classes > 2 else scores[:, 1], decision, atol=1e-10)


def test_few_items_are_fitted_once_without_a_cost_limit() -> None:
    x, truth = clouds(3, 30, 0)
    assert probes.few(truth)
    arrays = probes.fit("svm", x, truth)
    assert math.isinf(arrays["cost"][0])
    whole = SVC(C=math.inf, gamma="scale").fit(x, truth)
    assert probes.decide("svm", arrays, x, 3)[0].tolist() == whole.predict(x).tolist()


@pytest.mark.parametrize(("items", "classes", "few"), [(49, 2, True), (50, 2, False), (59, 12, True), (60, 12, False)])
def test_what_counts_as_few(items: int, classes: int, few: bool) -> None:
    assert probes.few(np.arange(items) % classes) is few


@pytest.mark.parametrize("classes", [2, 4])
def test_the_linear_probe_gives_the_librarys_probabilities(classes: int) -> None:
    from sklearn.linear_model import LogisticRegression

    (x, truth), (new, _) = clouds(classes, 80, 0), clouds(classes, 30, 1)
    arrays = probes.fit("logistic", x, truth)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=arrays["cost"][0], max_iter=1000)).fit(x, truth)
    predicted, scores = probes.decide("logistic", arrays, new, classes)
    assert predicted.tolist() == model.predict(new).tolist()
    np.testing.assert_allclose(scores, model.predict_proba(new), atol=1e-10)


def test_the_nearest_neighbour_is_that_of_the_library() -> None:
    (x, truth), (new, _) = clouds(4, 80, 0), clouds(4, 30, 1)
    model = make_pipeline(StandardScaler(), KNeighborsClassifier(1)).fit(x, truth)
    assert probes.decide("knn", probes.fit("knn", x, truth), new, 4)[0].tolist() == model.predict(new).tolist()


@pytest.mark.parametrize("name", PROBES)
def test_a_class_without_training_items_is_never_chosen(name: ProbeName) -> None:
    x, truth = clouds(2, 60, 0)
    predicted, scores = probes.decide(name, probes.fit(name, x, truth + 1), x, 5)
    assert set(predicted.tolist()) <= {1, 2}
    assert np.isneginf(scores[:, [0, 3, 4]]).all()
    assert np.isfinite(scores[:, [1, 2]]).all()


@pytest.mark.parametrize("name", PROBES)
def test_constant_features_are_survived(name: ProbeName) -> None:
    predicted, _ = probes.decide(name, probes.fit(name, np.ones((60, 3)), np.arange(60) % 2), np.ones((4, 3)), 2)
    assert set(predicted.tolist()) <= {0, 1}
