"""Supervised contrast and labelled NT-Xent: closed forms, the plain twins, gradients, invariances, edge cases."""

from __future__ import annotations

import math
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
from tswork.errors import TsworkWarning
from tswork.objectives.supervised import labelled_nt_xent, supervised_contrast

FORMS = [(variant, denominator) for variant in ("out", "in") for denominator in ("all", "own", "negatives")]
EVERY_FORM = pytest.mark.parametrize(("variant", "denominator"), FORMS)
ONE_CLASS = pytest.mark.filterwarnings("ignore:all vectors of a batch are of one class")


def every_loss(z: Tensor, labels: Tensor, **options: Any) -> list[Tensor]:
    """All forms, and NT-Xent."""
    forms: list[dict[str, Any]] = [{"variant": variant, "denominator": denominator} for variant, denominator in FORMS]
    return [supervised_contrast(z, labels, **form, **options) for form in forms] + [
        labelled_nt_xent(z, labels, **options)
    ]


@pytest.mark.parametrize(
    ("temperature", "value"),
    [(1.0, 0.551444713932), (0.5, 0.239544766222), (0.1, 9.0795737e-05), (0.07, 1.24974912e-06)],
)
def test_two_perfect_classes(temperature: float, value: float) -> None:
    """log(1 + 2 exp(-1 / t))."""
    loss = supervised_contrast(PAIRS, OF_PAIRS, temperature=temperature)
    assert loss.item() == pytest.approx(value, rel=1e-7)


def test_two_opposite_classes() -> None:
    z = torch.tensor([[1.0, 0], [1, 0], [-1, 0], [-1, 0]], dtype=torch.float64)
    assert supervised_contrast(z, OF_PAIRS, temperature=1.0).item() == pytest.approx(0.239544766222, abs=1e-12)


@pytest.mark.parametrize(("rows", "value"), [(4, 1.098612289), (6, 1.609437912), (8, 1.945910149), (16, 2.708050201)])
@pytest.mark.parametrize("temperature", [0.05, 1.0])
def test_vectors_that_are_all_alike_give_the_log_of_the_others(rows: int, value: float, temperature: float) -> None:
    labels = torch.arange(rows) % 2
    loss = supervised_contrast(torch.ones(rows, 3, dtype=torch.float64), labels, temperature=temperature)
    assert loss.item() == pytest.approx(value, abs=1e-9)


def test_a_fan_of_three_and_one() -> None:
    out = supervised_contrast(FAN, OF_FAN, temperature=0.5)
    inside = supervised_contrast(FAN, OF_FAN, temperature=0.5, variant="in")
    assert out.item() == pytest.approx(1.018276133296, abs=1e-12)
    assert inside.item() == pytest.approx(0.974580874918, abs=1e-12)
    assert labelled_nt_xent(FAN, OF_FAN, temperature=0.5).item() == pytest.approx(0.513225925034, abs=1e-12)
    authors = plain.of_the_authors_code(FAN, OF_FAN.tolist(), temperature=0.5)
    assert authors.item() == pytest.approx(0.763707099972 * 0.5 / 0.07, abs=1e-9)


@ONE_CLASS
def test_anchors_without_a_positive_take_no_part_and_one_class_has_its_value() -> None:
    z = torch.tensor([[1.0, 0], [1, 0], [0, 1]], dtype=torch.float64)
    assert supervised_contrast(z, torch.tensor([0, 0, 1]), temperature=1.0).item() == pytest.approx(0.313261687518)
    assert supervised_contrast(z, torch.tensor([0, 0, 0]), temperature=1.0).item() == pytest.approx(0.773223518532)


@EVERY_FORM
@pytest.mark.parametrize("temperature", [0.1, 0.7])
def test_it_equals_the_plain_twin(variant: Any, denominator: Any, temperature: float) -> None:
    z = vectors()
    form = {"temperature": temperature, "variant": variant, "denominator": denominator}
    for labels in (MIXED, [0, -1, 0, 2, 1, 0, -1, 2]):
        found = supervised_contrast(z, torch.tensor(labels), **form)
        torch.testing.assert_close(found, plain.supervised_contrast(z, labels, **form), rtol=1e-10, atol=1e-10)


def test_nt_xent_equals_its_plain_twin_and_weighs_pairs_instead_of_anchors() -> None:
    z = vectors()
    found = labelled_nt_xent(z, torch.tensor(MIXED), temperature=0.4)
    torch.testing.assert_close(found, plain.labelled_nt_xent(z, MIXED, temperature=0.4), rtol=1e-10, atol=1e-10)
    by_anchor = supervised_contrast(z, torch.tensor(MIXED), temperature=0.4, denominator="own")
    assert not torch.isclose(found, by_anchor)


