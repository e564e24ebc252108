"""Co2L's losses: closed forms, plain twins, who learns, gradients, invariances, edge cases."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.reference import co2l as plain
from tswork.objectives.co2l import asymmetric_contrast, relation_distillation
from tswork.objectives.supervised import supervised_contrast

LABELS = torch.tensor([3, 0, 3, 7, 0, 9, 9])
MEMORY = torch.tensor([True, True, False, True, False, False, False])
NONE = torch.zeros(7, dtype=torch.bool)


def vectors(batch: int = 7, dim: int = 5, *, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    student, teacher = torch.randn(2, batch, dim, dtype=dtype, generator=torch.Generator().manual_seed(batch))
    return student, teacher


# Contrast


@pytest.mark.parametrize(("temperature", "value"), [(1.0, math.log(2 + 3 / math.e)), (0.07, math.log(2))])
def test_two_collapsed_classes_of_three(temperature: float, value: float) -> None:
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    z = torch.eye(2, dtype=torch.float64)[labels]
    found = asymmetric_contrast(z, labels, labels == 0, temperature=temperature)
    assert found.item() == pytest.approx(value, abs=1e-5)


def test_without_a_memory_it_is_supervised_contrast() -> None:
    z, _ = vectors()
    assert torch.equal(
        asymmetric_contrast(z, LABELS, NONE, temperature=0.3), supervised_contrast(z, LABELS, temperature=0.3)
    )


def test_contrast_equals_its_plain_twin() -> None:
    z, _ = vectors()
    for labels in (LABELS, torch.tensor([3, -1, 3, 7, -1, 9, 9])):
        found = asymmetric_contrast(z, labels, MEMORY, temperature=0.3)
        expected = plain.asymmetric_contrast(z, labels.tolist(), MEMORY.tolist(), temperature=0.3)
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_samples_of_the_memory_are_compared_with_and_are_no_anchors() -> None:
    """An anchor's loss depends on who else is there, not on whether they are anchors."""
    z, _ = vectors()
    each = [
        asymmetric_contrast(z, LABELS, torch.arange(7) != anchor, temperature=0.3)
        for anchor in torch.nonzero(~MEMORY).flatten().tolist()
    ]
    torch.testing.assert_close(asymmetric_contrast(z, LABELS, MEMORY, temperature=0.3), torch.stack(each).mean())
    z.requires_grad_()
    asymmetric_contrast(z, LABELS, MEMORY, temperature=0.3).backward()
    assert z.grad is not None
    assert z.grad.norm(dim=1).min() > 0


def test_gradcheck_of_the_contrast() -> None:
    z, _ = vectors()
    assert torch.autograd.gradcheck(lambda rows: asymmetric_contrast(rows, LABELS, MEMORY), [z.requires_grad_()])


@pytest.mark.parametrize(("rows", "memory"), [([0, 1, 3], MEMORY), ([2, 4, 5], NONE), ([2], NONE), ([], NONE)])
def test_no_anchor_with_a_positive_costs_nothing(rows: list[int], memory: Tensor) -> None:
    z = vectors()[0][rows].requires_grad_()
    loss = asymmetric_contrast(z, LABELS[rows], memory[rows])
    (gradient,) = torch.autograd.grad(loss, z)
    assert loss.item() == 0
    assert not gradient.any()


def test_a_task_of_one_class_is_drawn_together_and_nothing_is_said() -> None:
    z, _ = vectors()
    one = torch.zeros(7, dtype=torch.int64)
    assert asymmetric_contrast(torch.ones_like(z), one, NONE).item() == pytest.approx(math.log(6))
    assert asymmetric_contrast(z, one, NONE) > math.log(6)


# Relations


def test_relations_of_orthogonal_vectors_are_even() -> None:
    z = torch.eye(5, dtype=torch.float64)
    assert relation_distillation(z, z).item() == pytest.approx(math.log(4))


