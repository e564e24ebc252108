"""InfoNCE: closed forms, the plain twin, gradients, invariances, edge cases."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.reference import info_nce as plain
from tswork.config import configure
from tswork.objectives.info_nce import Among, info_nce

OPTIONS: list[dict[str, Any]] = [
    {"normalise": normalise, "symmetric": symmetric, "among": among}
    for normalise, symmetric, among in itertools.product((True, False), (True, False), ("other", "both"))
]
ALL = pytest.mark.parametrize(
    "options", OPTIONS, ids=lambda options: "-".join(str(value) for value in options.values())
)


def views(batch: int, dim: int = 5, *, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """Two views and three further negatives."""
    generator = torch.Generator().manual_seed(batch)
    z1, z2 = torch.randn(2, batch, dim, dtype=dtype, generator=generator)
    return z1, z2, torch.randn(3, dim, dtype=dtype, generator=generator)


@pytest.mark.parametrize(("batch", "value"), [(2, 0.313262), (4, 0.743668)])
def test_orthonormal_views_that_agree(batch: int, value: float) -> None:
    z = torch.eye(batch)
    for symmetric in (True, False):
        assert info_nce(z, z, temperature=1.0, symmetric=symmetric).item() == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(("batch", "value"), [(1, 0.0), (2, 0.693147), (5, 1.609438), (32, 3.465736)])
def test_embeddings_that_are_all_parallel_give_the_log_of_the_classes(batch: int, value: float) -> None:
    z = torch.ones(batch, 7) * torch.arange(1.0, batch + 1)[:, None]
    for temperature in (1.0, 0.07):
        assert info_nce(z, 2 * z, temperature=temperature).item() == pytest.approx(value, abs=1e-5)


def test_both_views_as_candidates_give_twice_as_many_classes() -> None:
    z = torch.ones(4, 3)
    assert info_nce(z, z, among="both").item() == pytest.approx(math.log(7), abs=1e-6)
    assert info_nce(z, z, negatives=torch.ones(5, 3)).item() == pytest.approx(math.log(9), abs=1e-6)
    assert info_nce(z, z, among="both", negatives=torch.ones(5, 3)).item() == pytest.approx(math.log(12), abs=1e-6)


@ALL
@pytest.mark.parametrize("batch", [1, 2, 6])
@pytest.mark.parametrize("queue", [False, True])
def test_it_equals_the_plain_twin(options: dict[str, Any], batch: int, queue: bool) -> None:
    z1, z2, further = views(batch)
    given = {**options, "temperature": 0.3, "negatives": further if queue else None}
    torch.testing.assert_close(info_nce(z1, z2, **given), plain.info_nce(z1, z2, **given), rtol=1e-10, atol=1e-10)


@ALL
@pytest.mark.parametrize("queue", [False, True])
def test_gradcheck(options: dict[str, Any], queue: bool) -> None:
    z1, z2, further = (z.requires_grad_() for z in views(3, 4))
    given = [z1, z2, further] if queue else [z1, z2]

    def loss(*z: Tensor) -> Tensor:
        return info_nce(z[0], z[1], temperature=0.5, negatives=z[2] if queue else None, **options)

    assert torch.autograd.gradcheck(loss, given)


def test_positive_factors_do_not_matter_where_directions_are_compared() -> None:
    z1, z2, further = views(5)
    loss = info_nce(z1, z2, negatives=further)
    factors = torch.rand(5, 1, dtype=torch.float64) + 0.1
    torch.testing.assert_close(info_nce(3 * z1, factors * z2, negatives=0.2 * further), loss)
    assert not torch.isclose(info_nce(3 * z1, z2, normalise=False), info_nce(z1, z2, normalise=False))


def test_one_direction_is_not_symmetric_and_both_are() -> None:
    z1, z2, _ = views(5)
    assert not torch.isclose(info_nce(z1, z2, symmetric=False), info_nce(z2, z1, symmetric=False))
    torch.testing.assert_close(info_nce(z1, z2), info_nce(z2, z1))
    halves = (info_nce(z1, z2, symmetric=False) + info_nce(z2, z1, symmetric=False)) / 2
    torch.testing.assert_close(info_nce(z1, z2), halves)


@ALL
def test_the_order_of_sequences_and_of_the_queue_does_not_matter(options: dict[str, Any]) -> None:
    z1, z2, further = views(6)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    loss = info_nce(z1, z2, negatives=further, **options)
    torch.testing.assert_close(info_nce(z1[order], z2[order], negatives=further.flip(0), **options), loss)


@ALL
def test_a_rotation_of_the_embeddings_does_not_matter(options: dict[str, Any]) -> None:
    z1, z2, further = views(6)
    turn = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64)).Q
    turned = info_nce(z1 @ turn, z2 @ turn, negatives=further @ turn, **options)
    torch.testing.assert_close(turned, info_nce(z1, z2, negatives=further, **options))


@pytest.mark.parametrize("among", ["other", "both"])
def test_one_sequence_without_negatives_has_no_loss_and_no_gradient(among: Among) -> None:
    z1, z2, _ = (z.requires_grad_() for z in views(1))
    loss = info_nce(z1, z2, among=among)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-12)
    for z in (z1, z2):
        assert z.grad is not None
        assert z.grad.abs().max() < 1e-12


def test_one_sequence_has_the_queue_to_differ_from() -> None:
    z1, z2, further = views(1)
    assert info_nce(z1, z2, negatives=further) > 0


def test_an_empty_queue_is_no_queue() -> None:
    z1, z2, further = views(4)
    assert torch.equal(info_nce(z1, z2, negatives=further[:0]), info_nce(z1, z2))


def test_an_embedding_of_zeros_spoils_nothing() -> None:
    z1, z2, _ = views(3)
    z1[1] = 0
    loss = info_nce(z1.requires_grad_(), z2)
    loss.backward()
    assert torch.isfinite(loss)
    assert z1.grad is not None
    assert torch.isfinite(z1.grad).all()


def test_a_small_temperature_overflows_nothing() -> None:
    z1, z2, _ = views(4, dtype=torch.float32)
    loss = info_nce(1e4 * z1.requires_grad_(), z2, temperature=1e-3, normalise=False)
    loss.backward()
    assert torch.isfinite(loss)
    assert z1.grad is not None
    assert torch.isfinite(z1.grad).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_compared_in_single(dtype: torch.dtype) -> None:
    z1, z2, further = (z.to(dtype) for z in views(6, dtype=torch.float32))
    loss = info_nce(z1.requires_grad_(), z2, negatives=further)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, info_nce(z1.float(), z2.float(), negatives=further.float()))
    assert torch.autograd.grad(loss, z1)[0].dtype == dtype


def test_autocast_does_not_reach_the_similarities() -> None:
    z1, z2, further = views(6, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = info_nce(z1, z2, negatives=further)
    assert torch.equal(cast, info_nce(z1, z2, negatives=further))


def test_it_is_an_objective_of_sequences_that_takes_a_queue() -> None:
    z1, z2, further = views(4)
    options = {"temperature": 0.2, "symmetric": False, "among": "both", "normalise": False}
    objective = configure("objective", {"uses": "info_nce", **options}).build()
    assert (objective.level, objective.takes_queue, objective.needs_labels) == ("sequence", True, False)
    found = objective(z1, z2, negatives=further)
    assert torch.equal(found, info_nce(z1, z2, negatives=further, **options))  # type: ignore[arg-type]
