"""AutoTCL's encoder: published size, equality of its fast forms with plain ones, and what depends on what."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

import tswork
from tests.encoders.blocks import CAUSAL_MIXTURE, build
from tests.reference import encoders as plain
from tswork.encoders.causal_mixture import CausalMixture
from tswork.encoders.dilated_conv import Block
from tswork.encoders.windows import encode_last_windows
from tswork.errors import InvalidInput

PRECISIONS = pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])


def mixture(**options: Any) -> CausalMixture:
    encoder = build({**CAUSAL_MIXTURE, **options})
    assert isinstance(encoder, CausalMixture)
    return encoder


def test_it_has_the_published_number_of_parameters() -> None:
    encoder = build({"uses": "causal_mixture"}, channels=8)
    assert isinstance(encoder, CausalMixture)
    assert sum(parameter.numel() for parameter in encoder.trunk_encoder.parameters()) == 637_696
    assert sum(parameter.numel() for parameter in encoder.mixture.parameters()) == 26_114_560
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 26_752_256


def test_a_small_one_has_the_size_of_the_published_augmentation_network() -> None:
    encoder = build({"uses": "causal_mixture", "dim": 16, "depth": 3}, channels=8)
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 145_008


@PRECISIONS
@pytest.mark.parametrize("time", [1, 2, 7, 8, 9, 33, 70])
def test_frames_equal_those_of_the_plain_twin(time: int, dtype: torch.dtype, tolerance: float) -> None:
    encoder = mixture().to(dtype)
    x = torch.randn(2, time, 3, dtype=dtype)
    x[0, time // 2, 2] = torch.nan
    keep = torch.rand(2, time) < 0.8
    with torch.no_grad():
        for kept in (None, keep):
            expected = plain.causal_mixture(encoder, x, kept)
            torch.testing.assert_close(encoder(x, keep=kept).values, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_published_network_equals_its_plain_twin(dtype: torch.dtype) -> None:
    encoder = build({"uses": "causal_mixture", "dim": 64}, channels=8).to(dtype)
    assert isinstance(encoder, CausalMixture)
    x, tolerance = torch.randn(4, 257, 8, dtype=dtype), 1e-10 if dtype == torch.float64 else 1e-5
    with torch.no_grad():
        expected = plain.causal_mixture(encoder, x)
        torch.testing.assert_close(encoder(x).values, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("time", [5, 20, 70])
def test_gradients_equal_those_of_the_plain_twin(time: int) -> None:
    encoder = mixture().double()
    twin = copy.deepcopy(encoder)
    x = torch.randn(2, time, 3, dtype=torch.float64)
    encoder(x).values.square().sum().backward()
    plain.causal_mixture(twin, x).square().sum().backward()
    for ours, theirs in zip(encoder.parameters(), twin.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-9, atol=1e-9)


def test_gradients_of_convolutions_share_no_memory() -> None:
    """Whoever scales one gradient in place must not scale another."""
    encoder = mixture()
    encoder(torch.randn(2, 40, 3)).values.sum().backward()
    places = {parameter.grad.data_ptr() for parameter in encoder.parameters() if parameter.grad is not None}
    assert len(places) == len(list(encoder.parameters()))


def test_the_folded_kernel_is_the_mean_of_kernels_that_meet_at_the_present() -> None:
    convolutions = mixture(kernels=[3, 1, 2]).mixture
    one, two, three = convolutions.weights
    assert [len(weight) for weight in convolutions.weights] == [1, 2, 3]
    expected = torch.stack([(one[0] + two[0] + three[0]) / 3, (two[1] + three[1]) / 3, three[2] / 3])
    torch.testing.assert_close(convolutions.kernel(), expected)
    torch.testing.assert_close(convolutions.bias(), sum(convolutions.biases) / 3)


def test_convolutions_begin_as_those_of_torch_do() -> None:
    convolutions = mixture(dim=64, kernels=[1, 16, 128]).mixture
    for weight, bias in zip(convolutions.weights, convolutions.biases, strict=True):
        bound = torch.nn.Conv1d(64, 64, len(weight)).weight.abs().max().item()
        assert weight.abs().max().item() == pytest.approx(bound, rel=0.02)
        assert bias.abs().max().item() <= bound * 1.02


def test_the_mixture_is_causal_and_the_trunk_is_not() -> None:
    """Trunk blocks 1, 2, 4, 8 and 16 reach 62 steps each way; the mixture adds seven behind."""
    encoder, x = mixture().double(), torch.randn(1, 200, 3, dtype=torch.float64)
    changed = x.clone()
    changed[:, 100] += 1
    with torch.no_grad():
        trunk = [encoder.trunk(one).values for one in (x, changed)]
        frames = [encoder(one).values for one in (x, changed)]
        assert reach(*trunk) == (100 - 62, 100 + 62)
        assert reach(*frames) == (100 - 62, 100 + 62 + 7)
        moved = trunk[0].clone()
        moved[:, 100] += 1
        assert reach(encoder.mixture(trunk[0]), encoder.mixture(moved)) == (100, 107)


def reach(before: Tensor, after: Tensor) -> tuple[int, int]:
    moved = ((before - after).abs().amax(dim=(0, 2)) > 1e-13).nonzero().flatten()
    return int(moved.min()), int(moved.max())


def test_the_trunk_is_a_dilated_convolution_of_its_own() -> None:
    encoder, x, lengths = mixture(), torch.randn(2, 24, 3), torch.tensor([24, 11])
    keep = torch.rand(2, 24) < 0.5
    with torch.no_grad():
        frames = encoder.trunk(x, lengths, keep=keep)
        torch.testing.assert_close(frames.values, encoder.trunk_encoder(x, lengths, keep=keep).values)
        torch.testing.assert_close(encoder.mixture(frames.values), encoder(x, lengths, keep=keep).values)
    assert torch.equal(frames.lengths, lengths)


@PRECISIONS
@pytest.mark.parametrize("time", [1, 2, 3, 7, 8, 9, 16, 17, 33, 64, 201])
@pytest.mark.parametrize("depth", [1, 4, 7])
def test_the_last_frame_alone_equals_that_of_the_whole_forward_pass(
    time: int, depth: int, dtype: torch.dtype, tolerance: float
) -> None:
    """Windows are shorter and longer than the mixture's eight taps, the trunk's reach and its last dilation."""
    encoder = mixture(depth=depth).to(dtype)
    x = torch.randn(3, time, 3, dtype=dtype)
    x[0, time // 2, 2] = torch.nan
    with torch.no_grad():
        whole = plain.causal_mixture(encoder, x)[:, -1]
        torch.testing.assert_close(encoder.last(x), whole, rtol=tolerance, atol=tolerance)


def test_each_sequence_has_its_own_last_frame() -> None:
    encoder = mixture().double()
    x, lengths = torch.randn(6, 40, 3, dtype=torch.float64), torch.tensor([40, 39, 20, 8, 2, 1])
    with torch.no_grad():
        found = encoder.last(x, lengths)
        for row, length in enumerate(lengths.tolist()):
            alone = plain.causal_mixture(encoder, x[row : row + 1, :length])[0, -1]
            torch.testing.assert_close(found[row], alone, rtol=1e-10, atol=1e-10)


def test_the_last_frame_has_the_gradients_of_the_whole_forward_pass() -> None:
    encoder = mixture().double()
    x = torch.randn(2, 20, 3, dtype=torch.float64)
    parameters = list(encoder.parameters())
    fast = torch.autograd.grad(encoder.last(x).square().sum(), parameters)
    slow = torch.autograd.grad(plain.causal_mixture(encoder, x)[:, -1].square().sum(), parameters)
    for ours, theirs in zip(fast, slow, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_the_last_frame_is_computed_in_single_precision_under_autocast() -> None:
    encoder, x = mixture(), torch.randn(2, 20, 3)
    with torch.no_grad():
        expected = encoder.last(x), encode_last_windows(encoder, x[0], window=9)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = encoder.last(x), encode_last_windows(encoder, x[0], window=9)
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.equal(ours, theirs)


def test_taps_beyond_the_window_have_no_say_in_the_last_frame() -> None:
    encoder, x = mixture(depth=5), torch.randn(2, 16, 3)
    with torch.no_grad():
        before = encoder(x).values, encoder.last(x)
        for block in encoder.trunk_encoder.blocks:
            assert isinstance(block, Block)
            if block.dilation >= 16:
                for convolution in (block.first, block.second):
                    convolution.weight[..., [0, 2]] = torch.randn_like(convolution.weight[..., [0, 2]])
        after = encoder(x).values, encoder.last(x)
    assert torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])


def test_a_missing_step_changes_only_what_can_see_it() -> None:
    encoder, x = mixture(depth=2), torch.randn(1, 60, 3)
    holed = x.clone()
    holed[:, 5] = torch.nan
    with torch.no_grad():
        frames, other = encoder(x).values, encoder(holed).values
        same_last = encoder.last(x), encoder.last(holed)
    assert torch.isfinite(other).all()
    torch.testing.assert_close(frames[:, 30:], other[:, 30:])
    torch.testing.assert_close(*same_last)
    assert not torch.allclose(frames[:, :20], other[:, :20])


def test_when_nothing_is_kept_no_step_counts_and_hiding_the_last_hides_it() -> None:
    encoder, x = mixture(), torch.randn(2, 30, 3)
    changed = x.clone()
    changed[:, -1] += 5
    but_last = torch.ones(2, 30, dtype=torch.bool)
    but_last[:, -1] = False
    with torch.no_grad():
        nothing = [encoder(one, keep=torch.zeros_like(but_last)).values for one in (x, torch.randn(2, 30, 3))]
        hidden = [encoder(one, keep=but_last).values for one in (x, changed)]
        some = encoder(x, keep=torch.rand(2, 30) < 0.5).values
        assert torch.equal(*nothing)
        assert torch.equal(*hidden)
        assert not torch.allclose(some, encoder(x).values)


def test_dropout_falls_on_frames_in_training_alone() -> None:
    encoder, x = mixture(dropout=0.5), torch.randn(2, 50, 3)
    assert not (encoder(x).values == 0).any()
    assert not (encoder.train().trunk(x).values == 0).any()
    assert (encoder(x).values == 0).float().mean().item() == pytest.approx(0.5, abs=0.15)
    assert (encoder.last(torch.randn(60, 10, 3)) == 0).float().mean().item() == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize(("kernels", "said"), [([], "needs at least 1 entry"), ([1, 0], "greater than or equal to 1")])
def test_kernels_that_are_none_are_refused(kernels: list[int], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        tswork.build_encoder({"uses": "causal_mixture", "kernels": kernels}, channels=3)
