"""Exported encoders take any batch and length, or the reason is given."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.encoders.blocks import BOTH_WAYS, CAUSAL_MIXTURE, DILATED_CONV, LSTM, PATCHES, TRANSFORMER, TSAI, build
from tswork.data.collection import DataInfo
from tswork.encoders.base import Frames
from tswork.encoders.dilated_conv import DilatedConv, DilatedConvConfig
from tswork.errors import ModelUnfit
from tswork.methods import exporting
from tswork.methods.exporting import export_encoder


@pytest.mark.parametrize(
    "block",
    [DILATED_CONV, CAUSAL_MIXTURE, TRANSFORMER, PATCHES],
    ids=["dilated_conv", "causal_mixture", "transformer", "transformer of patches"],
)
def test_exported_programs_take_any_batch_and_length(block: dict[str, Any]) -> None:
    encoder = build(block)
    program = export_encoder(encoder, channels=3).module()
    for batch, time in ((1, encoder.stride + 1), (2, 17), (5, 40), (3, 301)):
        x = torch.randn(batch, time, 3)
        with torch.no_grad():
            torch.testing.assert_close(program(x), encoder(x).values, rtol=1e-4, atol=1e-5)


def test_missing_values_are_no_trouble_to_a_program() -> None:
    encoder, x = build(DILATED_CONV), torch.randn(2, 20, 3)
    program = export_encoder(encoder, channels=3).module()
    x[0, 4:7] = torch.nan
    with torch.no_grad():
        torch.testing.assert_close(program(x), encoder(x).values, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:The given buffer is not writable")  # of torch's own reading
def test_a_saved_program_computes_the_same(tmp_path: Any) -> None:
    encoder, x = build(DILATED_CONV), torch.randn(2, 30, 3)
    torch.export.save(export_encoder(encoder, channels=3), tmp_path / "encoder.pt2")
    loaded = torch.export.load(tmp_path / "encoder.pt2").module()
    with torch.no_grad():
        torch.testing.assert_close(loaded(x), encoder(x).values, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("block", [LSTM, BOTH_WAYS], ids=["lstm", "gru both ways"])
def test_a_recurrent_encoder_says_why_it_is_not_exported(block: dict[str, Any]) -> None:
    with pytest.raises(
        ModelUnfit, match="Recurrent: computes step after step, and an exported program would hold those"
    ):
        export_encoder(build(block), channels=3)


def test_an_encoder_that_declares_nothing_says_so() -> None:
    with pytest.raises(ModelUnfit, match="Tsai: does not declare itself exportable"):
        export_encoder(build(TSAI["TCN"]), channels=3)


class Undecided(DilatedConv):
    """Does one thing or another as the values say, which no program can hold."""

    def forward(self, x: Tensor, lengths: Tensor | None = None, *, keep: Tensor | None = None) -> Frames:
        return super().forward(x if x.sum() > 0 else -x, lengths, keep=keep)


def test_what_torch_cannot_trace_is_refused_in_one_line() -> None:
    encoder = Undecided(DilatedConvConfig(depth=1, dim=4, hidden=4), DataInfo(("a", "b", "c")))
    with pytest.raises(ModelUnfit, match=r"^Undecided: cannot be exported: ") as refused:
        export_encoder(encoder, channels=3)
    assert "\n" not in str(refused.value)


def test_a_program_that_computes_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "TOLERANCE", -1.0)
    with pytest.raises(ModelUnfit, match=r"DilatedConv: the exported program differs by .* at 17 steps"):
        export_encoder(build(DILATED_CONV), channels=3)
