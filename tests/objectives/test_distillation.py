"""Distillation on the memory and cross entropy of tokens: plain twins, who is read, padding, gradients, edge cases."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.reference import coconut as plain
from tswork.objectives.distillation import frame_distillation, token_distillation
from tswork.objectives.token_cross_entropy import sequence_log_probability, token_cross_entropy

Term = Callable[..., Tensor]

LENGTHS = torch.tensor([4, 2, 3, 1])
MEMORY = torch.tensor([True, True, False, True])
TERMS = pytest.mark.parametrize("term", [frame_distillation, token_distillation])


def pair(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    student, teacher = torch.randn(2, 4, 4, 5, dtype=dtype, generator=torch.Generator().manual_seed(0))
    return student, teacher


def unread(values: Tensor) -> Tensor:
    """The same where it may be read, NaN in padding and in rows of new samples."""
    read = (torch.arange(4) < LENGTHS[:, None]) & MEMORY[:, None]
    return torch.where(read[..., None], values, torch.nan)


def test_they_equal_their_plain_twins() -> None:
    student, teacher = pair()
    old, lengths = MEMORY.tolist(), LENGTHS.tolist()
    expected = plain.frame_distillation(student, teacher, old, lengths)
    assert frame_distillation(student, teacher, MEMORY, lengths=LENGTHS).item() == pytest.approx(expected, rel=1e-10)
    for temperature in (1.0, 2.5):
        expected = plain.token_distillation(student, teacher, old, lengths, temperature=temperature)
        found = token_distillation(student, teacher, MEMORY, lengths=LENGTHS, temperature=temperature)
        assert found.item() == pytest.approx(expected, rel=1e-10)


def test_known_values() -> None:
    old = torch.tensor([True])
    student, teacher = torch.tensor([[[0.0, 0.0]]]), torch.tensor([[[3.0, 1.0]]])
    assert frame_distillation(student, teacher, old).item() == pytest.approx(5.0)
    certain = torch.tensor([[[0.0, -torch.inf]]])
    assert token_distillation(student, certain, old).item() == pytest.approx(math.log(2))
    assert token_distillation(certain, certain, old).item() == 0


@TERMS
def test_padding_and_new_samples_are_not_read_in_value_or_gradient(term: Term) -> None:
    found: list[Tensor] = []
    gradients: list[Tensor] = []
    for change in (lambda z: z, unread):
        student, teacher = pair()
        student = change(student).requires_grad_()
        loss = term(student, change(teacher), MEMORY, lengths=LENGTHS)
        gradients += torch.autograd.grad(loss, student)
        found.append(loss)
    assert torch.equal(found[0], found[1])
    assert torch.equal(gradients[0], gradients[1])
    assert not gradients[0][2].any()


@TERMS
def test_alike_costs_nothing_and_so_does_no_memory(term: Term) -> None:
    student, teacher = pair()
    assert term(student, student, MEMORY, lengths=LENGTHS).item() == pytest.approx(0, abs=1e-15)
    student.requires_grad_()
    loss = term(student, teacher, torch.zeros(4, dtype=torch.bool))
    (gradient,) = torch.autograd.grad(loss, student)
    assert loss.item() == 0
    assert not gradient.any()


@TERMS
def test_gradcheck_and_that_the_teacher_learns_nothing(term: Term) -> None:
    student, teacher = (z.requires_grad_() for z in pair())
    assert torch.autograd.gradcheck(lambda s: term(s, teacher.detach(), MEMORY, lengths=LENGTHS), [student])
    term(student, teacher, MEMORY).backward()
    assert teacher.grad is None


@TERMS
def test_half_precision_is_compared_in_single(term: Term) -> None:
    student, teacher = (z.to(torch.bfloat16) for z in pair())
    found = term(student, teacher, MEMORY, lengths=LENGTHS)
    assert found.dtype == torch.float32
    assert torch.equal(found, term(student.float(), teacher.float(), MEMORY, lengths=LENGTHS))


# Cross entropy


def targets() -> Tensor:
    return torch.randint(0, 5, (4, 4), generator=torch.Generator().manual_seed(1))


def test_cross_entropy_equals_its_plain_twin_and_skips_padding() -> None:
    logits, _ = pair()
    for among in (None, MEMORY):
        chosen = [True] * 4 if among is None else among.tolist()
        expected = plain.token_cross_entropy(logits, targets(), LENGTHS.tolist(), chosen)
        found = token_cross_entropy(logits, targets(), LENGTHS, among=among)
        assert found.item() == pytest.approx(expected, rel=1e-10)
    other = torch.where(torch.arange(4) < LENGTHS[:, None], targets(), 0)
    assert torch.equal(token_cross_entropy(logits, other, LENGTHS), token_cross_entropy(logits, targets(), LENGTHS))


def test_the_mean_of_cross_entropy_and_the_probability_of_sequences_agree() -> None:
    logits, _ = pair()
    whole = sequence_log_probability(logits, targets(), LENGTHS)
    mean = token_cross_entropy(logits, targets(), LENGTHS)
    torch.testing.assert_close(-whole.sum() / LENGTHS.sum(), mean)


def test_smoothing_is_that_of_torch() -> None:
    logits, _ = pair()
    found = token_cross_entropy(logits, targets(), torch.full((4,), 4), smoothing=0.2)
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets().flatten(), label_smoothing=0.2)
    torch.testing.assert_close(found, expected)


def test_no_sequence_has_no_loss() -> None:
    logits = pair()[0].requires_grad_()
    loss = token_cross_entropy(logits, targets(), LENGTHS, among=torch.zeros(4, dtype=torch.bool))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss.item() == 0
    assert not gradient.any()
