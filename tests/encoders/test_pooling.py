"""Poolings: padding never takes part, `masked` leaves out what was not seen."""

from __future__ import annotations

import pytest
import torch

from tests.encoders.blocks import DILATED_CONV, PATCHES, TSAI, build
from tswork.data.collection import DataInfo
from tswork.encoders.base import Frames
from tswork.encoders.pooling import POOLINGS, FramePooling, pool, pooled, seen_frames
from tswork.methods.model import Model

VALUES = torch.tensor([[[1.0, -5.0], [3.0, -7.0], [100.0, 100.0]], [[2.0, 4.0], [100.0, 100.0], [100.0, 100.0]]])
LENGTHS = torch.tensor([2, 1])


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("max", [[3.0, -5.0], [2.0, 4.0]]),
        ("mean", [[2.0, -6.0], [2.0, 4.0]]),
        ("last", [[3.0, -7.0], [2.0, 4.0]]),
        ("masked", [[2.0, -6.0], [2.0, 4.0]]),
        ("mean_std", [[2.0, -6.0, 1.0, 1.0], [2.0, 4.0, 0.0, 0.0]]),
    ],
)
def test_values_by_hand(pooling: FramePooling, expected: list[list[float]]) -> None:
    torch.testing.assert_close(pool(Frames(VALUES, LENGTHS), pooling), torch.tensor(expected), atol=2e-6, rtol=0)


def test_the_deviation_of_one_frame_has_a_finite_slope() -> None:
    values = torch.randn(2, 3, 4, requires_grad=True)
    pool(Frames(values, torch.tensor([1, 1])), "mean_std").sum().backward()
    assert values.grad is not None
    assert bool(values.grad.isfinite().all())


def test_masked_leaves_out_frames_that_saw_nothing() -> None:
    seen = torch.tensor([[False, True, True], [False, True, True]])
    assert pool(Frames(VALUES, LENGTHS), "masked", seen=seen).tolist() == [[3.0, -7.0], [0.0, 0.0]]


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_sequence_without_frames_gives_zeros(pooling: FramePooling) -> None:
    assert not pool(Frames(VALUES, torch.tensor([0, 1])), pooling)[0].any()


@pytest.mark.parametrize("pooling", POOLINGS)
def test_padding_of_any_value_changes_nothing_and_receives_no_gradient(pooling: FramePooling) -> None:
    values = torch.randn(3, 6, 4, dtype=torch.float64)
    lengths = torch.tensor([6, 3, 1])
    padding = torch.arange(6) >= lengths[:, None]
    spoilt = torch.where(padding[..., None], 1e9, values).requires_grad_()
    found = pool(Frames(spoilt, lengths), pooling)
    for row, length in enumerate(lengths.tolist()):
        alone = pool(Frames(values[row : row + 1, :length], torch.tensor([length])), pooling)
        torch.testing.assert_close(found[row : row + 1], alone)
    found.sum().backward()
    assert spoilt.grad is not None
    assert not spoilt.grad[padding].any()


@pytest.mark.parametrize("pooling", POOLINGS)
def test_half_precision_keeps_its_type(pooling: FramePooling) -> None:
    assert pool(Frames(VALUES.bfloat16(), LENGTHS), pooling).dtype == torch.bfloat16


def test_frames_of_several_steps_were_seen_when_one_step_was() -> None:
    seen = torch.tensor([[0, 0, 0, 1, 0, 0, 0]], dtype=torch.bool)
    assert seen_frames(seen, 7, stride=1).tolist() == seen.tolist()
    assert seen_frames(seen, 4, stride=2).tolist() == [[False, True, False, False]]
    assert seen_frames(seen, 3, stride=2).tolist() == [[False, True, False]]
    assert seen_frames(seen, 1, stride=7).tolist() == [[True]]


def test_masked_looks_at_missing_and_at_hidden_steps() -> None:
    encoder, x = build(DILATED_CONV), torch.randn(2, 10, 3)
    x[0, 4:] = torch.nan
    keep = torch.ones(2, 10, dtype=torch.bool)
    keep[:, :2] = False
    with torch.no_grad():
        frames = encoder(x, keep=keep).values
        found = pooled(encoder, x, pooling="masked", keep=keep)
    torch.testing.assert_close(found[0], frames[0, 2:4].mean(dim=0))
    torch.testing.assert_close(found[1], frames[1, 2:].mean(dim=0))


def test_a_step_with_some_values_counts_as_seen() -> None:
    encoder, x = build(DILATED_CONV), torch.randn(1, 10, 3)
    x[0, :, 0] = torch.nan
    with torch.no_grad():
        assert torch.equal(pooled(encoder, x, pooling="masked"), pooled(encoder, x, pooling="mean"))


@pytest.mark.parametrize(
    "block", [PATCHES, TSAI["PatchTST"], TSAI["RNN_FCNPlus"]], ids=["patches", "PatchTST", "vector"]
)
@pytest.mark.parametrize("pooling", POOLINGS)
def test_encoders_with_fewer_frames_than_steps_are_pooled(block: dict[str, object], pooling: FramePooling) -> None:
    encoder, x = build(block), torch.randn(2, 22, 3)
    with torch.no_grad():
        frames = encoder(x)
        found = pooled(encoder, x, pooling=pooling)
    torch.testing.assert_close(found, pool(frames, pooling))


def test_a_model_pools_as_it_was_told_or_as_it_is_asked() -> None:
    encoder, x = build(DILATED_CONV), torch.randn(2, 10, 3)
    model = Model(encoder, DataInfo(("c0", "c1", "c2")), pooling="mean").eval()
    with torch.no_grad():
        assert torch.equal(model.embed(x), pool(encoder(x), "mean"))
        assert torch.equal(model.embed(x, pooling="last"), encoder(x).values[:, -1])
