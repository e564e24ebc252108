"""COCONUT's losses: closed forms, the plain twin, who learns and who is read, gradients, invariances, edge cases."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.reference import coconut as plain
from tswork.objectives.coconut import Denominator, contrast_across, cross_modal_contrast, nspt, ntpt

LOSSES = {"student": nspt, "teacher": ntpt}
BOTH = pytest.mark.parametrize("negatives", ["student", "teacher"])
DENOMINATORS: tuple[Denominator, ...] = ("all", "no_self", "with_positive")
EACH = pytest.mark.parametrize("denominator", DENOMINATORS)
LABELS = torch.tensor([3, 0, 3, 7, 0, 9, 9])
MEMORY = torch.tensor([True, True, True, True, True, False, False])


def vectors(batch: int = 7, dim: int = 5, *, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    student, teacher = torch.randn(2, batch, dim, dtype=dtype, generator=torch.Generator().manual_seed(batch))
    return student, teacher


# Closed forms


@pytest.mark.parametrize(
    ("negatives", "denominator", "value"),
    [
        ("student", "no_self", math.log(math.e + 1) - 1),
        ("student", "all", math.log(2 * math.e + 1) - 1),
        ("student", "with_positive", math.log(2 * math.e + 1) - 1),
        ("teacher", "all", math.log(2 * math.e + 1) - 1),
    ],
)
def test_two_collapsed_old_samples_and_a_new_one(negatives: str, denominator: Denominator, value: float) -> None:
    z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    old = torch.tensor([True, True, False])
    loss = LOSSES[negatives](z, z, torch.tensor([0, 0, 1]), old, temperature=1.0, denominator=denominator)
    assert loss.item() == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_orthogonal_samples_and_what_the_denominator_does(temperature: float) -> None:
    z = torch.eye(3, dtype=torch.float64)
    given: tuple[Any, ...] = (z, z, torch.arange(3), torch.tensor([True, True, False]))
    below = nspt(*given, temperature=temperature, denominator="no_self")
    assert below.item() == pytest.approx(math.log(2) - 1 / temperature), "not bounded by 0"
    for loss in (nspt, ntpt):
        above = loss(*given, temperature=temperature)
        assert above.item() == pytest.approx(math.log(math.exp(1 / temperature) + 2) - 1 / temperature, rel=1e-9)


# The plain twin


@BOTH
@EACH
@pytest.mark.parametrize(("own_positive", "repel_class"), [*product([True, False], repeat=2)])
def test_it_equals_the_plain_twin(
    negatives: str, denominator: Denominator, own_positive: bool, repel_class: bool
) -> None:
    student, teacher = vectors()
    options: dict[str, Any] = {
        "temperature": 0.3,
        "denominator": denominator,
        "own_positive": own_positive,
        "repel_class": repel_class,
    }
    found = LOSSES[negatives](student, teacher, LABELS, MEMORY, **options)
    names, old = LABELS.tolist(), MEMORY.tolist()
    expected = plain.distilled(student, teacher, names, old, negatives=negatives, **options)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@BOTH
def test_new_samples_of_an_old_class_and_unknown_labels(negatives: str) -> None:
    student, teacher = vectors()
    labels, old = torch.tensor([3, -1, 3, 3, -1, 9, 3]), [True, True, False, True, True, False, True]
    found = LOSSES[negatives](student, teacher, labels, torch.tensor(old))
    names = [None if label < 0 else label for label in labels.tolist()]
    expected = plain.distilled(student, teacher, names, old, negatives=negatives, temperature=0.1)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


# Who learns, and who is read


@EACH
def test_new_samples_learn_under_nspt_and_not_under_ntpt(denominator: Denominator) -> None:
    for loss, learns in ((nspt, True), (ntpt, False)):
        student, teacher = (z.requires_grad_() for z in vectors())
        loss(student, teacher, LABELS, MEMORY, denominator=denominator).backward()
        assert teacher.grad is None, "the teacher learns nothing"
        assert student.grad is not None
        assert student.grad[MEMORY].norm(dim=1).min() > 0
        moved = student.grad[~MEMORY].norm(dim=1)
        assert moved.min() > 0 if learns else not moved.any()


@EACH
def test_the_teachers_rows_of_new_samples_are_not_read_by_nspt(denominator: Denominator) -> None:
    student, teacher = vectors()
    absent = torch.where(MEMORY[:, None], teacher, torch.nan)
    student.requires_grad_()
    found = [nspt(student, rows, LABELS, MEMORY, denominator=denominator) for rows in (teacher, absent)]
    assert torch.equal(found[0], found[1])
    (whole,), (part,) = (torch.autograd.grad(loss, student) for loss in found)
    assert torch.equal(whole, part)


def test_a_student_that_is_its_teacher_makes_both_losses_one_where_all_is_memory() -> None:
    z, _ = vectors()
    everything = torch.ones(7, dtype=torch.bool)
    torch.testing.assert_close(nspt(z, z, LABELS, everything), ntpt(z, z, LABELS, everything))


# Gradients and invariances


@BOTH
@EACH
@pytest.mark.parametrize("own_positive", [True, False])
def test_gradcheck(negatives: str, denominator: Denominator, own_positive: bool) -> None:
    student, teacher = vectors(5)
    labels, old = torch.tensor([1, 1, 2, 1, 4]), torch.tensor([True, True, True, False, False])

    def loss(s: Tensor) -> Tensor:
        return LOSSES[negatives](
            s, teacher, labels, old, temperature=0.5, denominator=denominator, own_positive=own_positive
        )

    assert torch.autograd.gradcheck(loss, [student.requires_grad_()])


@BOTH
@EACH
def test_order_names_lengths_and_rotations_do_not_matter(negatives: str, denominator: Denominator) -> None:
    student, teacher = vectors()

    def loss(s: Tensor, t: Tensor, labels: Tensor, old: Tensor) -> Tensor:
        return LOSSES[negatives](s, t, labels, old, denominator=denominator)

    expected = loss(student, teacher, LABELS, MEMORY)
    order = torch.tensor([6, 2, 4, 0, 1, 5, 3])
    rotation, _ = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    for changed in (
        loss(student[order], teacher[order], LABELS[order], MEMORY[order]),
        loss(student, teacher, LABELS + 2**53, MEMORY),
        loss(3 * student, teacher / 7, LABELS, MEMORY),
        loss(student @ rotation, teacher @ rotation, LABELS, MEMORY),
    ):
        torch.testing.assert_close(changed, expected, rtol=1e-9, atol=1e-9)


# Edges


@BOTH
@EACH
def test_an_empty_memory_costs_nothing_and_can_be_differentiated(negatives: str, denominator: Denominator) -> None:
    student, teacher = vectors()
    for batch in (7, 1, 0):
        rows = student[:batch].clone().requires_grad_()
        none = torch.zeros(batch, dtype=torch.bool)
        loss = LOSSES[negatives](rows, teacher[:batch], LABELS[:batch], none, denominator=denominator)
        (gradient,) = torch.autograd.grad(loss, rows)
        assert loss.item() == 0
        assert not gradient.any()


@BOTH
@pytest.mark.parametrize("denominator", ["no_self", "with_positive"])
def test_one_old_sample_alone_has_nothing_to_be_told_from(negatives: str, denominator: Denominator) -> None:
    student, teacher = vectors(1)
    student.requires_grad_()
    loss = LOSSES[negatives](student, teacher, LABELS[:1], MEMORY[:1], denominator=denominator)
    (gradient,) = torch.autograd.grad(loss, student)
    assert loss.item() == 0
    assert not gradient.any()


def test_the_sum_with_its_positive_is_never_negative() -> None:
    student, _ = vectors()
    assert nspt(student, student, LABELS, MEMORY, denominator="no_self", temperature=0.05) < 0
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        s, t = torch.randn(2, 7, 3, generator=generator)
        assert nspt(s, t, LABELS, MEMORY, denominator="with_positive", temperature=0.05) >= 0


@BOTH
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_compared_in_single(negatives: str, dtype: torch.dtype) -> None:
    student, teacher = (z.to(dtype) for z in vectors(dtype=torch.float32))
    found = LOSSES[negatives](student, teacher, LABELS, MEMORY, temperature=0.01)
    assert found.dtype == torch.float32
    assert found.isfinite()
    wide = LOSSES[negatives](student.float(), teacher.float(), LABELS, MEMORY, temperature=0.01)
    assert torch.equal(found, wide)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        again = LOSSES[negatives](student.float(), teacher.float(), LABELS, MEMORY, temperature=0.01)
    assert torch.equal(again, wide)


# Audio and text


@pytest.mark.parametrize(("temperature", "value"), [(1.0, 0.7436684), (0.1, 1.361905e-04)])
def test_pairs_that_agree_and_are_orthogonal(temperature: float, value: float) -> None:
    z = torch.eye(4, dtype=torch.float64)
    assert contrast_across(z, z, torch.arange(4), temperature=temperature).item() == pytest.approx(value, rel=1e-6)
    both = cross_modal_contrast(z, z, torch.arange(4), temperature=temperature)
    assert both.item() == pytest.approx(2 * value, rel=1e-6), "the sum of both directions"


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 0, 1], [0, 1, 2, 3]])
def test_embeddings_that_are_all_alike_give_the_log_of_the_batch(labels: list[int]) -> None:
    z = torch.ones(4, 3, dtype=torch.float64)
    assert contrast_across(z, z, torch.tensor(labels), temperature=0.2).item() == pytest.approx(math.log(4))


@pytest.mark.parametrize(("temperature", "value"), [(1.0, 1.0064089), (0.1, 0.6931926)])
def test_two_collapsed_classes_reach_the_log_of_their_size(temperature: float, value: float) -> None:
    labels = torch.tensor([0, 0, 1, 1])
    z = torch.eye(2, dtype=torch.float64)[labels]
    assert contrast_across(z, z, labels, temperature=temperature).item() == pytest.approx(value, abs=1e-7)


@pytest.mark.parametrize(
    ("labels", "audio_to_text", "text_to_audio"),
    [([0, 1, 0], 1.5821113, 1.4322566), ([0, 1, 2], 0.5821113, 0.4322566)],
)
def test_directions_at_known_angles(labels: list[int], audio_to_text: float, text_to_audio: float) -> None:
    audio, text = (
        torch.tensor([[math.cos(math.radians(angle)), math.sin(math.radians(angle))] for angle in angles])
        for angles in ([0, 60, 120], [0, 90, 180])
    )
    found = torch.tensor(labels)
    assert contrast_across(audio, text, found, temperature=0.5).item() == pytest.approx(audio_to_text, abs=1e-6)
    assert contrast_across(text, audio, found, temperature=0.5).item() == pytest.approx(text_to_audio, abs=1e-6)
    forth, back = (cross_modal_contrast(*pair, found, temperature=0.5) for pair in ((audio, text), (text, audio)))
    torch.testing.assert_close(forth, back)


def test_the_contrast_of_modalities_equals_its_plain_twin_and_reads_only_who_takes_part() -> None:
    audio, text = vectors()
    labels, names = torch.tensor([3, 0, 3, -1, -1, 9, 0]), [3, 0, 3, None, None, 9, 0]
    for among in (None, ~MEMORY, torch.tensor([True, False, True, True, True, False, True])):
        chosen = [True] * 7 if among is None else among.tolist()
        expected = sum(plain.across(a, b, names, chosen, temperature=0.3) for a, b in ((audio, text), (text, audio)))
        found = cross_modal_contrast(audio, text, labels, temperature=0.3, among=among)
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
        if among is not None:
            absent = [torch.where(among[:, None], z, torch.nan) for z in (audio, text)]
            found = cross_modal_contrast(absent[0], absent[1], labels, temperature=0.3, among=among)
            torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    everyone = cross_modal_contrast(audio, text, labels)
    changed = torch.cat([audio[:6], -audio[6:]])
    assert not torch.isclose(cross_modal_contrast(changed, text, labels), everyone)


def test_gradcheck_of_the_contrast_of_modalities() -> None:
    given = [z.requires_grad_() for z in vectors(5)]
    labels, among = torch.tensor([1, 1, 2, 1, 4]), torch.tensor([True, True, True, False, True])
    assert torch.autograd.gradcheck(lambda a, t: cross_modal_contrast(a, t, labels, among=among), given)


def test_nobody_who_takes_part_costs_nothing() -> None:
    audio, text = (z.requires_grad_() for z in vectors())
    loss = cross_modal_contrast(audio, text, LABELS, among=torch.zeros(7, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0
    for z in (audio, text):
        assert z.grad is not None
        assert not z.grad.any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_modalities_in_half_precision_are_compared_in_single(dtype: torch.dtype) -> None:
    audio, text = (z.to(dtype) for z in vectors(dtype=torch.float32))
    found = cross_modal_contrast(audio, text, LABELS, temperature=0.01)
    assert found.dtype == torch.float32
    assert torch.equal(found, cross_modal_contrast(audio.float(), text.float(), LABELS, temperature=0.01))
