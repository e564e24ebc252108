"""The hierarchical contrastive loss: closed forms, the plain twins, gradients, invariances, unequal lengths, tiles."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.reference import ts2vec as plain
from tswork.config import configure
from tswork.objectives import log_sum_exp
from tswork.objectives.ts2vec import hierarchical_contrast, instance_contrast, temporal_contrast


def views(batch: int, time: int, dim: int = 5, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(batch * 100 + time)
    z1, z2 = torch.randn(2, batch, time, dim, dtype=dtype, generator=generator)
    return z1, z2


@pytest.fixture(params=["one tile", "kept tiles", "some kept", "tiles anew"])
def tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every way in which the matrix may be cut."""
    if request.param != "one tile":
        monkeypatch.setitem(log_sum_exp.TILE, "cpu", 4)
        monkeypatch.setattr(log_sum_exp, "TOGETHER", 32)
        kept = {"kept tiles": 2**20, "some kept": 70, "tiles anew": 0}[request.param]
        monkeypatch.setattr(log_sum_exp, "KEPT", kept)


@pytest.mark.parametrize("batch", [2, 4])
def test_instance_loss_of_constant_embeddings_is_the_log_of_its_classes(batch: int) -> None:
    z = torch.ones(batch, 3, 5)
    assert instance_contrast(z, z).item() == pytest.approx(math.log(2 * batch - 1), abs=1e-6)


def test_temporal_loss_of_constant_embeddings_is_the_log_of_its_classes() -> None:
    z = torch.ones(3, 8, 5)
    assert temporal_contrast(z, z).item() == pytest.approx(2.708050, abs=1e-6)


def test_one_series_has_no_instance_loss_and_one_step_no_temporal_loss() -> None:
    assert instance_contrast(torch.randn(1, 6, 3), torch.randn(1, 6, 3)) == 0
    assert temporal_contrast(torch.randn(4, 1, 3), torch.randn(4, 1, 3)) == 0


@pytest.mark.parametrize(("batch", "time", "value"), [(4, 8, 1.692027), (2, 3, 0.951666), (1, 16, 0.918656)])
def test_hierarchical_loss_of_constant_embeddings(batch: int, time: int, value: float) -> None:
    z = torch.ones(batch, time, 5)
    assert hierarchical_contrast(z, z).item() == pytest.approx(value, abs=1e-6)


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize(("batch", "time"), [(1, 1), (1, 7), (4, 1), (3, 6), (2, 16), (5, 9)])
@pytest.mark.parametrize(("alpha", "temporal_unit"), [(0.5, 0), (0.0, 0), (1.0, 0), (0.3, 2)])
def test_the_fast_form_equals_the_plain_one(batch: int, time: int, alpha: float, temporal_unit: int) -> None:
    z1, z2 = views(batch, time)
    fast = hierarchical_contrast(z1, z2, alpha=alpha, temporal_unit=temporal_unit)
    slow = plain.hierarchical_contrast(z1, z2, alpha=alpha, temporal_unit=temporal_unit)
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-10)


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize("lengths", [None, (9, 4, 1, 6)])
def test_gradients_equal_those_of_the_plain_form(lengths: tuple[int, ...] | None) -> None:
    z1, z2 = (z.requires_grad_() for z in views(4, 9))
    given = None if lengths is None else torch.tensor(lengths)
    fast = torch.autograd.grad(hierarchical_contrast(z1, z2, lengths=given), [z1, z2])
    slow = torch.autograd.grad(plain.hierarchical_contrast(z1, z2, lengths=lengths), [z1, z2])
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("batch", "time"), [(2, 300), (5, 67)])
def test_the_published_structure_gives_the_same_in_single_precision(batch: int, time: int) -> None:
    z1, z2 = (z.requires_grad_() for z in views(batch, time, 16, torch.float32))
    fast, slow = hierarchical_contrast(z1, z2), plain.published_hierarchical_contrast(z1, z2)
    torch.testing.assert_close(fast, slow, rtol=1e-5, atol=0)
    gradients = [torch.autograd.grad(loss, [z1, z2]) for loss in (fast, slow)]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()))


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize("lengths", [None, (3, 1, 2)])
def test_gradcheck(lengths: tuple[int, ...] | None) -> None:
    z1, z2 = (z.requires_grad_() for z in views(3, 3, 2))
    given = None if lengths is None else torch.tensor(lengths)
    assert torch.autograd.gradcheck(lambda a, b: hierarchical_contrast(a, b, lengths=given), (z1, z2))


