"""The panel's figures have closed forms where embeddings are simple."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from tests.training.tiny import TinyConfig, TinyContrast, bits, run
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import DataInfo
from tswork.methods.base import Method, Update
from tswork.methods.model import Model
from tswork.recorder import MemoryRecorder
from tswork.training.health import (
    BINS,
    alignment,
    effective_rank,
    examine,
    gradient_norms,
    histogram,
    off_diagonal,
    uniformity,
)

UNIT = torch.eye(5, dtype=torch.float64)


def test_alignment_is_zero_for_equal_views_four_for_opposite_and_two_for_orthogonal_ones() -> None:
    z = torch.randn(7, 3, dtype=torch.float64)
    assert alignment(z, 5 * z).item() == pytest.approx(0)
    assert alignment(z, -z).item() == pytest.approx(4)
    assert alignment(UNIT, UNIT.roll(1, 0)).item() == pytest.approx(2)


def test_uniformity_is_zero_when_collapsed_and_lower_the_further_apart() -> None:
    assert uniformity(torch.ones(6, 4, dtype=torch.float64)).item() == pytest.approx(0)
    assert uniformity(UNIT).item() == pytest.approx(-4)
    assert uniformity(torch.tensor([[1.0, 0.0], [-3.0, 0.0]])).item() == pytest.approx(-8)
    corners = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
    assert uniformity(corners).item() == pytest.approx(math.log((2 * math.exp(-4) + math.exp(-8)) / 3))
    assert uniformity(torch.ones(1, 4)).item() == 0


def test_uniformity_equals_its_definition_pair_by_pair() -> None:
    z = torch.randn(9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    unit = [row / row.norm() for row in z]
    pairs = [math.exp(-2 * float((a - b).square().sum())) for i, a in enumerate(unit) for b in unit[:i]]
    assert uniformity(z).item() == pytest.approx(math.log(sum(pairs) / len(pairs)), rel=1e-10)


def test_effective_rank_counts_equal_directions() -> None:
    assert effective_rank(UNIT).item() == pytest.approx(5)
    assert effective_rank(torch.ones(8, 3)).item() == pytest.approx(1, rel=1e-5)
    assert effective_rank(torch.zeros(8, 3)).item() == pytest.approx(1)
    two = torch.diag(torch.tensor([3.0, 1.0], dtype=torch.float64))
    assert effective_rank(two).item() == pytest.approx(math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25)))
    assert math.isnan(effective_rank(torch.tensor([[math.nan, 1.0]])).item())


def test_similarities_of_unlike_samples_leave_out_the_diagonal() -> None:
    matrix = torch.arange(9.0).reshape(3, 3)
    assert off_diagonal(matrix).tolist() == [1, 2, 3, 5, 6, 7]
    assert off_diagonal(matrix[:1, :1]).tolist() == []


def test_histograms_are_shares_with_both_ends_inside() -> None:
    shares = histogram(torch.tensor([-1.0, 0.0, 1.0, 1.0]))
    assert shares[[0, BINS // 2, BINS - 1]].tolist() == [0.25, 0.25, 0.5]
    assert shares.sum().item() == 1
    assert histogram(torch.zeros(0)).sum().item() == 0


def test_a_reading_separates_positives_from_negatives() -> None:
    health = examine(UNIT, UNIT)
    assert health.scalars["positive_similarity"].item() == 1
    assert health.scalars["negative_similarity"].item() == 0
    assert health.positive[-1].item() == 1
    assert health.negative[BINS // 2].item() == 1
    assert examine(UNIT[:1], UNIT[:1]).scalars["negative_similarity"].item() == 0


def test_gradient_norms_are_those_of_each_child() -> None:
    model = nn.ModuleDict({"first": nn.Linear(1, 2), "second": nn.Linear(1, 1), "idle": nn.Linear(1, 1)})
    model.get_parameter("first.weight").grad = torch.tensor([[2.0], [1.0]])
    model.get_parameter("first.bias").grad = torch.tensor([2.0, 0.0])
    model.get_parameter("second.bias").grad = torch.tensor([-5.0])
    assert {name: norm.item() for name, norm in gradient_norms(model).items()} == {"first": 3.0, "second": 5.0}


def test_training_reports_the_panel_at_equal_distances_and_its_histograms_at_the_end() -> None:
    recorder = MemoryRecorder()
    run(TinyContrast(TinyConfig(iterations=120)), recorder=recorder)
    assert [step for step, _ in recorder.curves["health/alignment"]] == [0, 49, 99]
    assert {"health/uniformity", "health/effective_rank", "health/gradient_norm/encoder"} <= set(recorder.curves)
    table = recorder.tables["health/similarities"]
    assert list(table.columns) == ["step", "similarity", "positive", "negative"]
    assert len(table) == 3 * BINS
    assert table.groupby("step")["positive"].sum().tolist() == pytest.approx([1, 1, 1])


class Blind(Method[TinyConfig]):
    """A method without views."""

    def build(self, info: DataInfo, *, generator: torch.Generator) -> Model:
        return TinyContrast(self.config).build(info, generator=generator)

    def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        yield Update("model", {"size": model.heads["projection"](model.embed(batch.x)).square().mean()})


def test_a_method_without_views_reports_gradients_only() -> None:
    recorder = MemoryRecorder()
    run(Blind(TinyConfig(iterations=3)), recorder=recorder)
    assert "health/gradient_norm/heads" in recorder.curves
    assert "health/alignment" not in recorder.curves
    assert recorder.tables == {}


def test_the_panel_does_not_change_the_training() -> None:
    method = TinyContrast(TinyConfig(iterations=60))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tswork.training.panel.SPACING", 10)
        patch.setattr("tswork.training.panel.READINGS", 100)
        often = bits(run(method))
    assert often == bits(run(method))
