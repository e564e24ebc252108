"""The last frames of windows by the mixture's trunk: equal to windows encoded one by one, whatever they share."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.encoders.blocks import build
from tests.reference import encoders as plain
from tswork.encoders import causal_mixture, dilated_ends
from tswork.encoders.causal_mixture import CausalMixture
from tswork.encoders.dilated_conv import Block
from tswork.encoders.windows import encode_last_windows

CUDA = pytest.param("cuda", marks=pytest.mark.cuda)


def mixture(**options: Any) -> CausalMixture:
    block = {"uses": "causal_mixture", "depth": 9, "hidden": 6, "dim": 5, "kernels": [1, 2, 4, 8, 16], **options}
    encoder = build(block, channels=2)
    assert isinstance(encoder, CausalMixture)
    return encoder.double()


def series(steps: int, seed: int = 0) -> Tensor:
    return torch.randn(steps, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def one_by_one(encoder: CausalMixture, values: Tensor, window: int) -> Tensor:
    """Each window whole through the plain twin."""
    padded = torch.cat([values.new_full((window - 1, values.shape[1]), torch.nan), values])
    windows = padded.unfold(0, window, 1).transpose(1, 2)
    with torch.no_grad():
        return torch.stack([plain.causal_mixture(encoder, one[None])[0, -1] for one in windows])


@pytest.mark.parametrize("window", [1, 2, 5, 11, 12, 13, 27, 28, 29, 60, 61, 90])
@pytest.mark.parametrize("depth", [1, 3, 9])
def test_windows_that_share_equal_windows_alone(window: int, depth: int) -> None:
    """The ends of windows meet in the second, third or fourth block, or never; the last dilation is inside and outside."""
    values = series(70)
    values[[0, 31, 32, 69], [0, 1, 0, 1]] = torch.nan
    fast = encode_last_windows(mixture(depth=depth), values, window=window)
    torch.testing.assert_close(fast, one_by_one(mixture(depth=depth), values, window), rtol=1e-10, atol=1e-10)


def test_the_published_trunk_and_window_in_single_precision() -> None:
    encoder = mixture(depth=10, hidden=16, dim=24, kernels=[2**power for power in range(8)]).float()
    values = series(40).float()
    fast = encode_last_windows(encoder, values, window=201)
    torch.testing.assert_close(fast, one_by_one(encoder, values, 201), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 7, 40, 1000])
def test_the_number_of_windows_at_a_time_changes_nothing(batch: int) -> None:
    values = series(40)
    whole = encode_last_windows(mixture(), values, window=30)
    torch.testing.assert_close(encode_last_windows(mixture(), values, window=30, batch=batch), whole)


@pytest.mark.parametrize("steps", [1, 3])
def test_a_series_shorter_than_its_window_is_encoded(steps: int) -> None:
    values = series(steps)
    fast = encode_last_windows(mixture(), values, window=50)
    torch.testing.assert_close(fast, one_by_one(mixture(), values, 50), rtol=1e-10, atol=1e-10)


def test_the_last_block_is_multiplied_into_the_mixture_where_that_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    folded: list[int] = []
    fold = causal_mixture.last_block_and_mixture

    def noted(block: Block, *rest: Any) -> Any:
        folded.append(block.dilation)
        return fold(block, *rest)

    monkeypatch.setattr(causal_mixture, "last_block_and_mixture", noted)
    encode_last_windows(mixture(depth=4), series(5), window=16)  # no more windows than a frame is wide
    encode_last_windows(mixture(depth=4), series(6), window=17)  # the last dilation, 16, is inside the window
    assert folded == []
    encode_last_windows(mixture(depth=4), series(6), window=16)
    assert folded == [16]


def test_a_window_computes_its_ends_and_what_its_last_steps_need(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five blocks pass over the series once; of the rest, the last 128 steps and those that they depend on are computed."""
    computed: list[tuple[int, int]] = []
    convolved = dilated_ends._convolved

    def noted(convolution: Any, x: Tensor, start: int, stop: int) -> Tensor:
        computed.append((x.shape[1], stop - start))
        return convolved(convolution, x, start, stop)

    monkeypatch.setattr(dilated_ends, "_convolved", noted)
    encode_last_windows(mixture(depth=10, kernels=[128]), series(300), window=201, batch=300)
    over_series = [steps for windows, steps in computed if windows == 1]
    alone = [steps for windows, steps in computed if windows == 300]
    assert over_series == [500] * 10
    ends = [(1, 2), (4, 6), (10, 14), (22, 30), (46, 62)]
    above = [201, 201, 201, 201, 201, 128, 128, 128, 128, 128]
    assert alone == [steps for inner, outer in ends for steps in (inner, outer, inner, outer)] + above


def test_a_step_changes_the_windows_that_hold_it_and_no_others() -> None:
    values, window, at = series(60), 23, 30
    changed = values.clone()
    changed[at] += 1
    before, after = (encode_last_windows(mixture(), one, window=window) for one in (values, changed))
    differ = (before != after).any(dim=1)
    assert differ[at : at + window].all()
    assert not differ[:at].any()
    assert not differ[at + window :].any()


@pytest.mark.parametrize("device", [CUDA])
def test_windows_on_a_gpu_equal_those_on_the_cpu(device: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU")
    model, values = mixture(), series(80)
    expected = encode_last_windows(model, values, window=41)
    found = encode_last_windows(model.to(device), values, window=41)
    assert found.device.type == "cuda"
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-10, atol=1e-10)
