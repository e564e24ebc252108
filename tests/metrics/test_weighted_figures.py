"""Figures of resamples against those of items that are really repeated."""

from __future__ import annotations

import numpy as np
import pytest

from tests.reference.resampled_figures import repeated_figure
from tswork.metrics import classification, weighted_figures
from tswork.metrics.weighted_figures import weighted_figure


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("groups", [None, 5, 20])
@pytest.mark.parametrize("figure", classification.METRICS)
def test_weights_count_items_as_if_they_were_repeated(figure: str, groups: int | None, *, tied: bool) -> None:
    draw = np.random.default_rng(0)
    items = 30
    truth, predicted = draw.integers(0, 3, items), draw.integers(0, 3, items)
    scores = draw.integers(0, 5, (items, 4)) / 4.0 if tied else draw.random((items, 4))  # the truth has no fourth class
    group = np.arange(items) if groups is None else np.arange(items) % groups
    counts = draw.integers(0, 3, (20, groups or items))
    counts[0] = 1
    counts[1, group[truth != 1]] = 0  # a resample of one class, or of none
    counts[2] = 0
    found = weighted_figure(
        figure, truth, predicted, scores, counts.astype(float), group=None if groups is None else group
    )
    expected = [repeated_figure(figure, truth, predicted, scores, one[group]) for one in counts]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_pairs_of_groups_give_the_area_that_sorted_items_give(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(1)
    truth, scores, group = draw.integers(0, 2, 400), draw.random((400, 2)).round(2), draw.integers(0, 12, 400)
    weights = draw.multinomial(12, np.full(12, 1 / 12), size=50).astype(float)
    monkeypatch.setattr(weighted_figures, "AT_ONCE", 1_000)  # the other way takes resamples in many parts
    found = weighted_figure("macro_auroc", truth, truth, scores, weights, group=group)
    by_item = weighted_figure("macro_auroc", truth, truth, scores, weights[:, group])
    np.testing.assert_allclose(found, by_item, rtol=1e-12)
