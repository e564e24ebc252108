"""The nearest mean of exemplars: the plain twin, classes that are not known, saving, and which samples the means are of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.methods.test_continual import learner, waves_of_four
from tests.methods.toys import TINY, model_of, trained
from tests.reference import icarl as plain
from tswork.config import configure
from tswork.context import Context
from tswork.methods.embedding import embed_part
from tswork.methods.nearest_mean import NearestMean
from tswork.methods.saving import load_model, save_model

LABELS = torch.tensor([2, 0, 2, 4, 0, 4, 4, -1])


def filled(dtype: torch.dtype = torch.float64) -> tuple[NearestMean, Tensor]:
    exemplars = torch.randn(8, 5, dtype=dtype, generator=torch.Generator().manual_seed(0))
    head = NearestMean(6, 5).to(dtype)
    head.fill(exemplars, LABELS)
    return head, exemplars


def test_it_chooses_as_its_plain_twin() -> None:
    head, exemplars = filled()
    vectors = torch.randn(40, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = head(vectors).argmax(dim=1).tolist()
    known = LABELS >= 0
    assert found == plain.nearest_means(vectors, exemplars[known], LABELS[known].tolist())
    assert set(found) == {0, 2, 4}


def test_a_score_is_minus_the_squared_distance_of_unit_vectors() -> None:
    head, exemplars = filled()
    vectors = 3 * exemplars[:2]
    scores = head(vectors)
    for row in range(2):
        unit = vectors[row] / vectors[row].norm()
        for known in (0, 2, 4):
            expected = -float((unit - head.means[known]).square().sum())
            assert scores[row, known].item() == pytest.approx(expected, abs=1e-12)
    assert torch.equal(scores[:, [1, 3, 5]], torch.full((2, 3), -4.0, dtype=torch.float64)), "as far as can be"
    torch.testing.assert_close(head.means[[0, 2, 4]].norm(dim=1), torch.ones(3, dtype=torch.float64))


def test_lengths_of_vectors_and_order_of_exemplars_do_not_matter() -> None:
    head, exemplars = filled()
    other = NearestMean(6, 5).double()
    order = torch.tensor([5, 2, 7, 0, 1, 6, 4, 3])
    other.fill(exemplars[order] * torch.rand(8, 1, dtype=torch.float64).add(0.1), LABELS[order])
    torch.testing.assert_close(other(3 * exemplars), head(exemplars))


def test_means_are_taken_anew_and_nothing_is_left_of_earlier_ones() -> None:
    head, exemplars = filled()
    head.fill(exemplars[:1], torch.tensor([1]))
    assert head.known.tolist() == [False, True, False, False, False, False]
    assert set(head(exemplars).argmax(dim=1).tolist()) == {1}


def test_an_untrained_one_answers_arbitrarily() -> None:
    head = NearestMean(6, 5)
    found = head(torch.randn(200, 5, generator=torch.Generator().manual_seed(0))).argmax(dim=1)
    assert len(found.unique()) == 6


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_compared_in_single(dtype: torch.dtype) -> None:
    head, exemplars = filled(torch.float32)
    half = exemplars.to(dtype)
    assert torch.equal(head(half), head(half.float()))
    assert head(half).dtype == torch.float32


# Within a method


@pytest.mark.parametrize("name", ["icarl", "co2l"])
def test_means_are_those_of_the_memory_after_every_task(name: str) -> None:
    part, method = waves_of_four(), learner(name, memory=8)
    learned: Any = method
    result, _ = trained(method, part)
    last = result.models[-1]
    exemplars = learned.memory.part
    expected = NearestMean(4, 8)
    expected.fill(embed_part(last, exemplars, Context()), exemplars.codes("label"))
    assert torch.equal(last.get_buffer("heads.classify.means"), expected.means)
    assert [model.get_buffer("heads.classify.known").tolist() for model in result.models] == [
        [True, True, False, False],
        [True] * 4,
    ]


@pytest.mark.parametrize("name", ["icarl", "co2l"])
def test_a_saved_model_classifies_alike(name: str, tmp_path: Path) -> None:
    part = waves_of_four()
    model = trained(learner(name, memory=8), part)[0].models[-1]
    save_model(tmp_path / "model", model, configure("method", {"uses": name, "encoder": TINY}))
    x = part.collection.values.view(len(part), -1, 2)
    assert torch.equal(load_model(tmp_path / "model").classify(x), model.classify(x))


@pytest.mark.parametrize(("growth", "kept"), [("fixed", [2, 2, 2]), ("growing", [9, 4, 2])])
def test_every_class_has_its_share_of_the_memory(growth: str, kept: list[int]) -> None:
    part: Any = waves_of_four(10, sizes=(1, 1, 2))
    method: Any = learner("icarl", memory=9, growth=growth)
    model = model_of(method, part)
    for task, own in enumerate(method.tasks(part)):
        method.begin(model, task, own, Context())
        method.finish(model, task, own, Context())
        counts = method.memory.table["class"].value_counts()
        assert set(counts) == {kept[task]}
    assert model.get_buffer("heads.classify.known").all()
