"""Every encoder of the house keeps the interface; the fast forms equal their plain twins."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.reference import encoders as plain
from tswork.config import configure
from tswork.data.collection import DataInfo
from tswork.encoders.base import Encoder
from tswork.encoders.checking import check_encoder
from tswork.encoders.dilated_conv import Block, DilatedConv, DilatedConvConfig
from tswork.encoders.windows import encode_last_windows
from tswork.errors import ModelUnfit
from tswork.random import seeded

BLOCKS: list[dict[str, object]] = [
    {"uses": "dilated_conv", "depth": 4, "dim": 16, "hidden": 8},
    {"uses": "recurrent", "dim": 16},
    {"uses": "recurrent", "dim": 16, "cell": "gru", "bidirectional": True},
    {"uses": "transformer", "dim": 16, "layers": 2},
    {"uses": "transformer", "dim": 16, "layers": 1, "patch": 4},
    {"uses": "tsai", "model": "InceptionTimePlus", "options": {"nf": 4}},
    {"uses": "tsai", "model": "XceptionTimePlus", "options": {"nf": 4}},
    {"uses": "tsai", "model": "ResNetPlus", "options": {"nf": 4}},
    {"uses": "tsai", "model": "TSTPlus", "options": {"d_model": 16, "n_layers": 1, "n_heads": 2}},
    {"uses": "tsai", "model": "TCN", "options": {"layers": [8, 8]}},
    {"uses": "tsai", "model": "PatchTST", "options": {"d_model": 16, "n_heads": 2, "d_ff": 16}},
]


def build(block: dict[str, object], channels: int = 3, length: int = 24) -> Encoder:
    info = DataInfo(tuple(f"c{number}" for number in range(channels)), max_length=length)
    with seeded(0):
        encoder: Encoder = configure("encoder", block).build(info)
    return encoder.eval()


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: str(block.get("model", block["uses"])))
def test_every_encoder_keeps_the_interface(block: dict[str, object]) -> None:
    check_encoder(lambda info: configure("encoder", block).build(info))


@pytest.mark.parametrize(("channels", "count"), [(1, 637_248), (8, 637_696), (14, 638_080)])
def test_dilated_conv_has_the_published_number_of_parameters(channels: int, count: int) -> None:
    assert sum(parameter.numel() for parameter in build({"uses": "dilated_conv"}, channels).parameters()) == count


def test_the_forward_pass_equals_the_plain_twin() -> None:
    encoder = build({"uses": "dilated_conv", "depth": 5, "dim": 12, "hidden": 8}).double()
    assert isinstance(encoder, DilatedConv)
    x = torch.randn(2, 70, 3, dtype=torch.float64)
    x[0, 10, 2] = torch.nan
    with torch.no_grad():
        torch.testing.assert_close(encoder(x).values, plain.dilated_conv(encoder, x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("time", [1, 2, 3, 8, 33, 64, 201])
def test_the_pruned_last_step_equals_the_whole_forward_pass(time: int) -> None:
    encoder = build({"uses": "dilated_conv", "depth": 7, "dim": 12, "hidden": 8}).double()
    x = torch.randn(2, time, 3, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(encoder.last(x), encoder(x).values[:, -1], rtol=1e-10, atol=1e-10)


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


@pytest.mark.parametrize("block", [BLOCKS[0], BLOCKS[1], BLOCKS[3]], ids=["dilated_conv", "recurrent", "transformer"])
def test_windows_of_a_series_are_encoded_as_if_one_by_one(block: dict[str, object]) -> None:
    encoder = build(block).double()
    series = torch.randn(40, 3, dtype=torch.float64)
    series[20, 0] = torch.nan
    fast = encode_last_windows(encoder, series, window=15, batch=7)
    with torch.no_grad():
        torch.testing.assert_close(fast, plain.last_of_windows(encoder, series, 15), rtol=1e-10, atol=1e-10)


def test_a_window_knows_nothing_of_what_comes_after_it() -> None:
    encoder = build(BLOCKS[0])
    series = torch.randn(30, 3)
    changed = series.clone()
    changed[20:] = torch.nan
    before, after = (encode_last_windows(encoder, one, window=9)[:20] for one in (series, changed))
    torch.testing.assert_close(before, after)


def test_a_hidden_last_step_is_hidden_and_all_hidden_leaves_nothing() -> None:
    encoder = build(BLOCKS[0])
    x, other = torch.randn(2, 24, 3), torch.randn(2, 24, 3)
    nothing = torch.zeros(2, 24, dtype=torch.bool)
    with torch.no_grad():
        torch.testing.assert_close(encoder(x, keep=nothing).values, encoder(other, keep=nothing).values)
        last = ~nothing
        last[:, -1] = False
        mixed = torch.cat([x[:, :-1], other[:, -1:]], dim=1)
        torch.testing.assert_close(encoder(x, keep=last).values, encoder(mixed, keep=last).values)


def test_what_tsai_cannot_serve_is_refused_by_name() -> None:
    with pytest.raises(ModelUnfit, match=r"tsai has no such model\. Did you mean 'InceptionTimePlus'\?"):
        build({"uses": "tsai", "model": "InceptionTimPlus"})
    with pytest.raises(ModelUnfit, match="has no option 'nff'"):
        build({"uses": "tsai", "model": "ResNetPlus", "options": {"nff": 3}})


def test_a_model_of_fixed_length_refuses_longer_input() -> None:
    encoder = build(BLOCKS[8])
    assert encoder.max_length == 24
    with pytest.raises(ModelUnfit, match="takes at most 24 steps, and 30 were given"):
        encoder(torch.randn(1, 30, 3))


@pytest.mark.parametrize("block", [BLOCKS[0], BLOCKS[3]], ids=["dilated_conv", "transformer"])
def test_exported_programs_take_any_batch_and_length(block: dict[str, object]) -> None:
    from tswork.methods.exporting import export_encoder

    encoder = build(block)
    program = export_encoder(encoder, channels=3).module()
    for batch, time in ((1, 17), (5, 40)):
        x = torch.randn(batch, time, 3)
        with torch.no_grad():
            torch.testing.assert_close(program(x), encoder(x).values, rtol=1e-4, atol=1e-5)


def test_the_config_is_checked() -> None:
    with pytest.raises(ModelUnfit, match="does not fit 3 heads"):
        build({"uses": "transformer", "dim": 16, "heads": 3})
    assert DilatedConvConfig().dim == 320
