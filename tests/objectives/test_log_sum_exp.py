"""Sums of log-sum-exps in tiles: against the whole matrix in float64, whatever the tiles, the sets and the mask."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tswork.objectives import log_sum_exp
from tswork.objectives.log_sum_exp import sum_of_log_sum_exp


def whole(z: Tensor, valid: Tensor | None = None) -> Tensor:
    """The matrix at once, without its diagonal and without what is not valid."""
    total = z.new_zeros(())
    for row, items in enumerate(z):
        chosen = items if valid is None else items[valid[row]]
        if len(chosen) > 1:
            others = ~torch.eye(len(chosen), dtype=torch.bool)
            total = total + (chosen @ chosen.T)[others].reshape(len(chosen), -1).logsumexp(dim=1).sum()
    return total


def items(sets: int, count: int, dim: int = 4, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(sets, count, dim, dtype=dtype, generator=torch.Generator().manual_seed(count))


@pytest.fixture(params=[(512, 2**24, 2**25), (4, 32, 2**20), (4, 2**24, 30), (3, 9, 0), (1, 1, 0)])
def tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of a tile, similarities together, similarities kept."""
    rows, together, kept = request.param
    monkeypatch.setitem(log_sum_exp.TILE, "cpu", rows)
    monkeypatch.setattr(log_sum_exp, "TOGETHER", together)
    monkeypatch.setattr(log_sum_exp, "KEPT", kept)


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize(("sets", "count"), [(1, 2), (3, 4), (2, 9), (5, 7)])
def test_any_tiles_give_the_value_and_the_gradient_of_the_whole_matrix(sets: int, count: int) -> None:
    z = items(sets, count).requires_grad_()
    found, expected = sum_of_log_sum_exp(z), whole(z)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    gradients = [torch.autograd.grad(total, z)[0] for total in (found, expected)]
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-10, atol=1e-12)


@pytest.mark.usefixtures("tiles")
def test_items_that_are_not_valid_are_neither_rows_nor_columns() -> None:
    z = items(4, 9).requires_grad_()
    valid = torch.rand(4, 9, generator=torch.Generator().manual_seed(1)) < 0.6
    valid[0], valid[1] = True, torch.arange(9) < 2
    found, expected = sum_of_log_sum_exp(z, valid), whole(z, valid)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    gradients = [torch.autograd.grad(total, z)[0] for total in (found, expected)]
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-10, atol=1e-12)
    assert not gradients[0][~valid].any()


@pytest.mark.usefixtures("tiles")
def test_gradcheck() -> None:
    assert torch.autograd.gradcheck(sum_of_log_sum_exp, items(2, 7, 3).requires_grad_())


@pytest.mark.usefixtures("tiles")
def test_the_upstream_gradient_scales_the_gradient() -> None:
    z = items(2, 5).requires_grad_()
    (once,) = torch.autograd.grad(sum_of_log_sum_exp(z), z)
    (thrice,) = torch.autograd.grad(3 * sum_of_log_sum_exp(z), z)
    torch.testing.assert_close(thrice, 3 * once)


@pytest.mark.usefixtures("tiles")
def test_extreme_similarities_stay_finite_and_right() -> None:
    z = 300 * items(2, 9, dtype=torch.float32)
    exact = whole(z.double())
    found = sum_of_log_sum_exp(z.requires_grad_())
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=0)
    assert torch.isfinite(torch.autograd.grad(found, z)[0]).all()


def test_equal_items_give_the_log_of_the_others_plus_their_similarity() -> None:
    z = torch.ones(1, 6, 3, dtype=torch.float64)
    expected = 6 * (torch.tensor(5.0, dtype=torch.float64).log() + 3)
    torch.testing.assert_close(sum_of_log_sum_exp(z), expected)


def test_many_items_in_single_precision_agree_with_double() -> None:
    z = items(2, 1100, 16, torch.float32)  # three rows of tiles as they are by default
    torch.testing.assert_close(sum_of_log_sum_exp(z).double(), whole(z.double()), rtol=1e-5, atol=0)


def test_items_are_left_alone_by_both_passes() -> None:
    z = items(2, 9).requires_grad_()
    before = z.detach().clone()
    sum_of_log_sum_exp(z).backward()
    assert torch.equal(z.detach(), before)
