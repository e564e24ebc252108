"""TS2Vec's encoder: published size, equality of its three fast forms with plain ones, and what depends on what."""

from __future__ import annotations

import copy
import weakref

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.encoders.blocks import DILATED_CONV, build
from tests.reference import encoders as plain
from tswork.encoders import dilated_conv
from tswork.encoders.dilated_conv import Block, DilatedConv


def small(depth: int = 5) -> DilatedConv:
    encoder = build({"uses": "dilated_conv", "depth": depth, "dim": 12, "hidden": 8})
    assert isinstance(encoder, DilatedConv)
    return encoder


@pytest.mark.parametrize(
    ("channels", "count"), [(1, 637_248), (8, 637_696), (14, 638_080), (15, 638_144), (16, 638_208), (33, 639_296)]
)
def test_it_has_the_published_number_of_parameters(channels: int, count: int) -> None:
    encoder = build({"uses": "dilated_conv"}, channels=channels)
    assert sum(parameter.numel() for parameter in encoder.parameters()) == count


@pytest.mark.parametrize("time", [1, 2, 16, 17, 32, 33, 70])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_frames_equal_those_of_the_plain_twin(time: int, dtype: torch.dtype, tolerance: float) -> None:
    """At 32 steps and below some dilations reach past both ends, and only centre taps are used."""
    encoder = small().to(dtype)
    x = torch.randn(2, time, 3, dtype=dtype)
    x[0, time // 2, 2] = torch.nan
    with torch.no_grad():
        torch.testing.assert_close(encoder(x).values, plain.dilated_conv(encoder, x), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("time", [20, 70])
def test_gradients_equal_those_of_the_plain_twin(time: int) -> None:
    encoder = small().double()
    twin = copy.deepcopy(encoder)
    x = torch.randn(2, time, 3, dtype=torch.float64)
    encoder(x).values.square().sum().backward()
    plain.dilated_conv(twin, x).square().sum().backward()
    for ours, theirs in zip(encoder.parameters(), twin.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("time", [1, 2, 3, 8, 33, 64, 201])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_the_pruned_last_step_equals_the_whole_forward_pass(time: int, dtype: torch.dtype, tolerance: float) -> None:
    encoder = small(depth=7).to(dtype)
    x = torch.randn(3, time, 3, dtype=dtype)
    with torch.no_grad():
        whole = encoder(x).values[:, -1]
        torch.testing.assert_close(encoder.last(x), whole, rtol=tolerance, atol=tolerance)


def test_the_published_network_is_pruned_exactly() -> None:
    encoder = build({"uses": "dilated_conv"}, channels=8)
    x = torch.randn(2, 201, 8)
    with torch.no_grad():
        torch.testing.assert_close(encoder.last(x), encoder(x).values[:, -1], rtol=1e-5, atol=1e-5)


def test_each_sequence_is_pruned_from_its_own_end() -> None:
    encoder = small(depth=4).double()
    x, lengths = torch.randn(5, 40, 3, dtype=torch.float64), torch.tensor([40, 39, 20, 2, 1])
    with torch.no_grad():
        found = encoder.last(x, lengths)
        for row, length in enumerate(lengths.tolist()):
            alone = encoder(x[row : row + 1, :length]).values[0, -1]
            torch.testing.assert_close(found[row], alone, rtol=1e-10, atol=1e-10)


def test_the_pruned_form_touches_the_steps_it_depends_on_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = build({"uses": "dilated_conv", "hidden": 4, "dim": 4})
    seen: list[int] = []
    thin = Block.thin

    def recorded(block: Block, grid: Tensor, inside: Tensor | None) -> Tensor:
        seen.append(grid.shape[-1])
        return thin(block, grid, inside)

    monkeypatch.setattr(Block, "thin", recorded)
    with torch.no_grad():
        encoder.last(torch.randn(1, 201, 3))
    assert seen == [201, 101, 51, 26, 13, 7, 4, 2, 1, 1, 1]


def test_it_is_not_causal_and_reaches_as_far_as_its_dilations() -> None:
    """One block of dilation d reaches 2 d steps: blocks 1, 2 and 4 reach 14 each way."""
    encoder = small(depth=2)
    x = torch.randn(1, 40, 3)
    changed = x.clone()
    changed[:, 20] += 1
    with torch.no_grad():
        moved = (encoder(x).values != encoder(changed).values).any(dim=-1)[0].nonzero().flatten()
    assert moved.min() == 20 - 14
    assert moved.max() == 20 + 14


def test_the_published_depth_reaches_over_8189_steps() -> None:
    encoder = build({"uses": "dilated_conv", "dim": 3, "hidden": 3}, channels=1).double()
    x = torch.randn(1, 8193, 1, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(encoder(x).values[0, 4096].sum(), x)
    (seen,) = gradient[0, :, 0].nonzero(as_tuple=True)
    assert (len(seen), int(seen[0]), int(seen[-1])) == (8189, 4096 - 4094, 4096 + 4094)


def test_taps_beyond_the_window_have_no_say_in_the_last_step() -> None:
    encoder = small(depth=5)
    x = torch.randn(2, 16, 3)
    with torch.no_grad():
        before = encoder(x).values, encoder.last(x)
        for block in encoder.blocks:
            assert isinstance(block, Block)
            if block.dilation >= 16:
                for convolution in (block.first, block.second):
                    convolution.weight[..., [0, 2]] = torch.randn_like(convolution.weight[..., [0, 2]])
        after = encoder(x).values, encoder.last(x)
    assert torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])


def test_a_missing_step_changes_only_what_can_see_it() -> None:
    encoder = small(depth=2)
    x = torch.randn(1, 40, 3)
    holed = x.clone()
    holed[:, 5] = torch.nan
    with torch.no_grad():
        frames, other = encoder(x).values, encoder(holed).values
    assert torch.isfinite(other).all()
    assert torch.equal(frames[:, 20:], other[:, 20:])
    assert not torch.equal(frames[:, :20], other[:, :20])


def test_dropout_falls_on_frames_in_training_alone() -> None:
    encoder = build({**DILATED_CONV, "dropout": 0.5})
    x = torch.randn(2, 50, 3)
    assert not (encoder(x).values == 0).any()
    encoder.train()
    share = (encoder(x).values == 0).float().mean().item()
    assert share == pytest.approx(0.5, abs=0.1)


def test_the_last_step_in_training_has_dropout_too() -> None:
    encoder = build({**DILATED_CONV, "dropout": 0.5}).train()
    assert (encoder.last(torch.randn(40, 10, 3)) == 0).float().mean().item() == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("dilation", [2, 64])
def test_a_large_activation_is_not_kept_and_gradients_are_equal_bit_by_bit(
    padded: bool, dilation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv1d(4, 6, 3, padding=dilation, dilation=dilation)
    hidden = torch.randn(5, 4, 32)
    inside = (torch.arange(32) < torch.tensor([32, 9, 1, 20, 5])[:, None])[:, None].float() if padded else None
    made: list[weakref.ref[Tensor]] = []

    def gelu(values: Tensor) -> Tensor:
        activated: Tensor = torch._C._nn.gelu(values)
        made.append(weakref.ref(activated))
        return activated

    monkeypatch.setattr(functional, "gelu", gelu)
    found = []
    for large, kept in ((hidden.numel() + 1, True), (hidden.numel(), False)):
        monkeypatch.setattr(dilated_conv, "LARGE", large)
        leaf = hidden.clone().requires_grad_()
        result = dilated_conv.convolved_activation(convolution, leaf, inside)
        assert (made[-1]() is not None) == (kept and not padded)  # with padding the product with it is what is kept
        found.append((result, *torch.autograd.grad(result.square().sum(), [leaf, *convolution.parameters()])))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)
