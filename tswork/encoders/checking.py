"""One function that checks any encoder, built-in or of a plug-in, against the interface.

Call it from a test: `check_encoder(lambda info: MyEncoder(MyConfig(), info))`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from tswork.data.collection import DataInfo
from tswork.encoders.base import Encoder
from tswork.random import seeded

TIME = 24
CHANNELS = 3


def check_encoder(build: Callable[[DataInfo], Encoder], *, tolerance: float = 1e-5) -> None:
    """Raise `AssertionError` with what an encoder breaks.

    Checked: shapes and lengths, evaluation twice alike, the input left alone, missing values that do not spread, hidden steps
    that are hidden, padding without effect (where declared), `last` equal to the last frame, and finite gradients.
    """
    info = DataInfo(tuple(f"channel_{number}" for number in range(CHANNELS)), max_length=TIME)
    with seeded(0):
        encoder = build(info).eval()
        x = torch.randn(4, TIME, CHANNELS)
    with torch.no_grad():
        _check_frames(encoder, x)
        _check_missing(encoder, x)
        _check_keep(encoder, x)
        _check_last(encoder, x, tolerance)
        if encoder.padding_invariant:
            _check_padding(encoder, x, tolerance)
    _check_gradients(encoder, x)


def _check_frames(encoder: Encoder, x: torch.Tensor) -> None:
    before = x.clone()
    frames = encoder(x)
    assert frames.values.ndim == 3, "frames should be (batch, frame, dim)"
    assert frames.values.shape[0] == len(x), "one row of frames a sequence"
    assert frames.values.shape[2] == encoder.dim, (
        f"a frame has {frames.values.shape[2]} numbers, `dim` says {encoder.dim}"
    )
    assert frames.lengths.shape == (len(x),), "one length a sequence"
    assert int(frames.lengths.max()) <= frames.values.shape[1], "a length reaches past the frames"
    assert torch.equal(x, before), "the input was modified"
    assert torch.equal(encoder(x).values, frames.values), "two evaluations differ"
    assert torch.isfinite(frames.values).all(), "frames are not finite"


def _check_missing(encoder: Encoder, x: torch.Tensor) -> None:
    holed = x.clone()
    holed[0, 5, 1] = torch.nan
    before = holed.clone()
    frames = encoder(holed)
    assert torch.isfinite(frames.values).all(), "a missing value spread"
    assert torch.equal(holed.isnan(), before.isnan()), "missing values of the input were modified"
    torch.testing.assert_close(frames.values[1:], encoder(x).values[1:], msg="a missing value changed another sequence")


def _check_keep(encoder: Encoder, x: torch.Tensor) -> None:
    keep = torch.ones(x.shape[:2], dtype=torch.bool)
    torch.testing.assert_close(
        encoder(x, None, keep=keep).values, encoder(x).values, msg="keeping all steps changed frames"
    )
    keep[:, 7] = False
    changed = x.clone()
    changed[:, 7] += 100.0
    hidden = encoder(x, None, keep=keep).values
    torch.testing.assert_close(encoder(changed, None, keep=keep).values, hidden, msg="a hidden step was seen")
    assert not torch.equal(hidden, encoder(x).values), "hiding a step changed nothing"


def _check_last(encoder: Encoder, x: torch.Tensor, tolerance: float) -> None:
    frames = encoder(x)
    rows = torch.arange(len(x))
    expected = frames.values[rows, frames.lengths - 1]
    torch.testing.assert_close(
        encoder.last(x), expected, rtol=tolerance, atol=tolerance, msg="`last` is not the last frame"
    )


def _check_padding(encoder: Encoder, x: torch.Tensor, tolerance: float) -> None:
    lengths = torch.tensor([TIME, TIME - 1, TIME // 2, 1])
    padded = x.clone()
    for row, length in enumerate(lengths.tolist()):
        padded[row, length:] = 1e3
    frames = encoder(padded, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone = encoder(x[row : row + 1, :length])
        count = int(frames.lengths[row])
        assert count == int(alone.lengths[0]), f"{count} frames in a batch, {int(alone.lengths[0])} alone"
        torch.testing.assert_close(
            frames.values[row, :count],
            alone.values[0, :count],
            rtol=tolerance,
            atol=tolerance,
            msg="padding changed a result",
        )
        last = encoder.last(padded, lengths)[row]
        torch.testing.assert_close(
            last, alone.values[0, count - 1], rtol=tolerance, atol=tolerance, msg="padding changed `last`"
        )


def _check_gradients(encoder: Encoder, x: torch.Tensor) -> None:
    encoder.train()
    with seeded(1):
        encoder(x).values.square().mean().backward()
    gradients = [parameter.grad for parameter in encoder.parameters() if parameter.grad is not None]
    assert gradients, "no parameter received a gradient"
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients), "a gradient is not finite"
