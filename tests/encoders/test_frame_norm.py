"""Frames of one size: what they are, and that everything else is the inner encoder's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.encoders.blocks import CAUSAL_MIXTURE, DILATED_CONV, PATCHES
from tswork.config import configure
from tswork.data.collection import DataInfo
from tswork.encoders.base import Encoder, Ends
from tswork.encoders.frame_norm import FrameNorm
from tswork.random import seeded

INFO = DataInfo(("a", "b"), max_length=24)


def encoder(block: dict[str, Any]) -> Encoder:
    with seeded(0):
        built: Encoder = configure("encoder", block).build(INFO)
    return built.double().eval()


def both(inner: dict[str, Any] = DILATED_CONV, **options: Any) -> tuple[Encoder, FrameNorm]:
    """An encoder, and the same one with normalised frames."""
    normalised = encoder({"uses": "frame_norm", "encoder": inner, **options})
    assert isinstance(normalised, FrameNorm)
    return encoder(inner), normalised


def series(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def test_a_frame_has_mean_zero_and_variance_one_over_its_dimensions() -> None:
    plain, normalised = both(by="layer")
    x = series(3, 20, 2)
    with torch.no_grad():
        values, found = plain(x).values, normalised(x).values
    mean, deviation = values.mean(dim=2, keepdim=True), (values.var(dim=2, correction=0, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(found, (values - mean) / deviation)


def test_a_frame_has_length_one_and_its_old_direction() -> None:
    plain, normalised = both(by="length")
    x = series(3, 20, 2)
    with torch.no_grad():
        values, found = plain(x).values, normalised(x).values
    torch.testing.assert_close(found.norm(dim=2), torch.ones(3, 20, dtype=torch.float64))
    torch.testing.assert_close(found * values.norm(dim=2, keepdim=True), values)


@pytest.mark.parametrize("by", ["layer", "length"])
def test_the_size_of_frames_changes_nothing(by: str) -> None:
    _, normalised = both(by=by)
    frames = series(2, 5, normalised.dim)
    torch.testing.assert_close(
        normalised._normalised(1000 * frames), normalised._normalised(frames), atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("inner", [DILATED_CONV, CAUSAL_MIXTURE, PATCHES])
def test_the_fast_forms_agree_with_whole_windows(inner: dict[str, Any]) -> None:
    _, normalised = both(inner)
    x, ends = series(30, 2), [Ends(23, 30)]
    windows = x.unfold(0, 24, 1).transpose(1, 2)
    with torch.no_grad():
        whole = torch.stack([normalised(window[None]).values[0, -1] for window in windows])
        torch.testing.assert_close(normalised.last(windows), whole)
        torch.testing.assert_close(normalised.last_of_windows(x, ends, window=24), whole)


def test_single_channels_of_the_latent_row_can_be_hidden_as_in_the_encoder_inside() -> None:
    plain, normalised = both()
    assert normalised.latent_dim == plain.latent_dim == DILATED_CONV["hidden"]
    x, keep = series(2, 12, 2), torch.rand(2, 12, DILATED_CONV["hidden"]) < 0.5
    with torch.no_grad():
        expected = torch.nn.functional.layer_norm(plain(x, keep=keep).values, (plain.dim,))
        torch.testing.assert_close(normalised(x, keep=keep).values, expected)
