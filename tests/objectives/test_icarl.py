"""iCaRL's loss: closed forms, the plain twin, who is read, gradients, edge cases."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.reference import icarl as plain
from tswork.objectives.icarl import yes_or_no

LABELS = torch.tensor([3, 0, 1, -1, 3, 2])
LEARNED = torch.tensor([False, False, True, True, False])
DISTILLED = torch.tensor([True, True, False, False, False])


def logits(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    student, teacher = 2 * torch.randn(2, 6, 5, dtype=dtype, generator=torch.Generator().manual_seed(0))
    return student, teacher


def test_undecided_outputs_cost_log_two_a_class_that_has_come() -> None:
    nothing = torch.zeros(6, 5)
    learned = yes_or_no(nothing, LABELS, learned=LEARNED)
    both = yes_or_no(nothing, LABELS, 7 * torch.ones(6, 5), learned=LEARNED, distilled=DISTILLED)
    assert learned.item() == pytest.approx(2 * math.log(2))
    assert both.item() == pytest.approx(4 * math.log(2))


def test_a_student_that_is_its_teacher_pays_the_entropy_of_its_outputs_for_old_classes() -> None:
    _, teacher = logits()
    none = torch.zeros(5, dtype=torch.bool)
    found = yes_or_no(teacher, LABELS, teacher, learned=none, distilled=DISTILLED)
    q = teacher[LABELS >= 0][:, DISTILLED].sigmoid()
    entropy = -(q * q.log() + (1 - q) * (1 - q).log()).sum(dim=1).mean()
    torch.testing.assert_close(found, entropy)
    moved = [yes_or_no(teacher + shift, LABELS, teacher, learned=none, distilled=DISTILLED) for shift in (-0.1, 0.1)]
    assert all(loss > found for loss in moved)


@pytest.mark.parametrize("taught", [True, False])
def test_it_equals_the_plain_twin(taught: bool) -> None:
    student, teacher = logits()
    given = teacher if taught else None
    found = yes_or_no(student, LABELS, given, learned=LEARNED, distilled=DISTILLED if taught else None)
    expected = plain.yes_or_no(student, LABELS.tolist(), given, LEARNED.tolist(), DISTILLED.tolist())
    assert found.item() == pytest.approx(expected, rel=1e-10)


def test_gradcheck() -> None:
    student, teacher = logits()
    assert torch.autograd.gradcheck(
        lambda s: yes_or_no(s, LABELS, teacher, learned=LEARNED, distilled=DISTILLED), [student.requires_grad_()]
    )


def test_classes_that_have_not_come_and_samples_of_no_label_are_not_read() -> None:
    student, teacher = (one.requires_grad_() for one in logits())
    loss = yes_or_no(student, LABELS, teacher, learned=LEARNED, distilled=DISTILLED)
    loss.backward()
    assert teacher.grad is None, "the teacher learns nothing"
    assert student.grad is not None
    read = (LABELS >= 0)[:, None] & (LEARNED | DISTILLED)
    assert torch.equal(student.grad != 0, read)
    absent = torch.where(DISTILLED, teacher.detach(), torch.nan)
    assert torch.equal(loss, yes_or_no(student, LABELS, absent, learned=LEARNED, distilled=DISTILLED))


def test_the_order_of_samples_does_not_matter() -> None:
    student, teacher = logits()
    order = torch.tensor([4, 1, 5, 0, 3, 2])
    first, second = (
        yes_or_no(student[rows], LABELS[rows], teacher[rows], learned=LEARNED, distilled=DISTILLED)
        for rows in (torch.arange(6), order)
    )
    torch.testing.assert_close(first, second)


@pytest.mark.parametrize("rows", [[3], []])
def test_without_a_known_label_it_costs_nothing(rows: list[int]) -> None:
    student = logits()[0][rows].requires_grad_()
    loss = yes_or_no(student, LABELS[rows], learned=LEARNED)
    (gradient,) = torch.autograd.grad(loss, student)
    assert loss.item() == 0
    assert not gradient.any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_single(dtype: torch.dtype) -> None:
    student, teacher = (100 * one.to(dtype) for one in logits(torch.float32))
    found = yes_or_no(student, LABELS, teacher, learned=LEARNED, distilled=DISTILLED)
    assert found.dtype == torch.float32
    assert found.isfinite()
    assert torch.equal(found, yes_or_no(student.float(), LABELS, teacher.float(), learned=LEARNED, distilled=DISTILLED))