def test_two_vectors_of_every_class_make_all_forms_with_the_positive_below_alike() -> None:
    z, labels = vectors(), torch.tensor([0, 1, 2, 3, 3, 2, 1, 0])
    losses = every_loss(z, labels)
    alike = [loss for (_, denominator), loss in zip(FORMS, losses, strict=False) if denominator != "negatives"]
    for loss in (*alike, losses[-1]):
        torch.testing.assert_close(loss, losses[0])


def test_the_mean_inside_the_logarithm_is_never_above_the_mean_of_logarithms() -> None:
    for seed in range(5):
        z = vectors(seed=seed)
        for denominator in ("all", "own", "negatives"):
            inside, out = (
                supervised_contrast(z, torch.tensor(MIXED), variant=variant, denominator=denominator)
                for variant in ("in", "out")
            )
            assert inside <= out


@EVERY_FORM
def test_gradcheck(variant: Any, denominator: Any) -> None:
    z = vectors(6).requires_grad_()
    labels = torch.tensor([0, 1, 0, 1, 2, -1])
    form = {"variant": variant, "denominator": denominator}
    assert torch.autograd.gradcheck(lambda one: supervised_contrast(one, labels, temperature=0.5, **form), [z])
    assert torch.autograd.gradcheck(lambda one: labelled_nt_xent(one, labels, temperature=0.5), [z])


def test_an_anchors_gradient_is_the_softmax_less_its_positives() -> None:
    """Over the similarities of one anchor it sums to 0; here the anchor's similarities are its vector's coordinates."""
    temperature, labels = 0.3, torch.tensor([0, 0, 0, 1, 1, 2])
    similarities = vectors(1, 5, seed=3)[0].mul(0.4).requires_grad_()
    softmax = (similarities / temperature).softmax(dim=0)
    positive = labels[1:] == labels[0]
    loss = -(similarities / temperature).log_softmax(dim=0)[positive].mean()
    (expected,) = torch.autograd.grad(loss, similarities)
    torch.testing.assert_close(expected, (softmax - positive / positive.sum()) / temperature)
    assert expected.sum().item() == pytest.approx(0, abs=1e-14)
    # The same anchor among unit vectors: the others are axes, so that their dot products with it are its coordinates.
    rest = (1 - similarities.detach().square().sum()).sqrt()
    anchor = torch.cat([similarities.detach(), rest[None]]).requires_grad_()
    z = torch.cat([anchor[None], torch.eye(6, dtype=torch.float64)[:5]])
    alone = torch.tensor([0, 0, 0, 1, 2, 3])  # rows 1 and 2 are anchors too; their part is taken away
    whole = 3 * supervised_contrast(z, alone, temperature=temperature)
    others = sum(
        -torch.log_softmax(z[row] @ z[[other for other in range(6) if other != row]].T / temperature, dim=0)[:2].mean()
        for row in (1, 2)
    )
    (found,) = torch.autograd.grad(whole - others, anchor)
    tangent = found - (found @ anchor.detach()) * anchor.detach()
    wanted = torch.cat([(softmax.detach() - (alone[1:] == 0) / 2) / temperature, torch.zeros(1).double()])
    torch.testing.assert_close(tangent, wanted - (wanted @ anchor.detach()) * anchor.detach())


@ONE_CLASS
def test_neither_order_nor_names_of_classes_nor_a_rotation_matter() -> None:
    z, labels, order = vectors(), torch.tensor(MIXED), torch.tensor([5, 3, 7, 1, 0, 4, 6, 2])
    renamed = torch.tensor([9, 2, 4, 7])[labels]
    for before, *after in zip(
        every_loss(z, labels),
        every_loss(z[order], labels[order]),
        every_loss(z, renamed),
        every_loss(turned(z), labels),
        every_loss(3 * z, labels),
        strict=True,
    ):
        for one in after:
            torch.testing.assert_close(one, before, rtol=1e-10, atol=1e-10)


def test_the_authors_code_is_ours_times_two_factors() -> None:
    """tau / 0.07, and the share of anchors that have a positive."""
    z = vectors()
    labels = [0, 1, 0, 2, 1, 0, 3, 2]
    found = supervised_contrast(z, torch.tensor(labels), temperature=0.1) * 0.1 / 0.07 * 7 / 8
    torch.testing.assert_close(plain.of_the_authors_code(z, labels, temperature=0.1), found)


def test_what_is_apart_is_more_so_at_a_lower_temperature_and_stays_finite() -> None:
    apart = vectors(8, 5) * 0.05 + torch.eye(5, dtype=torch.float64)[torch.arange(8) % 4]
    labels = torch.arange(8) % 4
    losses = [supervised_contrast(apart, labels, temperature=t).item() for t in (1.0, 0.5, 0.2, 0.1, 0.05)]
    assert losses == sorted(losses, reverse=True)
    z = apart.float().requires_grad_()
    supervised_contrast(z, labels, temperature=0.01).backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()


