"""The learned view: gates with the distribution that their formulas give, and what every view keeps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tswork.augment.parametric import ParametricAugmentation, ParametricView, Variant, sample_gate
from tswork.config import configure
from tswork.data.collection import DataInfo
from tswork.encoders.base import Encoder
from tswork.errors import ModelUnfit

BOTH: tuple[Variant, ...] = ("paper", "reference")
TRUNK: dict[str, Any] = {"uses": "dilated_conv", "dim": 4, "hidden": 6, "depth": 2, "dropout": 0.0}
INFO = DataInfo(("hour", "load", "heat"), targets=("load", "heat"))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def trunk(info: DataInfo = INFO, **options: Any) -> Encoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder: Encoder = configure("encoder", {**TRUNK, **options}).build(info)
    return encoder


def augmentation(info: DataInfo = INFO, **options: Any) -> ParametricAugmentation:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return ParametricAugmentation(trunk(info), info, **options)


def series(batch: int = 4, time: int = 12, channels: int = 3) -> Tensor:
    return torch.randn(batch, time, channels, generator=generator(5)) + 2


def reference_gates(weight: float, *, draws: int, **options: Any) -> Tensor:
    """Gates of the reference for an inner weight, which is the sigmoid of the logit: 0 and 1 are its limits."""
    logits = torch.full((draws,), weight, dtype=torch.float64).logit()
    return sample_gate(logits, generator=generator(), variant="reference", **options)


# Gates: the distribution


@pytest.mark.parametrize(
    ("bias", "stretch", "weight", "rate"),
    [
        (0.05, 0.05, 0.0, 0.4735),
        (0.05, 0.05, 0.5, 0.6109),
        (0.05, 0.05, 1.0, 0.7355),
        (0.0006, 0.499, 0.0, 0.3334),
        (0.0006, 0.499, 0.5, 0.4521),
        (0.0006, 0.499, 1.0, 0.5765),
        (0.4, 0.005, 0.5, 1.0),
    ],
)
def test_the_reference_keeps_a_middling_share_whatever_the_logits(
    bias: float, stretch: float, weight: float, rate: float
) -> None:
    kept = reference_gates(weight, draws=400_000, noise_bias=bias, stretch=stretch).mean().item()
    assert kept == pytest.approx(rate, abs=0 if rate == 1 else 3e-3)


@pytest.mark.parametrize(
    ("bias", "stretch", "least", "most"), [(0.05, 0.05, 0.0025, 0.9475), (0.4, 0.005, 0.397, 0.598)]
)
def test_soft_gates_of_the_reference_lie_between_their_bounds(
    bias: float, stretch: float, least: float, most: float
) -> None:
    gates = reference_gates(0.0, draws=400_000, noise_bias=bias, stretch=stretch, hard=False)
    assert gates.min().item() == pytest.approx(least, abs=1e-4)
    assert gates.max().item() == pytest.approx(most, abs=1e-4)


@pytest.mark.parametrize(("bias", "stretch", "mass"), [(0.0006, 0.499, 0.3324), (0.05, 0.05, 0.0)])
def test_soft_gates_of_the_reference_are_exactly_zero_this_often(bias: float, stretch: float, mass: float) -> None:
    gates = reference_gates(0.0, draws=400_000, noise_bias=bias, stretch=stretch, hard=False)
    assert (gates == 0).double().mean().item() == pytest.approx(mass, abs=2e-3)


def test_without_noise_a_gate_follows_from_its_logit() -> None:
    gate = reference_gates(0.5, draws=3, noise_bias=0.5, stretch=0.05, hard=False)
    torch.testing.assert_close(gate, torch.full_like(gate, 0.603582), rtol=0, atol=1e-6)
    logits = torch.tensor([-9.0, -1.0, 0.0, 2.0, 9.0])
    paper = sample_gate(logits, noise_bias=0.5, stretch=0.1, hard=False)
    torch.testing.assert_close(paper, (1.2 * logits.sigmoid() - 0.1).clamp(0, 1))
    assert paper[[0, -1]].tolist() == [0.0, 1.0]


@pytest.mark.parametrize("logit", [-3.0, 0.0, 1.0, 4.0])
@pytest.mark.parametrize("bias", [0.01, 0.1])
def test_gates_of_the_paper_keep_what_their_logits_say(logit: float, bias: float) -> None:
    """A gate is kept where its noise is above the negative logit: a share of `(sigmoid(logit) - bias) / (1 - 2 bias)`."""
    gates = sample_gate(torch.full((400_000,), logit), noise_bias=bias, stretch=0.3, generator=generator())
    rate = (torch.tensor(logit).sigmoid().item() - bias) / (1 - 2 * bias)
    assert gates.mean().item() == pytest.approx(min(max(rate, 0), 1), abs=3e-3)


def test_gates_of_the_paper_can_be_all_open_and_all_closed() -> None:
    for logit, value in ((-9.0, 0.0), (9.0, 1.0)):
        for hard in (True, False):
            gates = sample_gate(torch.full((1000,), logit), noise_bias=0.05, stretch=0.05, hard=hard)
            assert gates.unique().tolist() == [value]


@pytest.mark.parametrize("variant", BOTH)
def test_hard_gates_are_exactly_zero_or_one_and_have_the_gradient_of_soft_ones(variant: Variant) -> None:
    logits = torch.randn(2000, generator=generator(), requires_grad=True)
    options: dict[str, Any] = {"noise_bias": 0.05, "stretch": 0.2, "variant": variant}
    hard, soft = (sample_gate(logits, hard=rounded, generator=generator(1), **options) for rounded in (True, False))
    assert hard.unique().tolist() == [0.0, 1.0]
    assert torch.equal(hard, (soft > 0.5).float())
    gradients = [torch.autograd.grad(gates.sum(), logits)[0] for gates in (hard, soft)]
    assert torch.equal(gradients[0], gradients[1])
    assert gradients[0].count_nonzero() > 500
    inside = (soft > 0) & (soft < 1)
    assert torch.equal(gradients[0] != 0, inside)


@pytest.mark.parametrize("variant", BOTH)
def test_the_gradient_of_a_soft_gate_is_exact(variant: Variant) -> None:
    logits = torch.randn(3, 4, dtype=torch.float64, generator=generator(), requires_grad=True)

    def gate(given: Tensor) -> Tensor:
        return sample_gate(given, noise_bias=0.1, stretch=0.1, hard=False, generator=generator(), variant=variant)

    assert torch.autograd.gradcheck(gate, (logits,))


def test_a_gate_of_one_half_is_closed() -> None:
    assert sample_gate(torch.zeros(5), noise_bias=0.5, stretch=0.1).tolist() == [0.0] * 5


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_gates_of_half_precision_logits_are_drawn_in_single(dtype: torch.dtype) -> None:
    logits = torch.randn(50, generator=generator()).to(dtype)
    options: dict[str, Any] = {"noise_bias": 0.0, "stretch": 0.1, "hard": False}
    gates = sample_gate(logits, generator=generator(), **options)
    assert gates.dtype == torch.float32
    assert torch.equal(gates, sample_gate(logits.float(), generator=generator(), **options))


@pytest.mark.parametrize("variant", BOTH)
def test_extreme_logits_and_noise_without_bounds_stay_finite(variant: Variant) -> None:
    logits = torch.tensor([-1e30, -100.0, 0.0, 100.0, 1e30]).repeat(1000).requires_grad_()
    gates = sample_gate(logits, noise_bias=0.0, stretch=0.1, hard=False, generator=generator(), variant=variant)
    assert torch.isfinite(gates).all()
    assert torch.isfinite(torch.autograd.grad(gates.sum(), logits)[0]).all()


# The view


def test_the_view_is_the_product_of_mask_transform_and_series() -> None:
    x = series()
    view = augmentation()(x, generator=generator())
    torch.testing.assert_close(view.x, view.g * view.h * x)
    assert view.h.unique().tolist() == [0.0, 1.0]
    assert not torch.equal(view.g[..., 1:], torch.ones_like(view.g[..., 1:]))


def test_covariates_pass_unchanged_unless_they_are_asked_to_be_gated() -> None:
    x = series()
    view = augmentation()(x, generator=generator())
    assert torch.equal(view.x[..., 0], x[..., 0])
    assert (view.h[..., 0] == 1).all()
    assert (view.g[..., 0] == 1).all()
    assert view.keep.shape == (4, 12, 2)
    gated = augmentation(gate_covariates=True)(x, generator=generator())
    assert not torch.equal(gated.x[..., 0], x[..., 0])
    assert gated.keep.shape == x.shape


def test_without_named_targets_all_channels_are_gated() -> None:
    view = augmentation(DataInfo(("a", "b", "c")))(series(), generator=generator())
    assert view.keep.shape == (4, 12, 3)


@pytest.mark.parametrize("bound", [0.5, 2.0])
def test_the_transform_of_the_paper_loses_nothing(bound: float) -> None:
    learned = augmentation(factor="none", bound=bound)
    assert learned.transform_head is not None
    with torch.no_grad():
        learned.transform_head.weight.mul_(1e6)
    x = series()
    view = learned(x)
    low, high = (torch.tensor(sign * bound).exp().item() for sign in (-1, 1))
    assert view.g.min().item() == pytest.approx(low)
    assert view.g.max().item() == pytest.approx(high)
    torch.testing.assert_close(view.x / view.g, x)


def test_the_transform_of_the_reference_is_a_sigmoid() -> None:
    view = augmentation(transform="sigmoid", gate_covariates=True)(series(), generator=generator())
    assert 0 < view.g.min() < view.g.max() < 1


def test_mask_and_transform_can_be_left_out() -> None:
    x = series()
    without_mask = augmentation(factor="none")(x)
    assert (without_mask.h == 1).all()
    assert (without_mask.keep == 1).all()
    torch.testing.assert_close(without_mask.x, without_mask.g * x)
    without_transform = augmentation(transform="none")(x, generator=generator())
    assert (without_transform.g == 1).all()
    assert torch.equal(without_transform.x, without_transform.h * x)
    soft = augmentation(factor="soft")(x, generator=generator())
    assert len(soft.h.unique()) > 50


def test_missing_values_stay_missing_padding_stays_zero_and_gradients_stay_finite() -> None:
    x, lengths = series(), torch.tensor([12, 7, 3, 1])
    x[0, 3, 1], x[1, 2] = torch.nan, torch.nan
    x = torch.where((torch.arange(12) < lengths[:, None])[..., None], x, 0.0)
    before = x.clone()
    learned = augmentation()
    view = learned(x, lengths, generator=generator())
    assert torch.equal(view.x.isnan(), x.isnan())
    assert not view.x[torch.arange(12) >= lengths[:, None]].any()
    for row, length in enumerate(lengths.tolist()):
        alone = learned(x[row : row + 1, :length])
        torch.testing.assert_close(view.g[row, :length], alone.g[0], rtol=1e-5, atol=1e-6)
    view.x.nan_to_num(0).square().sum().backward()
    gradients = [parameter.grad for parameter in learned.parameters()]
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)
    torch.testing.assert_close(x, before, rtol=0, atol=0, equal_nan=True)


def test_gates_follow_from_the_generator_and_are_drawn_anew_at_each_call() -> None:
    learned, x = augmentation(), series()
    first, again, other = (learned(x, generator=generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.x, again.x)
    assert not torch.equal(first.h, other.h)
    assert torch.equal(first.g, other.g)


def test_a_gradient_reaches_trunk_and_both_heads() -> None:
    learned = augmentation()
    view: ParametricView = learned(series(), generator=generator())
    view.x.square().sum().backward()
    for name, parameter in learned.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_a_trunk_with_fewer_frames_than_steps_is_refused() -> None:
    coarse = configure("encoder", {"uses": "transformer", "dim": 8, "patch": 4}).build(INFO)
    with pytest.raises(ModelUnfit, match=r"one frame in 4 steps, and the augmentation needs a gate for each step"):
        ParametricAugmentation(coarse, INFO)


@pytest.mark.parametrize("block", [{"uses": "recurrent", "dim": 6}, {"uses": "transformer", "dim": 8}])
def test_any_encoder_with_a_frame_a_step_can_be_the_trunk(block: dict[str, Any]) -> None:
    learned = ParametricAugmentation(configure("encoder", block).build(INFO), INFO)
    assert learned(series(), torch.tensor([12, 7, 3, 1])).x.shape == (4, 12, 3)


def test_a_head_has_a_weight_for_each_number_of_a_frame_and_a_bias_for_each_channel() -> None:
    info = DataInfo(tuple(f"channel_{number}" for number in range(8)))
    learned = ParametricAugmentation(trunk(info, dim=16), info)
    for head in (learned.factor_head, learned.transform_head):
        assert head is not None
        assert sum(parameter.numel() for parameter in head.parameters()) == 136


def test_nothing_waits_for_the_device() -> None:
    """Fake tensors have no values: whoever asks for one raises."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        learned = ParametricAugmentation(configure("encoder", TRUNK).build(INFO), INFO)
        view = learned(torch.randn(4, 12, 3), torch.full((4,), 9))
        assert view.x.shape == (4, 12, 3)
