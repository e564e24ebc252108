"""CoST's encoder: published size, equality of its fast forms with plain ones, and what happens at other lengths."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

import tswork
from tests.encoders.blocks import TREND_SEASONAL, build
from tests.reference import cost as plain
from tests.reference import encoders as plain_encoders
from tswork.encoders import trend_seasonal
from tswork.encoders.base import Encoder, Ends
from tswork.encoders.dilated_conv import Block
from tswork.encoders.dilated_ends import last_block_and_sum
from tswork.encoders.mean_of_convolutions import MeanOfConvolutions
from tswork.encoders.trend_seasonal import SeasonalHead, TrendSeasonal
from tswork.encoders.windows import encode_last_windows
from tswork.errors import InvalidInput, ModelUnfit


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def small(length: int = 24, **options: Any) -> TrendSeasonal:
    encoder = build({**TREND_SEASONAL, "length": length, **options})
    assert isinstance(encoder, TrendSeasonal)
    return encoder.double()


def windows(batch: int, time: int) -> Tensor:
    x = torch.randn(batch, time, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(time))
    x[0, time // 2, 1] = torch.nan
    return x


def filled(x: Tensor, length: int) -> Tensor:
    """Windows whose first steps are missing."""
    return torch.cat([x.new_full((len(x), length - x.shape[1], x.shape[2]), torch.nan), x], dim=1)


def test_it_has_the_published_number_of_parameters() -> None:
    """The trunk of TS2Vec; 255 taps of 320 x 160 and eight biases; 101 complex matrices of 320 x 160 and their biases."""
    encoder = build({"uses": "trend_seasonal"}, channels=8)
    trend, seasonal = 255 * 320 * 160 + 8 * 160, 2 * 101 * (320 * 160 + 160)
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 637_696 + trend + seasonal
    assert encoder.dim == 320
    assert encoder.max_length == 201


@pytest.mark.parametrize("length", [1, 2, 7, 24, 25])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_frames_equal_those_of_the_plain_twin(length: int, dtype: torch.dtype, tolerance: float) -> None:
    encoder, x = small(length).to(dtype), windows(2, length).to(dtype)
    with torch.no_grad():
        found, expected = encoder(x).values, plain.encoded(encoder.double(), x.double())
    torch.testing.assert_close(found.double(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("length", [23, 24])
def test_fast_transforms_of_complex_numbers_give_the_same(length: int) -> None:
    encoder, x = small(length), windows(2, length)
    with torch.no_grad():
        close(encoder(x).values, plain.published(encoder, x))


def test_gradients_equal_those_of_the_plain_twin() -> None:
    encoder, x = small(), windows(2, 24)
    twin = copy.deepcopy(encoder)
    encoder(x).values.square().sum().backward()
    plain.encoded(twin, x).square().sum().backward()
    for ours, theirs in zip(encoder.parameters(), twin.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-9, atol=1e-9)


def test_hidden_steps_are_hidden_in_the_trunk() -> None:
    encoder, x, keep = small(), windows(3, 24), torch.rand(3, 24) < 0.6
    with torch.no_grad():
        close(encoder(x, keep=keep).values, plain.encoded(encoder, x, keep))


@pytest.mark.parametrize("time", [24, 23, 9, 1])
def test_a_shorter_sequence_is_the_end_of_a_window_whose_first_steps_are_missing(time: int) -> None:
    encoder, x = small(), windows(2, time)
    keep = torch.rand(2, time, generator=torch.Generator().manual_seed(0)) < 0.7
    whole = torch.cat([torch.ones(2, 24 - time, dtype=torch.bool), keep], dim=1)
    with torch.no_grad():
        expected = plain.encoded(encoder, filled(x, 24))[:, -time:]
        hidden = plain.encoded(encoder, filled(x, 24), whole)[:, -time:]
        close(encoder(x).values, expected)
        close(encoder(x, keep=keep).values, hidden)


def test_a_longer_sequence_is_refused() -> None:
    said = r"trend_seasonal: its seasonal head belongs to windows of 24 steps, and 30 were given\. Set its `length:`"
    for refused in (
        lambda: small()(windows(1, 30)),
        lambda: small().last(windows(1, 30)),
        lambda: encode_last_windows(small(), windows(1, 40)[0], window=30),
    ):
        with pytest.raises(ModelUnfit, match=said):
            refused()


@pytest.mark.parametrize("length", [2, 23, 24])
def test_the_last_step_is_one_linear_map_of_all_frames(length: int) -> None:
    encoder, x = small(length), windows(3, length)
    frames = torch.randn(3, length, 12, dtype=torch.float64)
    with torch.no_grad():
        whole = encoder.seasonal(frames)[:, -1]
        close(encoder.seasonal.last()(frames), whole)
        close(encoder.last(x), plain.encoded(encoder, x)[:, -1])


def test_the_published_network_gives_its_last_step_exactly() -> None:
    encoder = build({"uses": "trend_seasonal"}, channels=8)
    x = torch.randn(2, 201, 8)
    with torch.no_grad():
        torch.testing.assert_close(encoder.last(x), encoder(x).values[:, -1], rtol=1e-5, atol=1e-5)


def test_each_sequence_has_its_own_end() -> None:
    encoder, lengths = small(), torch.tensor([20, 13, 1])
    x = windows(3, 20)
    with torch.no_grad():
        found = encoder.last(x, lengths)
        for row, length in enumerate(lengths.tolist()):
            alone = plain.encoded(encoder, filled(x[row : row + 1, :length], 24))[0, -1]
            close(found[row], alone)


@pytest.mark.parametrize("window", [1, 9, 23, 24])
@pytest.mark.parametrize("batch", [7, 1000])
def test_windows_of_a_series_equal_windows_alone(window: int, batch: int) -> None:
    encoder, series = small(), windows(1, 50)[0]
    fast = encode_last_windows(encoder, series, window=window, batch=batch)
    with torch.no_grad():
        close(fast, plain_encoders.last_of_windows(encoder, series, window))
        close(fast, Encoder.last_of_windows(encoder, series, [Ends(0, len(series))], window=window))


def test_windows_of_a_series_shorter_than_one() -> None:
    encoder, series = small(), windows(1, 5)[0]
    with torch.no_grad():
        expected = plain_encoders.last_of_windows(encoder, series, 24)
    close(encode_last_windows(encoder, series, window=24), expected)


def test_the_trend_is_causal_given_the_trunk_and_the_seasonal_features_are_not() -> None:
    encoder, frames = small(), torch.randn(1, 24, 12, dtype=torch.float64)
    changed = frames.clone()
    changed[:, 10] += 1
    with torch.no_grad():
        trend = (encoder.trend(frames) - encoder.trend(changed)).abs().amax(dim=2)[0] > 1e-9
        seasonal = (encoder.seasonal(frames) - encoder.seasonal(changed)).abs().amax(dim=2)[0] > 1e-9
    assert trend.nonzero().flatten().tolist() == list(range(10, 18))  # eight taps
    assert seasonal.all()


def test_its_parts_are_the_trend_at_one_step_and_all_seasonal_frames() -> None:
    encoder, x = small(), windows(4, 24)
    at = torch.tensor([0, 3, 11, 23])
    with torch.no_grad():
        parts, both = encoder.parts(x, at), plain.encoded(encoder, x)
    close(parts.trend, both[torch.arange(4), at, :6])
    close(parts.seasonal, both[:, :, 6:])


def test_parts_of_shorter_sequences_are_those_of_the_windows_they_end() -> None:
    encoder, x = small(), windows(3, 20)
    lengths, at = torch.tensor([20, 13, 1]), torch.tensor([19, 4, 0])
    with torch.no_grad():
        parts = encoder.parts(x, at, lengths)
        for row, (length, step) in enumerate(zip(lengths.tolist(), at.tolist(), strict=True)):
            both = plain.encoded(encoder, filled(x[row : row + 1, :length], 24))[0]
            close(parts.trend[row], both[24 - length + step, :6])
            close(parts.seasonal[row], both[:, 6:])


def test_dropout_falls_on_the_seasonal_half_in_training_alone() -> None:
    encoder = small(dropout=0.5)
    x = torch.randn(20, 24, 3, dtype=torch.float64)
    assert not (encoder(x).values == 0).any()
    encoder.train()
    zeros = (encoder(x).values == 0).double().mean(dim=(0, 1))
    assert not zeros[:6].any()
    torch.testing.assert_close(zeros[6:], torch.full((6,), 0.5, dtype=torch.float64), rtol=0.15, atol=0)
    last = torch.cat([encoder.last(x) for _ in range(20)])[:, 6:]
    assert (last == 0).double().mean().item() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("window", [20, 24])
def test_when_every_tap_but_the_centre_lies_outside_the_last_block_is_folded_too(
    window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, series = small(depth=5), windows(1, 50)[0]
    folded: list[tuple[int, ...]] = []

    def noted(block: Block, kernel: Tensor, bias: Tensor) -> Any:
        folded.append(tuple(kernel.shape))
        return last_block_and_sum(block, kernel, bias)

    monkeypatch.setattr(trend_seasonal, "last_block_and_sum", noted)
    fast = encode_last_windows(encoder, series, window=window, batch=20)
    assert folded == [(24, 12, 12)]
    with torch.no_grad():
        close(fast, plain_encoders.last_of_windows(encoder, series, window))


def test_fast_forms_compute_no_whole_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = small()
    monkeypatch.delattr(SeasonalHead, "forward")
    monkeypatch.delattr(MeanOfConvolutions, "forward")
    encode_last_windows(encoder, windows(1, 50)[0], window=24, batch=20)
    encoder.last(windows(2, 24))
    with pytest.raises(NotImplementedError):
        encoder(windows(2, 24))


def test_an_odd_width_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"dim: .*multiple of 2"):
        tswork.build_encoder({**TREND_SEASONAL, "dim": 7}, channels=3)
