"""TS-TCC's temporal contrast: closed forms, the plain twin, gradients, invariances, edge cases."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.reference import ts_tcc as plain
from tswork.objectives.ts_tcc import Rivals, future_contrast

BOTH = pytest.mark.parametrize("among", ["futures", "predictions"])
VALID = [[True, True, True], [True, False, False], [True, True, False], [False, False, False]]


def pairs(batch: int = 4, steps: int = 3, dim: int = 5, *, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(batch)
    predicted, actual = torch.randn(2, batch, steps, dim, dtype=dtype, generator=generator)
    return predicted, actual


@BOTH
@pytest.mark.parametrize(("batch", "value"), [(2, 0.313262), (4, 0.743668)])
def test_predictions_that_are_right_among_orthogonal_ones(batch: int, value: float, among: Rivals) -> None:
    z = torch.eye(batch)[:, None].expand(-1, 3, -1)
    assert future_contrast(z, z, among=among).item() == pytest.approx(value, abs=1e-6)


@BOTH
def test_futures_that_are_all_alike_give_the_log_of_the_batch(among: Rivals) -> None:
    z = torch.randn(1, 3, 4).expand(7, -1, -1)
    assert future_contrast(z, z, among=among).item() == pytest.approx(math.log(7), abs=1e-6)


@BOTH
@pytest.mark.parametrize("valid", [None, VALID, [[True] * 3] * 4])
def test_it_equals_the_plain_twin(among: Rivals, valid: list[list[bool]] | None) -> None:
    predicted, actual = pairs()
    given = None if valid is None else torch.tensor(valid)
    found = future_contrast(predicted, actual, valid=given, among=among)
    expected = plain.future_contrast(predicted, actual, valid or [[True] * 3] * 4, among=among)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@BOTH
@pytest.mark.parametrize("valid", [None, VALID])
def test_gradcheck(among: Rivals, valid: list[list[bool]] | None) -> None:
    given = [z.requires_grad_() for z in pairs()]
    mask = None if valid is None else torch.tensor(valid)
    assert torch.autograd.gradcheck(lambda p, a: future_contrast(p, a, valid=mask, among=among), given)


def test_the_two_softmaxes_are_each_others_exchange() -> None:
    predicted, actual = pairs()
    loss = future_contrast(predicted, actual)
    torch.testing.assert_close(future_contrast(actual, predicted, among="predictions"), loss)
    assert not torch.isclose(future_contrast(predicted, actual, among="predictions"), loss)


@BOTH
def test_neither_the_order_of_sequences_nor_of_steps_matters(among: Rivals) -> None:
    predicted, actual = pairs()
    valid, order = torch.tensor(VALID), torch.tensor([2, 0, 3, 1])
    loss = future_contrast(predicted, actual, valid=valid, among=among)
    moved = future_contrast(predicted[order].flip(1), actual[order].flip(1), valid=valid[order].flip(1), among=among)
    torch.testing.assert_close(moved, loss)


@BOTH
def test_what_lies_behind_the_end_has_no_influence(among: Rivals) -> None:
    predicted, actual = pairs()
    valid = torch.tensor(VALID)
    spoiled = [torch.where(valid[..., None], z, 1e3).requires_grad_() for z in (predicted, actual)]
    loss = future_contrast(*spoiled, valid=valid, among=among)
    torch.testing.assert_close(loss, future_contrast(predicted, actual, valid=valid, among=among))
    for gradient in torch.autograd.grad(loss, spoiled):
        assert not gradient[~valid].any()
        assert gradient[valid].any()


@BOTH
@pytest.mark.parametrize("valid", [None, torch.tensor([[True] * 3])])
def test_one_sequence_has_no_loss(among: Rivals, valid: Tensor | None) -> None:
    predicted, actual = (z.requires_grad_() for z in pairs(1))
    loss = future_contrast(predicted, actual, valid=valid, among=among)
    assert loss.item() == 0
    assert not torch.autograd.grad(loss, predicted)[0].any()


def test_without_any_future_the_loss_is_0_and_has_a_gradient() -> None:
    predicted, actual = (z.requires_grad_() for z in pairs())
    loss = future_contrast(predicted, actual, valid=torch.zeros(4, 3, dtype=torch.bool))
    assert loss.item() == 0
    assert not torch.autograd.grad(loss, predicted)[0].any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_compared_in_single(dtype: torch.dtype) -> None:
    predicted, actual = (100 * z.to(dtype) for z in pairs(dtype=torch.float32))
    found = future_contrast(predicted, actual, valid=torch.tensor(VALID))
    assert found.dtype == torch.float32
    assert torch.isfinite(found)
    assert torch.equal(found, future_contrast(predicted.float(), actual.float(), valid=torch.tensor(VALID)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(future_contrast(predicted.float(), actual.float(), valid=torch.tensor(VALID)), found)
