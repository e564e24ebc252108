"""Mixing-up's loss: closed forms, the paper's form, gradients, invariances, edge cases."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.reference import mixing_up as plain
from tswork.objectives.info_nce import info_nce
from tswork.objectives.mixing_up import mixture_contrast

PARTNER = torch.tensor([2, 1, 4, 0, 3])
SHARE = torch.tensor([0.9, 0.2, 0.5, 1.0, 0.0], dtype=torch.float64)


def vectors(dim: int = 4, *, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    mixed, z = torch.randn(2, 5, dim, dtype=dtype, generator=torch.Generator().manual_seed(dim))
    return mixed, z


@pytest.mark.parametrize("temperature", [0.5, 0.1])
def test_it_is_the_papers_loss_less_the_log_of_two(temperature: float) -> None:
    """There every sequence is a candidate twice: as a first and as a second member."""
    mixed, z = (rows.requires_grad_() for rows in vectors())
    found = mixture_contrast(mixed, z, partner=PARTNER, share=SHARE, temperature=temperature)
    expected = plain.mixture_contrast(mixed, z, z[PARTNER], SHARE.tolist(), temperature=temperature)
    torch.testing.assert_close(found + math.log(2), expected, rtol=1e-10, atol=1e-10)
    for own, other in zip(
        torch.autograd.grad(found, [mixed, z]), torch.autograd.grad(expected, [mixed, z]), strict=True
    ):
        torch.testing.assert_close(own, other, rtol=1e-10, atol=1e-10)


def test_vectors_that_are_all_alike_give_the_log_of_the_batch() -> None:
    loss = mixture_contrast(torch.ones(5, 3), 3 * torch.ones(5, 3), partner=PARTNER, share=SHARE)
    assert loss.item() == pytest.approx(math.log(5), abs=1e-6)


def test_a_mixture_of_nothing_else_is_info_nce() -> None:
    mixed, z = vectors()
    expected = info_nce(mixed, z, temperature=0.5, symmetric=False)
    alone = torch.ones(5, dtype=torch.float64)
    torch.testing.assert_close(mixture_contrast(mixed, z, partner=PARTNER, share=alone), expected)
    torch.testing.assert_close(mixture_contrast(mixed, z, partner=torch.arange(5), share=SHARE), expected)


def test_the_loss_is_least_where_the_similarities_say_the_shares() -> None:
    """The softmax of similarities that are logs of the shares is the shares themselves."""
    z = torch.eye(2, dtype=torch.float64)
    partner, losses = torch.tensor([1, 0]), {}
    for share in (0.6, 0.7, 0.8):
        anchor = torch.tensor([share, 1 - share], dtype=torch.float64).log()
        # A third dimension, in which no candidate lies, makes the anchor of unit length after the temperature.
        length = 5.0
        side = torch.stack([anchor, anchor.flip(0)]) / length
        rest = (1 - side.square().sum(dim=1, keepdim=True)).sqrt()
        mixed = torch.cat([side, rest], dim=1)
        candidates = torch.cat([z, torch.zeros(2, 1, dtype=torch.float64)], dim=1)
        loss = mixture_contrast(mixed, candidates, partner=partner, share=torch.full((2,), 0.7), temperature=1 / length)
        losses[share] = loss.item()
    assert losses[0.7] == pytest.approx(-0.7 * math.log(0.7) - 0.3 * math.log(0.3), abs=1e-6)
    assert losses[0.7] < min(losses[0.6], losses[0.8])


def test_gradcheck() -> None:
    given = [rows.requires_grad_() for rows in vectors()]
    assert torch.autograd.gradcheck(lambda m, z: mixture_contrast(m, z, partner=PARTNER, share=SHARE), given)


def test_neither_order_nor_length_nor_who_is_named_first_matters() -> None:
    mixed, z = vectors()
    loss = mixture_contrast(mixed, z, partner=PARTNER, share=SHARE)
    order = torch.tensor([3, 0, 4, 1, 2])
    place = order.argsort()
    moved = mixture_contrast(2 * mixed[order], 0.3 * z[order], partner=place[PARTNER[order]], share=SHARE[order])
    torch.testing.assert_close(moved, loss)
    # Row i seen from its partner: the rows of `mixed` stand where their second members do.
    back = PARTNER.argsort()
    torch.testing.assert_close(mixture_contrast(mixed[back], z, partner=back, share=1 - SHARE[back]), loss)


def test_one_sequence_has_no_loss_and_no_gradient() -> None:
    mixed, z = (rows[:1].clone().requires_grad_() for rows in vectors())
    loss = mixture_contrast(mixed, z, partner=torch.zeros(1, dtype=torch.int64), share=torch.tensor([0.3]))
    assert loss.item() == 0
    assert not torch.autograd.grad(loss, mixed)[0].any()


def test_a_vector_of_zeros_spoils_nothing() -> None:
    mixed, z = vectors()
    mixed[1] = 0
    loss = mixture_contrast(mixed.requires_grad_(), z, partner=PARTNER, share=SHARE)
    assert torch.isfinite(loss)
    assert torch.isfinite(torch.autograd.grad(loss, mixed)[0]).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_compared_in_single(dtype: torch.dtype) -> None:
    mixed, z = (rows.to(dtype) for rows in vectors(dtype=torch.float32))
    options = {"partner": PARTNER, "share": SHARE.float(), "temperature": 0.05}
    found = mixture_contrast(mixed, z, **options)  # type: ignore[arg-type]
    assert found.dtype == torch.float32
    assert torch.equal(found, mixture_contrast(mixed.float(), z.float(), **options))  # type: ignore[arg-type]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(mixture_contrast(mixed.float(), z.float(), **options), found)  # type: ignore[arg-type]
