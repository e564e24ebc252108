"""The hierarchical contrastive loss: closed forms, the plain twin, gradients, invariances, memory-bounded form."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.reference import ts2vec as plain
from tswork.objectives import ts2vec
from tswork.objectives.ts2vec import hierarchical_contrast, instance_contrast, temporal_contrast


def views(batch: int, time: int, dim: int = 5, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(batch * 100 + time)
    return torch.randn(batch, time, dim, dtype=dtype, generator=generator), torch.randn(
        batch, time, dim, dtype=dtype, generator=generator
    )


@pytest.mark.parametrize("batch", [2, 4])
def test_instance_loss_of_constant_embeddings_is_the_log_of_its_classes(batch: int) -> None:
    z = torch.ones(batch, 3, 5)
    assert instance_contrast(z, z).item() == pytest.approx(math.log(2 * batch - 1), abs=1e-6)


def test_temporal_loss_of_constant_embeddings_is_the_log_of_its_classes() -> None:
    z = torch.ones(3, 8, 5)
    assert temporal_contrast(z, z).item() == pytest.approx(2.708050, abs=1e-6)


@pytest.mark.parametrize(("batch", "time", "value"), [(4, 8, 1.692027), (2, 3, 0.951666), (1, 16, 0.918656)])
def test_hierarchical_loss_of_constant_embeddings(batch: int, time: int, value: float) -> None:
    z = torch.ones(batch, time, 5)
    assert hierarchical_contrast(z, z).item() == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(("batch", "time"), [(1, 1), (1, 7), (4, 1), (3, 6), (2, 16), (5, 9)])
@pytest.mark.parametrize(("alpha", "temporal_unit"), [(0.5, 0), (0.0, 0), (1.0, 0), (0.3, 2)])
def test_the_fast_form_equals_the_plain_one(batch: int, time: int, alpha: float, temporal_unit: int) -> None:
    z1, z2 = views(batch, time)
    fast = hierarchical_contrast(z1, z2, alpha=alpha, temporal_unit=temporal_unit)
    slow = plain.hierarchical_contrast(z1, z2, alpha=alpha, temporal_unit=temporal_unit)
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("block", [2**25, 40])
def test_gradients_equal_those_of_the_plain_form(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ts2vec, "BLOCK", block)  # 40 forces the form that recomputes rows in chunks
    z1, z2 = (z.requires_grad_() for z in views(3, 9))
    fast = torch.autograd.grad(hierarchical_contrast(z1, z2), [z1, z2])
    slow = torch.autograd.grad(plain.hierarchical_contrast(z1, z2), [z1, z2])
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("block", [2**25, 40])
def test_gradcheck(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ts2vec, "BLOCK", block)
    z1, z2 = (z.requires_grad_() for z in views(3, 5, 3))
    assert torch.autograd.gradcheck(lambda a, b: hierarchical_contrast(a, b), (z1, z2))


def test_the_order_of_series_and_of_views_does_not_matter() -> None:
    z1, z2 = views(4, 8)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(hierarchical_contrast(z1, z2), hierarchical_contrast(z1[order], z2[order]))
    torch.testing.assert_close(hierarchical_contrast(z1, z2), hierarchical_contrast(z2, z1))


def test_alike_views_are_better_than_unlike_ones() -> None:
    z1, z2 = views(4, 16)
    assert hierarchical_contrast(3 * z1, 3 * z1) < hierarchical_contrast(3 * z1, 3 * z2)


def test_large_similarities_stay_finite() -> None:
    z1, z2 = views(3, 8, dtype=torch.float32)
    loss = hierarchical_contrast(100 * z1.requires_grad_(), 100 * z2)
    loss.backward()
    assert torch.isfinite(loss)
    assert z1.grad is not None
    assert torch.isfinite(z1.grad).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_summed_in_single(dtype: torch.dtype) -> None:
    z1, z2 = views(4, 16, dtype=torch.float32)
    half = hierarchical_contrast(z1.to(dtype), z2.to(dtype))
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, hierarchical_contrast(z1.to(dtype).float(), z2.to(dtype).float()))


def test_a_loss_without_contrast_is_zero_and_differentiable() -> None:
    z1, z2 = (z.requires_grad_() for z in views(1, 1))
    loss = hierarchical_contrast(z1, z2)
    loss.backward()
    assert loss == 0
    assert z1.grad is not None
    assert not z1.grad.any()
