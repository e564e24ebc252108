"""A mixture of augmentations: the plain weighted mean, its gradient, and what it leaves as it is."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.reference import infots as plain
from tswork.augment.base import Augmentation, View
from tswork.augment.mixture import Mixture
from tswork.config import configure

BLOCKS: list[Any] = [{"uses": "subsequence", "elsewhere": "zero"}, "jitter", "time_warp", "window_slice"]


def members(blocks: list[Any]) -> list[Augmentation[Any]]:
    return [configure("view", block).build() for block in blocks]


def mixture(blocks: list[Any] | None = None, *, probability: float = 0.7, logits: list[float] | None = None) -> Mixture:
    mixed = Mixture(members(BLOCKS if blocks is None else blocks), probability=probability)
    if logits is not None:
        mixed.logits.data = torch.tensor(logits)
    return mixed


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(*, missing: float = 0.1, dtype: torch.dtype = torch.float32) -> View:
    lengths = torch.tensor([20, 20, 13, 5, 1])
    x = torch.randn(5, 20, 2, generator=generator(3)).to(dtype)
    x[torch.rand(x.shape, generator=generator(4)) < missing] = torch.nan
    return View(torch.where((torch.arange(20) < lengths[:, None])[..., None], x, 0.0), lengths)


def parts(blocks: list[Any], view: View, *, probability: float) -> tuple[list[Tensor], list[list[bool]]]:
    """What the augmentations make of a view, and to which sequences each is applied: the draws of a mixture, in its order."""
    draw = generator()
    applied = torch.rand((len(blocks), len(view.x), 1, 1), generator=draw) < probability
    return [member(view, generator=draw).x for member in members(blocks)], applied.flatten(1).tolist()


def test_a_mixture_is_the_weighted_mean_value_by_value() -> None:
    view, logits = batch(), [0.3, -1.0, 0.0, 0.7]
    views, applied = parts(BLOCKS, view, probability=0.5)
    weights = [math.exp(logit) / sum(map(math.exp, logits)) for logit in logits]
    expected = plain.mixture(view.x, views, weights, applied)
    found = mixture(probability=0.5, logits=logits)(view, generator=generator())
    torch.testing.assert_close(found.x, expected, rtol=1e-5, atol=1e-6, equal_nan=True)
    assert torch.equal(found.x.isnan(), view.x.isnan())
    assert torch.equal(found.lengths, view.lengths)


def test_the_gradient_of_the_weights_is_a_number_and_that_of_the_plain_mean() -> None:
    view = batch()
    mixed = mixture(probability=1.0, logits=[0.3, -1.0, 0.0, 0.7])
    found = mixed(view, generator=generator()).x
    # As an encoder does: missing steps are left out.
    torch.where(found.isnan(), 0.0, found).square().sum().backward()
    views, _ = parts(BLOCKS, view, probability=1.0)
    logits = mixed.logits.detach().clone().requires_grad_()
    stacked = torch.stack([torch.where(one.isnan(), view.x, one) for one in views]).nan_to_num(0.0)
    weighted = (logits.softmax(dim=0)[:, None, None, None] * stacked).sum(dim=0)
    weighted.masked_fill(view.x.isnan(), 0.0).square().sum().backward()
    assert mixed.logits.grad is not None
    assert mixed.logits.grad.abs().min() > 0
    torch.testing.assert_close(mixed.logits.grad, logits.grad, rtol=1e-4, atol=1e-5)


def test_all_weights_are_equal_at_first_and_sum_to_one() -> None:
    assert torch.equal(mixture().weights, torch.full((4,), 0.25))
    assert mixture(logits=[2.0, -1.0, 0.0, 3.0]).weights.sum().item() == pytest.approx(1)


def test_what_is_never_applied_leaves_the_batch_as_it_is() -> None:
    view = batch()
    found = mixture(probability=0.0)(view, generator=generator())
    torch.testing.assert_close(found.x, view.x, rtol=1e-6, atol=1e-6, equal_nan=True)


def test_each_augmentation_is_applied_to_its_share_of_sequences_independently() -> None:
    """Two that set everything to zero: a sequence keeps the weight of those that are not applied to it."""
    view = View(torch.ones(4000, 3, 1), torch.full((4000,), 3))
    blank = {"uses": "cutout", "share": 1.0}
    left = mixture([blank, blank], probability=0.7)(view, generator=generator()).x[:, 0, 0]
    shares = {value: (left == value).double().mean().item() for value in (0.0, 0.5, 1.0)}
    assert shares == pytest.approx({0.0: 0.49, 0.5: 0.42, 1.0: 0.09}, abs=0.03)


def test_padding_stays_zero_and_equal_generators_give_equal_mixtures() -> None:
    view = batch()
    first, again, other = (mixture()(view, generator=generator(seed)).x for seed in (1, 1, 2))
    torch.testing.assert_close(first, again, rtol=0, atol=0, equal_nan=True)
    assert not torch.equal(first.nan_to_num(0.0), other.nan_to_num(0.0))
    assert not first[torch.arange(20) >= view.lengths[:, None]].any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_the_type_of_values_is_kept(dtype: torch.dtype) -> None:
    assert mixture()(batch(dtype=dtype), generator=generator()).x.dtype == dtype


def test_a_step_is_hidden_where_an_applied_augmentation_hides_it() -> None:
    view = View(torch.ones(200, 4, 1), torch.full((200,), 4))
    hide = {"uses": "mask", "mask": "last"}
    found = mixture(["identity", hide], probability=0.5)(view, generator=generator())
    assert found.keep is not None
    assert found.keep[:, :3].all()
    assert found.keep[:, 3].double().mean().item() == pytest.approx(0.5, abs=0.1)
    assert mixture(["identity"])(view, generator=generator()).keep is None
    given = View(view.x, view.lengths, torch.tensor([False, True, True, True]).repeat(200, 1))
    both = mixture(["identity", hide])(given, generator=generator()).keep
    assert both is not None
    assert not both[:, 0].any()


def test_a_mixture_does_not_wait_for_the_device() -> None:
    """Fake tensors have no values: whoever asks for one raises."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    mixture()(batch(), generator=generator())  # constants are computed once, outside
    with FakeTensorMode(allow_non_fake_inputs=True):
        found = mixture()(View(torch.randn(6, 20, 3), torch.full((6,), 15)), generator=generator())
        assert found.x.shape == (6, 20, 3)
