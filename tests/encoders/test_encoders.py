"""Every encoder keeps the interface, under checks that do find faults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.encoders.blocks import DILATED_CONV, OWN, TSAI, build
from tswork.config import configure
from tswork.data.collection import DataInfo
from tswork.encoders.base import Encoder, Frames, full_lengths
from tswork.encoders.checking import check_encoder
from tswork.encoders.latent import project_visible


@pytest.mark.parametrize("block", {**OWN, **TSAI}.values(), ids={**OWN, **TSAI}.keys())
def test_every_encoder_keeps_the_interface(block: dict[str, Any]) -> None:
    check_encoder(lambda info: configure("encoder", block).build(info))


@pytest.mark.parametrize("block", OWN.values(), ids=OWN.keys())
def test_a_hidden_step_equals_one_that_is_missing(block: dict[str, Any]) -> None:
    encoder, x, keep = build(block), torch.randn(2, 9, 3), torch.rand(2, 9) < 0.5
    with torch.no_grad():
        hidden, missing = encoder(x, keep=keep), encoder(torch.where(keep[..., None], x, torch.nan))
    assert torch.equal(hidden.values, missing.values)


@pytest.mark.parametrize("block", {**OWN, **TSAI}.values(), ids={**OWN, **TSAI}.keys())
def test_when_everything_is_hidden_nothing_of_the_input_is_left(block: dict[str, Any]) -> None:
    encoder, nothing = build(block), torch.zeros(2, 24, dtype=torch.bool)
    with torch.no_grad():
        frames = [encoder(torch.randn(2, 24, 3), keep=nothing).values for _ in range(2)]
    assert torch.equal(frames[0], frames[1])


@pytest.mark.parametrize("block", OWN.values(), ids=OWN.keys())
def test_bfloat16_under_autocast_gives_nearly_the_same(block: dict[str, Any]) -> None:
    encoder, x, lengths = build(block), torch.randn(2, 24, 3), torch.tensor([24, 11])
    with torch.no_grad():
        exact = encoder(x, lengths).values
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = encoder(x, lengths).values.float()
    assert torch.isfinite(half).all()
    torch.testing.assert_close(half[0], exact[0], rtol=0.1, atol=0.1)


@pytest.mark.cuda
@pytest.mark.parametrize("block", {**OWN, **TSAI}.values(), ids={**OWN, **TSAI}.keys())
def test_a_gpu_computes_the_frames_of_the_cpu(block: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    encoder, x, lengths = build(block), torch.randn(3, 24, 3), torch.tensor([24, 11, 1])
    x[0, 3] = torch.nan
    given, keep = lengths if encoder.padding_invariant else None, torch.rand(3, 24) < 0.7
    with torch.no_grad():
        expected = encoder(x, given, keep=keep).values, encoder.last(x, given)
        encoder.cuda()
        there = None if given is None else given.cuda()
        found = encoder(x.cuda(), there, keep=keep.cuda()).values, encoder.last(x.cuda(), there)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.cpu(), theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("block", OWN.values(), ids=OWN.keys())
def test_a_dropout_on_frames_is_the_last_thing_that_happens_to_them(block: dict[str, Any]) -> None:
    encoder = build(block).train()
    if (dropout := encoder.frame_dropout) is None:
        pytest.skip("has none")
    dropout.p = 0.5
    x = torch.randn(2, 24, 3)
    frames = encoder(x).values
    dropout.eval()
    whole = encoder(x).values
    torch.testing.assert_close(frames, torch.where(frames == 0, 0.0, 2 * whole))
    assert 0.3 < (frames == 0).double().mean() < 0.7


def test_encoders_of_one_seed_are_equal_and_of_another_are_not() -> None:
    x = torch.randn(1, 24, 3)
    with torch.no_grad():
        first, again, other = (build(DILATED_CONV, seed=seed)(x).values for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


class Plain(Encoder):
    """Projected steps and nothing else: what the faulty ones below change in one place each."""

    dim = 4

    def __init__(self, info: DataInfo) -> None:
        super().__init__()
        self.project = nn.Linear(len(info.channels), 4)

    def forward(self, x: Tensor, lengths: Tensor | None = None, *, keep: Tensor | None = None) -> Frames:
        frames = project_visible(self.project, x, lengths, keep)
        return Frames(frames, full_lengths(x) if lengths is None else lengths)


class Widened(Plain):
    dim = 5


class Spoiling(Plain):
    def forward(self, x: Tensor, lengths: Tensor | None = None, *, keep: Tensor | None = None) -> Frames:
        return super().forward(x.nan_to_num_(), lengths, keep=keep)


class Stretched(Plain):
    def forward(self, x: Tensor, lengths: Tensor | None = None, *, keep: Tensor | None = None) -> Frames:
        frames = super().forward(x, lengths, keep=keep)
        return Frames(frames.values, frames.lengths + 1)


class Halved(Plain):
    def forward(self, x: Tensor, lengths: Tensor | None = None, *, keep: Tensor | None = None) -> Frames:
        frames = super().forward(x, lengths, keep=keep)
        return Frames(frames.values[:, ::2], (frames.lengths + 1) // 2)


class Restless(Plain):
    def forward(self, x: Tensor, lengths: Tensor | None = None, *, keep: Tensor | None = None) -> Frames:
        frames = super().forward(x, lengths, keep=keep)
        return Frames(frames.values + torch.randn_like(frames.values), frames.lengths)


class Spreading(Plain):
    def forward(self, x: Tensor, lengths: Tensor | None = None, *, keep: Tensor | None = None) -> Frames:
        return Frames(self.project(x), full_lengths(x) if lengths is None else lengths)


class Peeking(Plain):
    def forward(self, x: Tensor, lengths: Tensor | None = None, *, keep: Tensor | None = None) -> Frames:
        return super().forward(x, lengths)


class Gossiping(Plain):
    def forward(self, x: Tensor, lengths: Tensor | None = None, *, keep: Tensor | None = None) -> Frames:
        frames = super().forward(x, lengths, keep=keep)
        return Frames(frames.values - frames.values.mean(dim=0), frames.lengths)


class Averaging(Plain):
    def forward(self, x: Tensor, lengths: Tensor | None = None, *, keep: Tensor | None = None) -> Frames:
        frames = super().forward(x, lengths, keep=keep)
        return Frames(frames.values - frames.values.mean(dim=1, keepdim=True), frames.lengths)


class Early(Plain):
    def last(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        values: Tensor = self(x, lengths).values
        return values[:, 0]


class Boundless(Plain):
    max_length = 24


class Frozen(Plain):
    def __init__(self, info: DataInfo) -> None:
        super().__init__(info)
        self.project.requires_grad_(False)
        self.unused = nn.Linear(1, 1)

    def forward(self, x: Tensor, lengths: Tensor | None = None, *, keep: Tensor | None = None) -> Frames:
        frames = super().forward(x, lengths, keep=keep)
        return Frames(frames.values + 0 * x.nan_to_num().sum().requires_grad_(), frames.lengths)


FAULTS: list[tuple[Callable[[DataInfo], Encoder], str]] = [
    (Widened, "a frame has 4 numbers, `dim` says 5"),
    (Stretched, "a length reaches past the frames"),
    (Halved, "12 frames of 24 steps, `stride` says 1"),
    (Restless, "two evaluations differ"),
    (Spoiling, "missing values of the input were modified"),
    (Spreading, "a missing value spread"),
    (Peeking, "a hidden step was seen"),
    (Gossiping, "a sequence alone gives other frames"),
    (Averaging, "padding changed a result"),
    (Early, "`last` is not the last frame"),
    (Boundless, "`max_length` says 24, and more was not refused"),
    (Frozen, "no parameter received a gradient"),
]


def test_the_plain_encoder_passes() -> None:
    check_encoder(Plain)


@pytest.mark.parametrize(("faulty", "said"), FAULTS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_faulty_encoder_is_found_out(faulty: Callable[[DataInfo], Encoder], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_encoder(faulty)
