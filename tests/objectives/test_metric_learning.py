"""Losses through pytorch-metric-learning and the margin softmaxes: closed forms, plain twins, what is mined, edge cases."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.objectives.labelled import (
    FAN,
    MIXED,
    OF_FAN,
    OF_PAIRS,
    PAIRS,
    WITHOUT_COMPARISON,
    loss_of,
    turned,
    vectors,
)
from tests.reference import supervised as plain
from tswork.objectives.class_weights import ClassWeights
from tswork.objectives.margin_softmax import margin_softmax, with_angular_margin

PAIRWISE: list[tuple[str, dict[str, Any]]] = [
    ("triplet", {"mining": "all"}),
    ("triplet", {"mining": "hard", "distance": "squared"}),
    ("triplet", {"mining": "semi_hard", "distance": "cosine", "margin": 0.6}),
    ("triplet", {"mining": "hard", "soft": True, "margin": 0.0}),
    ("triplet", {"mining": "all", "average": "all"}),
    ("multi_similarity", {}),
    ("multi_similarity", {"epsilon": None, "base": 1.0}),
    ("circle", {"gamma": 4.0}),
    ("n_pairs", {"penalty": 0.3}),
]
OF_CLASSES: list[tuple[str, dict[str, Any]]] = [
    ("arc_face", {"scale": 4.0}),
    ("cos_face", {"scale": 4.0}),
    ("proxy_anchor", {"alpha": 4.0}),
]
EVERY = pytest.mark.parametrize(("name", "options"), PAIRWISE + OF_CLASSES)


def weights_for(
    name: str, *, classes: int = 4, dim: int = 5, dtype: torch.dtype = torch.float64
) -> ClassWeights | None:
    if name not in dict(OF_CLASSES):
        return None
    weights = ClassWeights(classes, dim).to(dtype)
    with torch.no_grad():
        weights.vectors.copy_(vectors(classes, dim, dtype=dtype, seed=5))
    return weights


def value(name: str, z: Tensor, labels: Any, **options: Any) -> Tensor:
    return loss_of(name, z, labels, weights=weights_for(name, dim=z.shape[1], dtype=z.dtype), **options).loss


# Closed forms


def test_multi_similarity() -> None:
    everything: dict[str, Any] = {"epsilon": None}
    expected = math.log1p(math.exp(-1)) / 2 + math.log1p(2 * math.exp(-25)) / 50
    assert value("multi_similarity", PAIRS, OF_PAIRS, **everything).item() == pytest.approx(expected, abs=1e-11)
    alike = torch.ones(4, 2, dtype=torch.float64)
    assert value("multi_similarity", alike, OF_PAIRS, **everything).item() == pytest.approx(0.670493787370, abs=1e-11)
    assert value("multi_similarity", FAN, OF_FAN, **everything).item() == pytest.approx(0.497871541780, abs=1e-11)


def test_the_miner_of_multi_similarity_keeps_pairs_near_the_hardest() -> None:
    z = PAIRS.clone().requires_grad_()
    nothing = loss_of("multi_similarity", z, OF_PAIRS)
    (gradient,) = torch.autograd.grad(nothing.loss, z)
    assert (nothing.loss.item(), nothing.observed["pairs"].item()) == (0, 0)
    assert not gradient.any()
    three = loss_of("multi_similarity", FAN, OF_FAN)  # (2, 0), (2, 1), and the negative (2, 3), of 12 pairs
    assert three.loss.item() == pytest.approx(0.205085119057, abs=1e-11)
    assert three.observed["pairs"].item() == pytest.approx(3 / 12)


def test_n_pairs() -> None:
    """log(1 + 2 / e); vectors are not normalised, so that longer ones have another loss."""
    z, labels = torch.eye(3, dtype=torch.float64).repeat(2, 1), [0, 1, 2, 0, 1, 2]
    assert value("n_pairs", z, labels, penalty=0.0).item() == pytest.approx(0.551444713932, abs=1e-11)
    longer = math.log1p(2 * math.exp(-4)) + 0.5 * 4
    assert value("n_pairs", 2 * z, labels, penalty=0.5).item() == pytest.approx(longer, abs=1e-11)


@pytest.mark.parametrize(
    ("z", "labels", "margin", "gamma", "expected"),
    [
        (PAIRS, OF_PAIRS, 0.25, 1.0, 1.017038394527),
        (PAIRS, OF_PAIRS, 0.4, 80.0, 1.524373e-11),
        (FAN, OF_FAN, 0.25, 4.0, 2.187367685874),
    ],
)
def test_circle(z: Tensor, labels: Tensor, margin: float, gamma: float, expected: float) -> None:
    assert value("circle", z, labels, margin=margin, gamma=gamma).item() == pytest.approx(expected, rel=1e-6)


def test_angular_margins_are_radians() -> None:
    cosines, label = torch.tensor([[0.5, 0.5]], dtype=torch.float64), torch.tensor([0])
    own = with_angular_margin(cosines, 0.2)
    assert own[0, 0].item() == pytest.approx(0.317980601499, abs=1e-11)
    assert margin_softmax(cosines, label, own, scale=30.0).item() == pytest.approx(5.464824025791, abs=1e-9)
    none = with_angular_margin(cosines, 0.0)
    assert margin_softmax(cosines, label, none, scale=30.0).item() == pytest.approx(math.log(2), abs=1e-12)
    assert margin_softmax(cosines, label, cosines - 0.2, scale=30.0).item() == pytest.approx(6.002475685138, abs=1e-9)


def test_the_logit_of_the_own_class_falls_with_the_angle_up_to_pi() -> None:
    beyond = with_angular_margin(torch.tensor(-0.99, dtype=torch.float64), 0.2)
    assert beyond.item() == pytest.approx(-1.029733866159, abs=1e-11)
    for margin in (0.2, 0.5):
        logits = with_angular_margin(torch.linspace(0, math.pi, 2000, dtype=torch.float64).cos(), margin)
        assert (logits.diff() < 0).all()


# Twins


TWINS: dict[str, Callable[..., Tensor]] = {
    "triplet": plain.triplet,
    "multi_similarity": plain.multi_similarity,
    "circle": plain.circle,
    "n_pairs": plain.n_pairs,
    "proxy_anchor": plain.proxy_anchor,
    "arc_face": plain.arc_face,
}
DEFAULTS: dict[str, dict[str, Any]] = {
    "triplet": {"margin": 0.2},
    "multi_similarity": {"alpha": 2.0, "beta": 50.0, "base": 0.5, "epsilon": 0.1},
    "circle": {"margin": 0.25},
    "n_pairs": {},
    "proxy_anchor": {"margin": 0.1},
    "arc_face": {"margin": 0.2},
}


@pytest.mark.parametrize(("name", "options"), [pair for pair in PAIRWISE + OF_CLASSES if pair[0] in TWINS])
@pytest.mark.parametrize("seed", [0, 1])
def test_it_equals_the_plain_twin(name: str, options: dict[str, Any], seed: int) -> None:
    z, weights = vectors(seed=seed), weights_for(name)
    given = () if weights is None else (weights.vectors,)
    expected = TWINS[name](z, MIXED, *given, **{**DEFAULTS[name], **options})
    found = value(name, z, MIXED, **options)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-10)
    assert found > 0


def test_margin_softmaxes_have_the_librarys_values_which_takes_degrees() -> None:
    from pytorch_metric_learning import losses

    z, labels, weights = vectors(), torch.tensor(MIXED), weights_for("arc_face")
    assert weights is not None
    theirs = {
        "arc_face": losses.ArcFaceLoss(4, 5, margin=math.degrees(0.3), scale=8),
        "cos_face": losses.CosFaceLoss(4, 5, margin=0.3, scale=8),
    }
    for name, loss in theirs.items():
        loss.W.data = weights.vectors.detach().T.contiguous()
        found = loss_of(name, z, labels, weights=weights, margin=0.3, scale=8.0).loss
        torch.testing.assert_close(found, loss(z, labels))


def test_a_vector_that_meets_its_class_has_a_finite_gradient() -> None:
    weights = weights_for("arc_face")
    assert weights is not None
    z = weights.vectors.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss_of("arc_face", z, [0, 1, 2, 3], weights=weights).loss, z)
    assert gradient.isfinite().all()


# Properties


@EVERY
def test_gradcheck(name: str, options: dict[str, Any]) -> None:
    """But for the circle loss, whose weights have no gradient."""
    z, weights = vectors(7).requires_grad_(), weights_for(name)
    labels = torch.tensor([0, 1, 0, 2, 1, 0, -1])
    if name == "circle":
        z, twin = vectors().requires_grad_(), vectors().requires_grad_()
        found = torch.autograd.grad(value(name, z, MIXED, **options), z)
        torch.testing.assert_close(found, torch.autograd.grad(plain.circle(twin, MIXED, margin=0.25, **options), twin))
        return
    given = [z] if weights is None else [z, *weights.parameters()]
    assert torch.autograd.gradcheck(lambda *_: loss_of(name, z, labels, weights=weights, **options).loss, given)
    if weights is not None:
        gradient = torch.autograd.grad(loss_of(name, z, labels, weights=weights, **options).loss, weights.vectors)
        assert gradient[0].any()


@EVERY
def test_neither_order_nor_names_of_classes_nor_a_rotation_matter(name: str, options: dict[str, Any]) -> None:
    z, labels, order = vectors(), torch.tensor(MIXED), torch.tensor([5, 3, 7, 1, 0, 4, 6, 2])
    names, weights = torch.tensor([2, 0, 3, 1]), weights_for(name)
    before = loss_of(name, z, labels, weights=weights, **options).loss
    renamed, rotated = ClassWeights(4, 5).double(), ClassWeights(4, 5).double()
    if weights is not None:
        with torch.no_grad():
            renamed.vectors[names] = weights.vectors
            rotated.vectors.copy_(turned(weights.vectors))
    after = [
        loss_of(name, z, names[labels], weights=renamed, **options).loss,
        loss_of(name, turned(z), labels, weights=rotated, **options).loss,
    ]
    if name != "n_pairs":  # which takes the first two of each class
        after.append(loss_of(name, z[order], labels[order], weights=weights, **options).loss)
    for one in after:
        torch.testing.assert_close(one, before, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("name", "options"), PAIRWISE)
@pytest.mark.parametrize("labels", [*WITHOUT_COMPARISON, [0, 0, 0, 0], [0, 0, -1, -1]])
def test_nothing_to_compare_is_no_loss_with_a_gradient_of_zeros(
    name: str, options: dict[str, Any], labels: list[int]
) -> None:
    if name in ("n_pairs", "multi_similarity") and sum(label >= 0 for label in labels) and labels.count(0) > 1:
        return  # a pair of one class is something to them
    z = vectors(4).requires_grad_()
    found = loss_of(name, z, labels, **{**options, "epsilon": 0.1} if name == "multi_similarity" else options)
    (gradient,) = torch.autograd.grad(found.loss, z)
    assert found.loss.item() == 0
    assert not gradient.any()
    (share,) = found.observed.values()
    assert share == 0


@EVERY
def test_rows_of_unknown_class_take_no_part(name: str, options: dict[str, Any]) -> None:
    z, labels = vectors(), torch.tensor([0, -1, 0, 2, 1, 0, -1, 2])
    torch.testing.assert_close(
        value(name, z, labels, **options), value(name, z[labels >= 0], labels[labels >= 0], **options)
    )


@pytest.mark.parametrize("name", dict(OF_CLASSES))
def test_without_any_known_class_nothing_moves(name: str) -> None:
    z, weights = vectors(3).requires_grad_(), weights_for(name)
    (gradient,) = torch.autograd.grad(loss_of(name, z, [-1, -1, -1], weights=weights).loss, z)
    assert not gradient.any()


@EVERY
def test_vectors_that_are_all_alike_have_finite_gradients(name: str, options: dict[str, Any]) -> None:
    """The slope of a distance is infinite at 0."""
    z, weights = torch.ones(8, 5, dtype=torch.float64, requires_grad=True), weights_for(name)
    found = loss_of(name, z, MIXED, weights=weights, **options).loss
    (gradient,) = torch.autograd.grad(found, z)
    assert found.isfinite()
    assert gradient.isfinite().all()


@EVERY
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_compared_in_single(name: str, options: dict[str, Any], dtype: torch.dtype) -> None:
    z, weights = vectors(dtype=torch.float32).to(dtype), weights_for(name, dtype=torch.float32)
    found = loss_of(name, z, MIXED, weights=weights, **options).loss
    assert found.dtype == torch.float32
    assert torch.equal(found, loss_of(name, z.float(), MIXED, weights=weights, **options).loss)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        again = loss_of(name, z.float(), MIXED, weights=weights, **options).loss
    assert torch.equal(again, found)


def test_shares_of_triplets_tell_when_little_is_left() -> None:
    near = loss_of("triplet", torch.ones(4, 2), OF_PAIRS, mining="all")
    assert near.loss.item() == pytest.approx(0.2)
    assert near.observed["triplets"] == 1
    apart = loss_of("triplet", PAIRS, OF_PAIRS, mining="all")
    assert (apart.loss.item(), apart.observed["triplets"].item()) == (0, 0)
    z = vectors()
    soft, hinge = (loss_of("triplet", z, MIXED, mining="all", soft=soft).observed["triplets"] for soft in (True, False))
    assert soft == hinge
    assert loss_of("triplet", z, MIXED, mining="semi_hard").observed["triplets"] < hinge


def test_an_objective_draws_nothing_and_loads_the_library_when_it_is_called() -> None:
    before = torch.random.get_rng_state()
    for name, options in PAIRWISE + OF_CLASSES:
        value(name, vectors(), MIXED, **options)
        weights_for(name)
    torch.random.set_rng_state(before)
    value("proxy_anchor", vectors(), MIXED)
    code = "import sys; from tswork.config import configure; configure('labelled_objective', 'triplet').build()"
    code += "; from tswork.registry import components; components('labelled_objective')"
    code += "; print('pytorch_metric_learning' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.strip() == "False"