@pytest.mark.parametrize("lengths", [(9, 9, 9), (9, 5, 2), (1, 9, 1)])
def test_padding_neither_enters_the_loss_nor_receives_a_gradient(lengths: tuple[int, ...]) -> None:
    z1, z2 = views(3, 9)
    given = torch.tensor(lengths)
    padding = torch.arange(9) >= given[:, None]
    spoilt = [torch.where(padding[..., None], 1e3, z).requires_grad_() for z in (z1, z2)]
    loss = hierarchical_contrast(spoilt[0], spoilt[1], lengths=given)
    torch.testing.assert_close(loss, plain.hierarchical_contrast(z1, z2, lengths=lengths), rtol=1e-10, atol=1e-10)
    for gradient in torch.autograd.grad(loss, spoilt):
        assert not gradient[padding].any()
        assert gradient[~padding].any()


def test_full_lengths_are_no_lengths() -> None:
    z1, z2 = views(3, 7)
    for loss in (instance_contrast, temporal_contrast, hierarchical_contrast):
        torch.testing.assert_close(loss(z1, z2, lengths=torch.full((3,), 7)), loss(z1, z2), rtol=1e-12, atol=1e-12)


def test_the_order_of_series_and_of_views_does_not_matter() -> None:
    z1, z2 = views(4, 8)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(hierarchical_contrast(z1, z2), hierarchical_contrast(z1[order], z2[order]))
    torch.testing.assert_close(hierarchical_contrast(z1, z2), hierarchical_contrast(z2, z1))


def test_an_orthogonal_map_of_the_embeddings_does_not_matter() -> None:
    z1, z2 = views(4, 8)
    turn = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64)).Q
    torch.testing.assert_close(temporal_contrast(z1 @ turn, z2 @ turn), temporal_contrast(z1, z2))
    torch.testing.assert_close(instance_contrast(z1 @ turn, z2 @ turn), instance_contrast(z1, z2))


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
    z1, z2 = (z.to(dtype) for z in views(4, 16, dtype=torch.float32))
    half = hierarchical_contrast(z1.requires_grad_(), z2)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, hierarchical_contrast(z1.float(), z2.float()))
    assert torch.autograd.grad(half, z1)[0].dtype == dtype


def test_autocast_does_not_reach_the_similarities() -> None:
    z1, z2 = (30 * z for z in views(4, 16, dtype=torch.float32))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = hierarchical_contrast(z1, z2)
    assert torch.equal(cast, hierarchical_contrast(z1, z2))


def test_without_gradients_nothing_is_computed_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    z1, z2 = views(2, 6)
    monkeypatch.delattr(log_sum_exp._Tiles, "gradient")
    hierarchical_contrast(z1, z2)
    with torch.no_grad():
        hierarchical_contrast(z1.requires_grad_(), z2)
    with pytest.raises(AttributeError):
        hierarchical_contrast(z1, z2)


def test_only_a_gradient_of_the_size_of_the_embeddings_is_kept() -> None:
    z1, z2 = (z.requires_grad_() for z in views(2, 64, 3))
    kept: list[int] = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        hierarchical_contrast(z1, z2)
    assert max(kept) == 2 * z1.numel()


def test_a_loss_without_contrast_is_zero_and_differentiable() -> None:
    z1, z2 = (z.requires_grad_() for z in views(1, 1))
    loss = hierarchical_contrast(z1, z2)
    loss.backward()
    assert loss == 0
    assert z1.grad is not None
    assert not z1.grad.any()


def test_it_is_an_objective_of_frames() -> None:
    z1, z2 = views(3, 6)
    objective = configure("objective", {"uses": "ts2vec", "alpha": 0.2}).build()
    assert objective.level == "frame"
    lengths = torch.tensor([6, 2, 4])
    found = objective(z1, z2, lengths=lengths)
    torch.testing.assert_close(found, hierarchical_contrast(z1, z2, alpha=0.2, lengths=lengths))