@pytest.mark.parametrize("temperature", [1.0, 0.2])
def test_a_sharp_teacher_and_a_student_that_sees_all_alike(temperature: float) -> None:
    """Pairs of equal vectors: the teacher is sure of each one's twin, and the student pays for how sure it is."""
    pairs = torch.eye(3, dtype=torch.float64)[[0, 0, 1, 1, 2, 2]]
    found = relation_distillation(pairs, pairs, temperature=temperature, teacher_temperature=0.01)
    assert found.item() == pytest.approx(math.log(1 + 4 * math.exp(-1 / temperature)))
    alike = torch.ones(6, 3, dtype=torch.float64)
    assert relation_distillation(alike, pairs).item() == pytest.approx(math.log(5))


def test_relations_equal_their_plain_twin() -> None:
    student, teacher = vectors()
    for temperature, of_teacher in ((0.2, 0.01), (0.5, 0.5)):
        found = relation_distillation(student, teacher, temperature=temperature, teacher_temperature=of_teacher)
        expected = plain.relation_distillation(
            student, teacher, temperature=temperature, teacher_temperature=of_teacher
        )
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_gradcheck_of_relations_and_a_teacher_that_learns_nothing() -> None:
    student, teacher = (z.requires_grad_() for z in vectors())
    assert torch.autograd.gradcheck(
        lambda s: relation_distillation(s, teacher, teacher_temperature=0.1), [student], check_undefined_grad=False
    )
    relation_distillation(student, teacher).backward()
    assert teacher.grad is None


def test_a_student_with_its_teachers_relations_has_nothing_to_learn() -> None:
    student, _ = vectors()
    student.requires_grad_()
    same = relation_distillation(student, student.detach(), temperature=0.3, teacher_temperature=0.3)
    (gradient,) = torch.autograd.grad(same, student)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-12)


def test_order_lengths_and_rotations_do_not_matter() -> None:
    student, teacher = vectors()
    order = torch.tensor([6, 2, 4, 0, 1, 5, 3])
    rotations = torch.linalg.qr(torch.randn(2, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    first, second = rotations[0]
    expected = relation_distillation(student, teacher)
    for changed in (
        relation_distillation(student[order], teacher[order]),
        relation_distillation(3 * student, teacher / 7),
        relation_distillation(student @ first, teacher @ second),  # spaces of their own: only relations are compared
    ):
        torch.testing.assert_close(changed, expected, rtol=1e-9, atol=1e-9)
    contrast = asymmetric_contrast(student, LABELS, MEMORY)
    changed = asymmetric_contrast(3 * student[order] @ first, 7 * LABELS[order], MEMORY[order])
    torch.testing.assert_close(changed, contrast, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("batch", [0, 1, 2])
def test_fewer_than_three_have_no_relations(batch: int) -> None:
    student, teacher = (z[:batch] for z in vectors())
    student = student.clone().requires_grad_()
    loss = relation_distillation(student, teacher)
    (gradient,) = torch.autograd.grad(loss, student)
    assert loss.item() == 0
    assert not gradient.any()


# Precision


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_compared_in_single(dtype: torch.dtype) -> None:
    student, teacher = (z.to(dtype) for z in vectors(dtype=torch.float32))
    wide = [
        relation_distillation(student.float(), teacher.float()),
        asymmetric_contrast(student.float(), LABELS, MEMORY, temperature=0.01),
    ]
    found = [relation_distillation(student, teacher), asymmetric_contrast(student, LABELS, MEMORY, temperature=0.01)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        again = [
            relation_distillation(student.float(), teacher.float()),
            asymmetric_contrast(student.float(), LABELS, MEMORY, temperature=0.01),
        ]
    for one, other, cast in zip(wide, found, again, strict=True):
        assert other.dtype == torch.float32
        assert other.isfinite()
        assert torch.equal(one, other)
        assert torch.equal(one, cast)
