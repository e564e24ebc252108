"""One function that checks any encoder, built-in or of a plug-in, against the interface.

Call it from a test: `check_encoder(lambda info: MyEncoder(MyConfig(), info))`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from tswork.data.collection import DataInfo
from tswork.encoders.base import Encoder
from tswork.errors import ModelUnfit
from tswork.random import seeded
from tswork.wording import counted

TIME = 24
CHANNELS = 3


def check_encoder(
    build: Callable[[DataInfo], Encoder], *, tolerance: float = 1e-5, steps: int = TIME, rate: float | None = None
) -> None:
    """Raise `AssertionError` with what an encoder breaks; `steps` and `rate` are those of the data it is built for.

    Checked: shapes and lengths, a frame a step at stride 1, sequences that do not see each other, single steps and odd
    lengths, a limit that is kept, evaluation twice alike, the input left alone, missing values that do not spread, hidden
    steps that are hidden, padding without effect (where declared), `last` equal to the last frame, and finite gradients.
    """
    info = DataInfo(tuple(f"channel_{number}" for number in range(CHANNELS)), max_length=steps, rate=rate)
    with seeded(0):
        encoder = build(info).eval()
        x = torch.randn(4, steps, CHANNELS)
    with torch.no_grad():
        _check_frames(encoder, x)
        _check_lengths(encoder, x, tolerance)
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
        f"a frame has {counted(frames.values.shape[2], 'number')}, `dim` says {encoder.dim}"
    )
    assert frames.lengths.shape == (len(x),), "one length a sequence"
    assert int(frames.lengths.max()) <= frames.values.shape[1], "a length reaches past the frames"
    assert torch.equal(x, before), "the input was modified"
    assert torch.equal(encoder(x).values, frames.values), "two evaluations differ"
    assert torch.isfinite(frames.values).all(), "frames are not finite"


def _check_lengths(encoder: Encoder, x: torch.Tensor, tolerance: float) -> None:
    whole = x.shape[1]
    for time in (whole, whole - 1, 7, 2, 1):
        cut = x[:, :time]
        frames, full = encoder(cut), torch.full((len(x),), time)
        if encoder.stride == 1:
            assert frames.values.shape[1] == time, (
                f"{counted(frames.values.shape[1], 'frame')} of {counted(time, 'step')}, `stride` says 1"
            )
            assert torch.equal(frames.lengths, full), "at stride 1 a sequence has as many frames as steps"
        assert int(frames.lengths.min()) >= 1, f"{counted(time, 'step gives', 'steps give')} no frame"
        assert torch.isfinite(frames.values).all(), f"frames of {counted(time, 'step')} are not finite"
        given = encoder(cut, full)
        assert torch.equal(given.lengths, frames.lengths), "full lengths give other lengths than none"
        _close(given.values, frames.values, tolerance, "full lengths give other frames than none")
        _close(encoder(cut[1:2]).values, frames.values[1:2], tolerance, "a sequence alone gives other frames")
    if encoder.max_length is not None:
        longer = torch.zeros(1, encoder.max_length + 1, x.shape[2])
        try:
            encoder(longer)
        except ModelUnfit:
            return
        raise AssertionError(f"`max_length` says {encoder.max_length}, and more was not refused with `ModelUnfit`")


def _check_missing(encoder: Encoder, x: torch.Tensor) -> None:
    holed = x.clone()
    holed[0, 5, 1] = torch.nan
    before = holed.clone()
    frames = encoder(holed)
    assert torch.isfinite(frames.values).all(), "a missing value spread"
    assert torch.equal(holed.isnan(), before.isnan()), "missing values of the input were modified"
    torch.testing.assert_close(frames.values[1:], encoder(x).values[1:], msg="a missing value changed another sequence")
    nothing = torch.full_like(x[:1], torch.nan)
    for found in (encoder(nothing).values, encoder.last(nothing)):
        assert torch.isfinite(found).all(), "a sequence without any value gives what is not finite"


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
    if encoder.latent_dim is not None:
        channels = keep[..., None].repeat(1, 1, encoder.latent_dim)
        torch.testing.assert_close(
            encoder(x, None, keep=channels).values, hidden, msg="a step whose channels are all hidden is not hidden"
        )
        channels[:, 7, 0] = True
        assert not torch.equal(encoder(x, None, keep=channels).values, hidden), "a channel that is kept was not seen"


def _check_last(encoder: Encoder, x: torch.Tensor, tolerance: float) -> None:
    for cut in (x, x[:, :-1], x[:1, :1]):
        frames = encoder(cut)
        expected = frames.values[torch.arange(len(cut)), frames.lengths - 1]
        _close(encoder.last(cut), expected, tolerance, "`last` is not the last frame")


def _check_padding(encoder: Encoder, x: torch.Tensor, tolerance: float) -> None:
    time = x.shape[1]
    lengths = torch.tensor([time, time - 1, time // 2, 1])
    keep = torch.ones(x.shape[:2], dtype=torch.bool)
    keep[:, 3] = False
    for filling in (1e3, torch.nan):
        padded = torch.where((torch.arange(time) < lengths[:, None])[..., None], x, filling)
        frames, hidden = encoder(padded, lengths), encoder(padded, lengths, keep=keep)
        last = encoder.last(padded, lengths)
        for row, length in enumerate(lengths.tolist()):
            alone = encoder(x[row : row + 1, :length])
            count = int(frames.lengths[row])
            assert count == int(alone.lengths[0]), (
                f"{counted(count, 'frame')} in a batch, {int(alone.lengths[0])} alone"
            )
            _close(frames.values[row, :count], alone.values[0, :count], tolerance, "padding changed a result")
            _close(last[row], alone.values[0, count - 1], tolerance, "padding changed `last`")
            alone = encoder(x[row : row + 1, :length], keep=keep[row : row + 1, :length])
            message = "padding changed a result with hidden steps"
            _close(hidden.values[row, :count], alone.values[0, :count], tolerance, message)


def _close(found: torch.Tensor, expected: torch.Tensor, tolerance: float, message: str) -> None:
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance, msg=message)


def _check_gradients(encoder: Encoder, x: torch.Tensor) -> None:
    encoder.train()
    with seeded(1):
        encoder(x).values.square().mean().backward()
    gradients = [parameter.grad for parameter in encoder.parameters() if parameter.grad is not None]
    assert gradients, "no parameter received a gradient"
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients), "a gradient is not finite"