@EVERY_FORM
@pytest.mark.parametrize("labels", WITHOUT_COMPARISON)
def test_without_positives_there_is_no_loss_and_no_gradient(labels: list[int], variant: Any, denominator: Any) -> None:
    z = vectors(4).requires_grad_()
    for loss in (
        supervised_contrast(z, torch.tensor(labels), variant=variant, denominator=denominator),
        labelled_nt_xent(z, torch.tensor(labels)),
    ):
        (gradient,) = torch.autograd.grad(loss, z)
        assert loss.item() == 0
        assert not gradient.any()


@EVERY_FORM
def test_a_batch_of_one_class_says_so_and_stays_finite(variant: Any, denominator: Any) -> None:
    z = vectors(4).requires_grad_()
    with pytest.warns(TsworkWarning, match="all vectors of a batch are of one class: nothing is pushed away"):
        loss = supervised_contrast(z, torch.zeros(4, dtype=torch.int64), variant=variant, denominator=denominator)
    (gradient,) = torch.autograd.grad(loss, z)
    assert loss.isfinite()
    assert gradient.isfinite().all()
    assert loss.item() == pytest.approx(0, abs=1e-9) or denominator == "all"


def test_vectors_of_unknown_class_are_not_even_negatives() -> None:
    z = vectors()
    labels = torch.tensor([0, -1, 0, 2, 1, 0, -1, 2])
    for with_them, without in zip(every_loss(z, labels), every_loss(z[labels >= 0], labels[labels >= 0]), strict=True):
        torch.testing.assert_close(with_them, without)


def test_the_other_view_is_the_positive_of_a_class_with_one_clip() -> None:
    z = vectors(4)
    alone = supervised_contrast(z, torch.tensor([0, 1, 2, 2]))
    both = supervised_contrast(torch.cat([z, z]), torch.tensor([0, 1, 2, 2] * 2))
    assert loss_of("supervised_contrast", z, [0, 1, 2, 2]).observed["anchors"] == 0.5
    assert loss_of("supervised_contrast", torch.cat([z, z]), [0, 1, 2, 2] * 2).observed["anchors"] == 1
    assert not torch.isclose(alone, both)


def test_a_vector_of_zeros_and_vectors_that_are_equal_spoil_nothing() -> None:
    z = vectors(dtype=torch.float32)
    z[1], z[2] = 0, z[0]
    for loss in every_loss(z.requires_grad_(), torch.tensor(MIXED)):
        (gradient,) = torch.autograd.grad(loss, z, retain_graph=True)
        assert loss.isfinite()
        assert gradient.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_compared_in_single(dtype: torch.dtype) -> None:
    """exp(1 / 0.07) alone is beyond what 16-bit floats hold."""
    z, labels = vectors(dtype=torch.float32), torch.tensor(MIXED)
    for half, single, whole in zip(
        every_loss(z.to(dtype), labels, temperature=0.07),
        every_loss(z.to(dtype).float(), labels, temperature=0.07),
        every_loss(z, labels, temperature=0.07),
        strict=True,
    ):
        assert half.dtype == torch.float32
        assert torch.equal(half, single)
        assert abs(half - whole) < 0.2
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(supervised_contrast(z, labels), supervised_contrast(z, labels))


def test_half_precision_of_what_is_apart_stays_within_two_hundredths() -> None:
    apart = vectors(8, 5).float() * 0.05 + torch.eye(5)[torch.arange(8) % 4]
    labels = torch.arange(8) % 4
    difference = supervised_contrast(apart.bfloat16(), labels) - supervised_contrast(apart, labels)
    assert abs(difference.item()) < 2e-2


def test_pytorch_metric_learning_agrees_where_every_anchor_has_a_loss() -> None:
    from pytorch_metric_learning import losses

    z, labels = vectors(), torch.tensor(MIXED)
    for theirs, ours in (
        (losses.SupConLoss(temperature=0.2), supervised_contrast(z, labels, temperature=0.2)),
        (losses.NTXentLoss(temperature=0.2), labelled_nt_xent(z, labels, temperature=0.2)),
    ):
        torch.testing.assert_close(theirs(z, labels), ours)


def test_its_registered_forms_hand_their_options_on() -> None:
    z, labels = vectors(), torch.tensor(MIXED)
    options: dict[str, Any] = {"temperature": 0.3, "variant": "in", "denominator": "own"}
    found = loss_of("supervised_contrast", z, labels, **options)
    torch.testing.assert_close(found.loss, supervised_contrast(z, labels, **options))
    assert found.observed["anchors"].item() == pytest.approx(7 / 8)
    found = loss_of("labelled_nt_xent", z, labels, temperature=0.3)
    torch.testing.assert_close(found.loss, labelled_nt_xent(z, labels, temperature=0.3))


def test_a_hundred_of_them_in_float32_are_as_in_float64() -> None:
    z = vectors(128, 32)
    labels = torch.arange(128) % 16
    for single, double in zip(every_loss(z.float(), labels), every_loss(z, labels), strict=True):
        assert math.isclose(single.item(), double.item(), rel_tol=1e-5)
