"""LSTM and GRU against torch's own, one way and both ways."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from torch import nn

from tests.encoders.blocks import BOTH_WAYS, LSTM, build
from tests.reference import encoders as plain
from tswork.encoders.recurrent import Recurrent


def recurrent(**options: Any) -> Recurrent:
    encoder = build({"uses": "recurrent", "dim": 8, **options}).double()
    assert isinstance(encoder, Recurrent)
    return encoder


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
def test_frames_equal_those_of_torchs_packed_module(
    cell: Literal["lstm", "gru"], bidirectional: bool, layers: int
) -> None:
    encoder = recurrent(cell=cell, bidirectional=bidirectional, layers=layers)
    x, lengths = torch.randn(4, 12, 3, dtype=torch.float64), torch.tensor([12, 7, 12, 1])
    with torch.no_grad():
        found, expected = encoder(x, lengths).values, plain.recurrent(encoder, x, lengths)
    valid = torch.arange(12) < lengths[:, None]
    torch.testing.assert_close(found[valid], expected[valid], rtol=1e-10, atol=1e-10)


def test_one_way_is_causal_and_both_ways_are_not() -> None:
    x = torch.randn(1, 10, 3)
    changed = x.clone()
    changed[:, 5:] += 1
    for block, causal in ((LSTM, True), (BOTH_WAYS, False)):
        encoder = build(block)
        with torch.no_grad():
            same = torch.equal(encoder(x).values[:, :5], encoder(changed).values[:, :5])
        assert same is causal


def test_each_way_has_half_of_the_width() -> None:
    encoder = recurrent(dim=9, bidirectional=True)
    assert encoder.dim == 8
    assert isinstance(encoder.forwards[0], nn.LSTM)
    assert encoder.forwards[0].hidden_size == 4
