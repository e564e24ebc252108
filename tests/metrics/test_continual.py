"""Figures of continual learning: known matrices, what variants disagree on, signs, edges, and plain loops."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from tswork.metrics.continual import (
    Forgetting,
    accuracies,
    accuracy_matrix,
    average_accuracy,
    backward_transfer,
    continual_measures,
    forgetting,
    forward_transfer,
    last_accuracy,
    triangle_accuracy,
)

FALLING = accuracy_matrix([[90], [70, 80], [75, 60, 85]])
RISING = accuracy_matrix([[60], [80, 70], [75, 72, 85]])


def test_a_model_that_forgets() -> None:
    np.testing.assert_allclose(accuracies(FALLING), [90, 75, 73.33333333])
    assert average_accuracy(FALLING) == pytest.approx(79.4444444)
    assert last_accuracy(FALLING) == pytest.approx(73.3333333)
    assert triangle_accuracy(FALLING) == pytest.approx(76.6666667)
    for variant in get_args(Forgetting):
        assert forgetting(FALLING, variant=variant) == pytest.approx(17.5)
    assert backward_transfer(FALLING) == pytest.approx(-17.5)
    assert backward_transfer(FALLING, variant="triangle") == pytest.approx(-18.3333333)


def test_a_model_that_gains_and_what_the_variants_disagree_on() -> None:
    assert forgetting(RISING) == pytest.approx(1.5)
    assert forgetting(RISING, variant="best_ever") == pytest.approx(2.5)
    assert forgetting(RISING, variant="first") == pytest.approx(-8.5)
    assert backward_transfer(RISING) == pytest.approx(8.5)
    assert backward_transfer(RISING, variant="triangle") == pytest.approx(12.3333333)
    assert average_accuracy(RISING) == pytest.approx(70.7777778)
    assert last_accuracy(RISING) == pytest.approx(77.3333333)
    assert triangle_accuracy(RISING) == pytest.approx(73.6666667)


def test_forward_transfer_is_what_is_above_the_untrained_model() -> None:
    matrix = accuracy_matrix([[80, 10, 1], [80, 80, 20], [80, 80, 80]])
    assert forward_transfer(matrix, untrained=np.array([np.nan, 5.0, 5.0])) == pytest.approx(10)
    assert forward_transfer(matrix) == pytest.approx(15)
    assert np.isnan(forward_transfer(FALLING)), "what was not measured is not known"


def test_one_task_has_neither_forgetting_nor_transfer() -> None:
    matrix = accuracy_matrix([[70]])
    assert [forgetting(matrix), backward_transfer(matrix), forward_transfer(matrix)] == [0, 0, 0]
    assert average_accuracy(matrix) == last_accuracy(matrix) == 70


def test_tasks_weigh_alike_or_as_their_items() -> None:
    matrix, counts = accuracy_matrix([[90], [90, 50]]), np.array([100, 300])
    assert last_accuracy(matrix) == pytest.approx(70)
    assert last_accuracy(matrix, counts=counts) == pytest.approx(60)
    assert average_accuracy(matrix, counts=counts) == pytest.approx((90 + 60) / 2)


def test_error_rates_are_turned_round_so_that_transfer_above_0_is_a_gain() -> None:
    errors = accuracy_matrix([[10], [20, 10], [30, 20, 10]])
    assert backward_transfer(errors, lower_is_better=True) == pytest.approx(-15)
    assert backward_transfer(errors) == pytest.approx(15), "the formula of accuracies calls the loss a gain"
    assert forgetting(errors, lower_is_better=True) == pytest.approx(15)
    full = accuracy_matrix([[10, 90], [10, 10]])
    assert forward_transfer(full, untrained=np.array([100.0, 100.0]), lower_is_better=True) == pytest.approx(10)


def test_figures_equal_plain_loops_over_a_random_matrix() -> None:
    draw = np.random.default_rng(0)
    matrix, counts = draw.random((5, 5)), draw.integers(1, 9, 5)
    last = 4
    best = [max(matrix[time, task] for time in range(task, last)) - matrix[last, task] for task in range(last)]
    assert forgetting(matrix) == pytest.approx(sum(best) / len(best))
    gains = [matrix[time, task] - matrix[task, task] for time in range(5) for task in range(time)]
    assert backward_transfer(matrix, variant="triangle") == pytest.approx(sum(gains) / len(gains))
    averages = [
        sum(counts[task] * matrix[time, task] for task in range(time + 1)) / sum(counts[: time + 1])
        for time in range(5)
    ]
    np.testing.assert_allclose(accuracies(matrix, counts=counts), averages)


def test_the_input_is_left_as_it_is() -> None:
    matrix = FALLING.copy()
    continual_measures(matrix, counts=np.array([1, 2, 3]), untrained=np.zeros(3), lower_is_better=True)
    np.testing.assert_array_equal(matrix, FALLING)


def test_every_figure_has_a_name_that_tells_its_variant() -> None:
    found = continual_measures(RISING, counts=np.array([1, 1, 1]))
    assert found["forgetting"] == pytest.approx(1.5)
    assert found["forgetting_best_ever"] == pytest.approx(2.5)
    assert found["forgetting_first"] == pytest.approx(-8.5)
    assert found["backward_transfer_triangle"] == pytest.approx(12.3333333)
    assert found["average_accuracy_by_sample"] == found["average_accuracy_by_task"] == pytest.approx(70.7777778)
    assert "forward_transfer" not in found
    assert "last_accuracy_by_sample" not in continual_measures(RISING)


@pytest.mark.parametrize("rows", [[[1], [1]], [[1, 2], [1, 2, 3]], [[]]])
def test_rows_that_lack_a_task_seen_so_far_are_refused(rows: list[list[float]]) -> None:
    with pytest.raises(ValueError, match=r"row \d has \d scores?: after task"):
        accuracy_matrix(rows)
