"""The relative encoder: what it hands to the inner one, what no longer changes anything, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.encoders.blocks import DILATED_CONV, OWN
from tswork.config import NestedInvalid, configure
from tswork.data.collection import DataInfo
from tswork.encoders.relative import RelativeEncoder
from tswork.encoders.windows import encode_last_windows
from tswork.random import seeded

INFO = DataInfo(("hour", "a", "b"), targets=("a", "b"), max_length=24)


def relative(info: DataInfo = INFO, **options: Any) -> RelativeEncoder:
    with seeded(0):
        encoder = configure("encoder", {"uses": "relative", "encoder": DILATED_CONV, **options}).build(info)
    assert isinstance(encoder, RelativeEncoder)
    return encoder.double().eval()


def series(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def test_the_last_value_or_the_mean_of_each_target_is_subtracted_and_covariates_stay() -> None:
    x = series(2, 9, 3)
    for by, reference in (("last", x[:, -1:]), ("mean", x.mean(dim=1, keepdim=True)), ("none", torch.zeros(2, 1, 3))):
        values, restored, carried = relative(by=by).relative(x, None, None)
        torch.testing.assert_close(values[..., 1:], (x - reference)[..., 1:])
        assert torch.equal(values[..., 0], x[..., 0])
        assert restored is None
        assert carried is None


def test_scaling_divides_by_the_deviation_of_each_target() -> None:
    x = series(2, 9, 3) * torch.tensor([1.0, 5.0, 20.0])
    values, *_ = relative(by="mean", scale=True, floor=1e-9).relative(x, None, None)
    torch.testing.assert_close(values.std(dim=1, correction=0)[:, 1:], torch.ones(2, 2, dtype=torch.float64))
    assert torch.equal(values[..., 0], x[..., 0])


@pytest.mark.parametrize("by", ["last", "mean"])
def test_a_shift_of_the_targets_changes_nothing(by: str) -> None:
    encoder, x = relative(by=by), series(2, 12, 3)
    shifted = x + torch.tensor([0.0, 7.0, -3.0])
    with torch.no_grad():
        torch.testing.assert_close(encoder(shifted).values, encoder(x).values)
        assert not torch.allclose(encoder(x + 1).values, encoder(x).values), "a shifted covariate should be seen"


def test_a_larger_spread_changes_nothing_when_scaled_and_the_frames_alike_when_restored() -> None:
    x = series(2, 12, 3)
    stretched = x * torch.tensor([1.0, 4.0, 4.0])
    with torch.no_grad():
        scaled, restored = relative(scale=True, floor=1e-9), relative(scale=True, restore=True, floor=1e-9)
        torch.testing.assert_close(scaled(stretched).values, scaled(x).values)
        torch.testing.assert_close(restored(stretched).values, 4 * restored(x).values)
        torch.testing.assert_close(restored.last(stretched), 4 * restored.last(x))
        deviation = x[..., 1:].std(dim=1, correction=0).mean(dim=1)
        torch.testing.assert_close(restored(x).values, scaled(x).values * deviation[:, None, None])


@pytest.mark.parametrize("by", ["last", "mean", "none"])
@pytest.mark.parametrize("scale", [False, True])
def test_frames_carry_what_was_taken_from_each_target(by: str, scale: bool) -> None:
    options: dict[str, Any] = {"by": by, "scale": scale, "restore": scale}
    plain, carrying, x = relative(**options), relative(carry=True, **options), series(2, 12, 3)
    reference = {"last": [x[:, -1, 1:]], "mean": [x[:, :, 1:].mean(dim=1)], "none": []}[by]
    carried = torch.cat([*reference, (x[..., 1:].var(dim=1, correction=0) + plain.config.floor**2).sqrt()], dim=1)
    with torch.no_grad():
        frames, last = carrying(x).values, carrying.last(x)
        assert frames.shape[2] == carrying.dim == plain.dim + carried.shape[1]
        torch.testing.assert_close(frames[..., : plain.dim], plain(x).values)
        torch.testing.assert_close(frames[..., plain.dim :], carried[:, None].expand(-1, 12, -1))
        torch.testing.assert_close(last, torch.cat([plain.last(x), carried], dim=1))


def test_without_named_targets_all_channels_are_targets() -> None:
    x = series(2, 9, 3)
    values, *_ = relative(DataInfo(("x", "y", "z"))).relative(x, None, None)
    torch.testing.assert_close(values, x - x[:, -1:])


def test_padding_missing_and_hidden_steps_are_no_reference() -> None:
    encoder, x = relative(scale=True), series(3, 9, 3)
    lengths, keep = torch.tensor([9, 6, 9]), torch.ones(3, 9, dtype=torch.bool)
    x[0, 8, 1] = torch.nan
    keep[2, 7:] = False
    values, *_ = encoder.relative(x, lengths, keep)
    for row, (channel, last) in enumerate([(1, 7), (1, 5), (1, 6)]):
        past = x[row, : last + 1, channel]
        expected = (past - past[-1]) / (past.var(correction=0) + encoder.config.floor**2).sqrt()
        torch.testing.assert_close(values[row, : last + 1, channel], expected)
    assert bool(values[0, 8, 1].isnan()), "a missing value stays missing"


@pytest.mark.parametrize("scale", [False, True])
def test_constant_and_empty_targets_give_finite_frames_and_gradients(scale: bool) -> None:
    encoder = relative(scale=scale, restore=scale, carry=scale)
    x = torch.full((2, 9, 3), 5.0, dtype=torch.float64)
    x[1] = torch.nan
    x.requires_grad_()
    frames = encoder(x).values
    frames.sum().backward()
    assert bool(torch.isfinite(frames).all())
    assert x.grad is not None
    assert bool(torch.isfinite(x.grad).all())


@pytest.mark.parametrize(
    "options",
    [{}, {"by": "mean", "scale": True, "restore": True}, {"carry": True}],
    ids=["last", "restored", "carried"],
)
def test_each_window_of_a_series_has_its_own_reference(options: dict[str, Any]) -> None:
    encoder, x = relative(**options), series(30, 3)
    found = encode_last_windows(encoder, x, window=9, batch=7)
    before = torch.cat([torch.full((8, 3), torch.nan), x])  # what lies before the series is missing
    with torch.no_grad():
        alone = torch.stack([encoder(before[step : step + 9][None]).values[0, -1] for step in range(30)])
    torch.testing.assert_close(found, alone)


@pytest.mark.parametrize("block", OWN.values(), ids=OWN.keys())
def test_it_is_as_wide_and_as_thick_as_what_it_holds(block: dict[str, Any]) -> None:
    encoder = configure("encoder", {"uses": "relative", "encoder": block}).build(INFO)
    inner = encoder.inner
    for name in ("dim", "stride", "masks", "max_length", "padding_invariant", "exportable", "why_not_exportable"):
        assert getattr(encoder, name) == getattr(inner, name)


def test_restoring_what_was_not_scaled_is_refused() -> None:
    with pytest.raises(NestedInvalid) as refused:
        configure("encoder", {"uses": "relative", "restore": True})
    assert "set `scale: true` as well" in str(refused.value.errors)
