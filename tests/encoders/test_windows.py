"""Features of all windows of a series equal those of a plain loop over windows."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.encoders.blocks import DILATED_CONV, OWN, TSAI, build
from tests.reference import encoders as plain
from tswork.encoders.windows import encode_last_windows


@pytest.mark.parametrize("block", [*OWN.values(), TSAI["TCN"]], ids=[*OWN, "TCN"])
def test_windows_of_a_series_are_encoded_as_if_one_by_one(block: dict[str, Any]) -> None:
    encoder = build(block).double()
    series = torch.randn(40, 3, dtype=torch.float64)
    series[20, 0] = torch.nan
    fast = encode_last_windows(encoder, series, window=15, batch=7)
    with torch.no_grad():
        torch.testing.assert_close(fast, plain.last_of_windows(encoder, series, 15), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("time", "window"), [(1, 1), (1, 9), (5, 1), (5, 9), (9, 9)])
def test_series_shorter_than_a_window_have_features_too(time: int, window: int) -> None:
    encoder = build(DILATED_CONV).double()
    series = torch.randn(time, 3, dtype=torch.float64)
    fast = encode_last_windows(encoder, series, window=window)
    assert fast.shape == (time, 16)
    with torch.no_grad():
        torch.testing.assert_close(fast, plain.last_of_windows(encoder, series, window), rtol=1e-10, atol=1e-10)


def test_in_single_precision_they_agree_to_five_digits() -> None:
    encoder, series = build(DILATED_CONV), torch.randn(60, 3)
    fast = encode_last_windows(encoder, series, window=31)
    with torch.no_grad():
        torch.testing.assert_close(fast, plain.last_of_windows(encoder, series, 31), rtol=1e-5, atol=1e-5)


def test_a_window_knows_nothing_of_what_comes_after_it() -> None:
    encoder, series = build(DILATED_CONV), torch.randn(30, 3)
    changed = series.clone()
    changed[20:] = torch.nan
    before, after = (encode_last_windows(encoder, one, window=9)[:20] for one in (series, changed))
    torch.testing.assert_close(before, after)


def test_a_missing_step_changes_the_windows_that_hold_it_and_no_others() -> None:
    encoder, series = build(DILATED_CONV), torch.randn(40, 3)
    holed = series.clone()
    holed[20, 1] = torch.nan
    kept = holed.clone()
    before, after = (encode_last_windows(encoder, one, window=9, batch=40) for one in (series, holed))
    holding = torch.zeros(40, dtype=torch.bool)
    holding[20:29] = True
    torch.testing.assert_close(before[~holding], after[~holding])
    assert (before[holding] != after[holding]).any(dim=1).all()
    assert torch.isfinite(after).all()
    assert torch.equal(holed.isnan(), kept.isnan())


def test_the_encoder_returns_to_the_mode_it_was_in() -> None:
    encoder = build(DILATED_CONV).train()
    features = encode_last_windows(encoder, torch.randn(5, 3), window=3)
    assert encoder.training
    assert not features.requires_grad


@pytest.mark.parametrize("block", [*OWN.values(), TSAI["TCN"]], ids=[*OWN, "TCN"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_windows_that_are_asked_for_are_encoded_as_among_all(block: dict[str, Any], dtype: torch.dtype) -> None:
    encoder, series = build(block).to(dtype), torch.randn(60, 3, dtype=dtype)
    series[20, 0] = torch.nan
    every = encode_last_windows(encoder, series, window=15)
    ends = torch.tensor([0, 3, 4, 5, 6, 20, 27, 40, 41, 42, 58, 59])
    tolerance = 1e-10 if dtype == torch.float64 else 1e-5
    for some, batch in ((ends, 5), (ends, 256), (ends[3:4], 1), (torch.arange(20, 50), 7), (torch.arange(60), 1)):
        found = encode_last_windows(encoder, series, some, window=15, batch=batch)
        torch.testing.assert_close(found, every[some], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("block", [DILATED_CONV, OWN["causal_mixture"]], ids=["dilated_conv", "causal_mixture"])
def test_windows_that_nobody_asks_for_are_not_encoded(block: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, series, activated = build(block), torch.randn(300, 3), 0
    gelu = functional.gelu

    def counting(values: Tensor) -> Tensor:
        nonlocal activated
        activated += values.numel()
        return gelu(values)

    monkeypatch.setattr(functional, "gelu", counting)
    encode_last_windows(encoder, series, window=31)
    every, activated = activated, 0
    encode_last_windows(encoder, series, torch.arange(5, 300, 20), window=31)
    assert activated < every / 2  # what windows share is computed for the whole series
