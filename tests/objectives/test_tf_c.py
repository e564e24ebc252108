"""TF-C's consistency: closed forms, the plain twin, gradients, invariances, edge cases."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.reference import info_nce as plain_info_nce
from tests.reference import tf_c as plain
from tswork.objectives.tf_c import consistency


def vectors(batch: int = 5, dim: int = 4, *, dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
    return torch.randn(4, batch, dim, dtype=dtype, generator=torch.Generator().manual_seed(batch)).unbind()


def test_pairs_that_are_all_equally_close_leave_the_margins() -> None:
    z = torch.randn(6, 3)
    assert consistency(z, z, z, z).item() == pytest.approx(3, abs=1e-5)


def test_time_and_frequency_that_agree_while_changed_views_are_alike_for_all() -> None:
    """S = log(1 + 2 (B - 1) exp(-1/t)) of the agreeing pair against pairs in which one side tells nothing."""
    z, nothing = torch.eye(4, dtype=torch.float64), torch.zeros(4, 4, dtype=torch.float64)
    together = math.log(1 + 6 * math.exp(-1 / 0.2))
    blind = math.log(7)  # both sides of the pair without direction
    half = plain_info_nce.info_nce(z, nothing, temperature=0.2, among="both").item()
    expected = 3 * together - 2 * half - blind + 3
    assert consistency(z, z, nothing, nothing).item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize("temperature", [0.2, 0.7])
def test_it_equals_the_plain_twin(batch: int, temperature: float) -> None:
    given = vectors(batch)
    found, expected = consistency(*given, temperature=temperature), plain.consistency(*given, temperature=temperature)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_gradcheck() -> None:
    given = [z.requires_grad_() for z in vectors(3)]
    assert torch.autograd.gradcheck(lambda *z: consistency(*z, temperature=0.5), given)


def test_neither_order_nor_length_nor_exchange_of_time_and_frequency_matters() -> None:
    t, f, changed_t, changed_f = vectors()
    order = torch.tensor([3, 0, 4, 1, 2])
    loss = consistency(t, f, changed_t, changed_f)
    moved = consistency(2 * t[order], f[order], 3 * changed_t[order], 0.1 * changed_f[order])
    torch.testing.assert_close(moved, loss)
    torch.testing.assert_close(consistency(f, t, changed_f, changed_t), loss)


def test_one_sequence_has_only_the_margins_and_no_gradient() -> None:
    given = [z.requires_grad_() for z in vectors(1)]
    loss = consistency(*given)
    assert loss.item() == pytest.approx(3, abs=1e-9)
    assert all(gradient.abs().max() < 1e-12 for gradient in torch.autograd.grad(loss, given))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_compared_in_single(dtype: torch.dtype) -> None:
    given = [z.to(dtype) for z in vectors(dtype=torch.float32)]
    found = consistency(*given, temperature=0.05)
    assert found.dtype == torch.float32
    assert torch.equal(found, consistency(*(z.float() for z in given), temperature=0.05))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(consistency(*(z.float() for z in given), temperature=0.05), found)
