"""The last frame of every window: equal to windows encoded one by one, whatever they share."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.reference import encoders as plain
from tswork.data.collection import DataInfo
from tswork.encoders.dilated_conv import Block, DilatedConv, DilatedConvConfig
from tswork.encoders.windows import encode_last_windows
from tswork.random import seeded

CUDA = pytest.param("cuda", marks=pytest.mark.cuda)


def encoder(depth: int = 9, hidden: int = 6, dim: int = 5) -> DilatedConv:
    with seeded(1):
        built = DilatedConv(DilatedConvConfig(depth=depth, hidden=hidden, dim=dim), DataInfo(("a", "b")))
    return built.double().eval()


def series(steps: int, seed: int = 0) -> Tensor:
    return torch.randn(steps, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("window", [1, 2, 10, 11, 12, 21, 22, 23, 24, 43, 64, 90])
@pytest.mark.parametrize("depth", [1, 3, 9])
def test_windows_that_share_equal_windows_alone(window: int, depth: int) -> None:
    values = series(70)
    values[[0, 31, 32, 69], [0, 1, 0, 1]] = torch.nan
    fast = encode_last_windows(encoder(depth), values, window=window)
    with torch.no_grad():
        torch.testing.assert_close(fast, plain.last_of_windows(encoder(depth), values, window), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("batch", [1, 7, 40, 1000])
def test_the_number_of_windows_at_a_time_changes_nothing(batch: int) -> None:
    values = series(40)
    whole = encode_last_windows(encoder(), values, window=30)
    torch.testing.assert_close(encode_last_windows(encoder(), values, window=30, batch=batch), whole)


def test_a_series_shorter_than_its_window_is_encoded() -> None:
    values = series(3)
    fast = encode_last_windows(encoder(), values, window=50)
    with torch.no_grad():
        torch.testing.assert_close(fast, plain.last_of_windows(encoder(), values, 50), rtol=1e-10, atol=1e-10)


def test_a_step_changes_the_windows_that_hold_it_and_no_others() -> None:
    values, window, at = series(60), 23, 30
    changed = values.clone()
    changed[at] += 1
    before, after = (encode_last_windows(encoder(), one, window=window) for one in (values, changed))
    differ = (before != after).any(dim=1)
    assert differ[at : at + window].all()
    assert not differ[:at].any()
    assert not differ[at + window :].any()


def test_windows_go_through_the_first_blocks_together(monkeypatch: pytest.MonkeyPatch) -> None:
    whole: list[int] = []
    grids: list[int] = []
    forward, thin = Block.forward, Block.thin

    def passed(block: Block, hidden: Tensor, inside: Tensor | None) -> Tensor:
        whole.append(hidden.shape[-1])
        return forward(block, hidden, inside)

    def thinned(block: Block, grid: Tensor, inside: Tensor | None) -> Tensor:
        grids.append(grid.shape[-1])
        return thin(block, grid, inside)

    monkeypatch.setattr(Block, "forward", passed)
    monkeypatch.setattr(Block, "thin", thinned)
    encode_last_windows(encoder(), series(300), window=201, batch=500)
    assert whole == [500, 500, 500, 500, 500]
    assert grids == [7, 4, 2, 1, 1]


def test_the_encoder_is_left_as_it_was() -> None:
    model = encoder().train()
    encode_last_windows(model, series(20), window=15)
    assert model.training


@pytest.mark.parametrize("device", [CUDA])
def test_windows_on_a_gpu_equal_those_on_the_cpu(device: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU")
    model, values = encoder(), series(80)
    expected = encode_last_windows(model, values, window=41)
    found = encode_last_windows(model.to(device), values, window=41)
    assert found.device.type == "cuda"
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-10, atol=1e-10)
