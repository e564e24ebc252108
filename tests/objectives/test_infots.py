"""The bounds of InfoTS: closed forms, the plain twin, gradients, invariances, edge cases."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.reference import infots as plain
from tswork.objectives.info_nce import info_nce
from tswork.objectives.infots import leave_one_out


def views(batch: int, *, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    z_v, z_x = torch.randn(2, batch, 5, dtype=dtype, generator=torch.Generator().manual_seed(batch))
    return z_v, z_x


@pytest.mark.parametrize("temperature", [1.0, 0.2])
def test_a_view_that_is_its_series_tells_as_much_as_the_series_differ(temperature: float) -> None:
    z = torch.eye(4)
    assert leave_one_out(z, z, temperature=temperature).item() == pytest.approx(1 / temperature, abs=1e-6)


def test_series_that_are_all_alike_tell_nothing() -> None:
    assert leave_one_out(torch.ones(6, 3), torch.ones(6, 3)).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("batch", [2, 3, 7])
@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_it_equals_the_plain_twin(batch: int, temperature: float) -> None:
    z_v, z_x = views(batch)
    found, expected = (bound(z_v, z_x, temperature=temperature) for bound in (leave_one_out, plain.leave_one_out))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_it_lies_above_the_bound_from_below() -> None:
    """InfoNCE bounds the same information from below: log(batch) less the cross entropy. So for views near their series."""
    for batch in (2, 5, 9):
        noise, z_x = views(batch)
        z_v = z_x + 0.3 * noise
        below = math.log(batch) - info_nce(z_v, z_x, temperature=1.0, symmetric=False)
        assert leave_one_out(z_v, z_x) >= below


def test_its_gradient_is_right() -> None:
    z_v, z_x = (z.requires_grad_() for z in views(4))
    assert torch.autograd.gradcheck(lambda a, b: leave_one_out(a, b, temperature=0.5), (z_v, z_x))


def test_the_order_and_the_size_of_vectors_do_not_matter_but_who_is_the_view_does() -> None:
    z_v, z_x = views(6)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    value = leave_one_out(z_v, z_x)
    torch.testing.assert_close(leave_one_out(z_v[order], z_x[order]), value)
    torch.testing.assert_close(leave_one_out(3 * z_v, 0.1 * z_x), value)
    assert not torch.isclose(leave_one_out(z_x, z_v), value)


def test_a_batch_of_one_tells_nothing_and_has_a_gradient() -> None:
    z_v, z_x = (z.requires_grad_() for z in views(1))
    bound = leave_one_out(z_v, z_x)
    bound.backward()
    assert bound.item() == 0
    assert z_v.grad is not None
    assert not z_v.grad.any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_summed_in_single(dtype: torch.dtype) -> None:
    z_v, z_x = (z.to(dtype) for z in views(8, dtype=torch.float32))
    found = leave_one_out(z_v, z_x, temperature=0.1)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, leave_one_out(z_v.float(), z_x.float(), temperature=0.1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(leave_one_out(z_v.float(), z_x.float(), temperature=0.1), found)
