"""The transformer against torch's own layers, its positions and its patches."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from tests.encoders.blocks import build
from tests.reference import encoders as plain
from tswork.encoders.transformer import Transformer, positions
from tswork.errors import ModelUnfit


def transformer(**options: Any) -> Transformer:
    encoder = build({"uses": "transformer", "dim": 16, "layers": 2, "heads": 2, **options}).double()
    assert isinstance(encoder, Transformer)
    return encoder


@pytest.mark.parametrize("patch", [1, 4])
@pytest.mark.parametrize("time", [1, 11, 12])
def test_frames_equal_those_of_torchs_layers(patch: int, time: int) -> None:
    encoder = transformer(patch=patch)
    x = torch.randn(3, time, 3, dtype=torch.float64)
    lengths = torch.tensor([time, max(1, time - 5), 1])
    with torch.no_grad():
        frames = encoder(x, lengths)
        expected = plain.transformer(encoder, x, lengths)
    valid = torch.arange(frames.values.shape[1]) < frames.lengths[:, None]
    torch.testing.assert_close(frames.values[valid], expected[valid], rtol=1e-10, atol=1e-10)


def test_positions_are_sines_and_cosines() -> None:
    found = positions(torch.zeros(1, 5, 6))
    for frame in range(5):
        for pair in range(3):
            angle = frame / 10_000 ** (2 * pair / 6)
            assert found[frame, 2 * pair].item() == pytest.approx(math.sin(angle), abs=1e-5)
            assert found[frame, 2 * pair + 1].item() == pytest.approx(math.cos(angle), abs=1e-5)


@pytest.mark.parametrize(("steps", "frames"), [(1, 1), (4, 1), (5, 2), (8, 2), (11, 3)])
def test_a_patch_that_is_not_full_counts_as_a_frame(steps: int, frames: int) -> None:
    encoder = transformer(patch=4)
    x = torch.randn(2, 11, 3, dtype=torch.float64)
    assert encoder(x, torch.tensor([11, steps])).lengths.tolist() == [3, frames]
    assert encoder(x[:, :steps]).values.shape[1] == frames


def test_a_sequence_of_no_steps_spoils_nothing() -> None:
    encoder = transformer()
    frames = encoder(torch.randn(2, 5, 3, dtype=torch.float64), torch.tensor([5, 0]))
    assert torch.isfinite(frames.values).all()
    assert frames.lengths.tolist() == [5, 0]


@pytest.mark.parametrize(("dim", "heads"), [(16, 3), (9, 3)])
def test_a_width_that_cannot_be_shared_among_heads_or_positions_is_refused(dim: int, heads: int) -> None:
    with pytest.raises(ModelUnfit, match=f"a width of {dim} does not fit {heads} heads. Choose an even multiple"):
        transformer(dim=dim, heads=heads)


@pytest.mark.parametrize("name", ["transformer", "conformer_small"])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_weights_of_attention_are_dropped_in_training_alone_and_where_it_is_asked_for(name: str, share: float) -> None:
    front = {"front_end": "none"} if name == "conformer_small" else {}
    block = {"uses": name, "dim": 16, "layers": 1, "heads": 2, "dropout": 0.0, "attention_dropout": share, **front}
    encoder, x = build(block), torch.randn(3, 24, 3)
    with torch.no_grad():
        judged, again = encoder.eval()(x).values, encoder.eval()(x).values
        first, second = encoder.train()(x).values, encoder.train()(x).values
    torch.testing.assert_close(judged, again, rtol=0, atol=0)
    assert torch.allclose(first, second) == torch.allclose(first, judged, atol=1e-6) == (share == 0.0)
