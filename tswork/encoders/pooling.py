"""From frames to one vector a sequence. Padding frames never take part.

| pooling | one vector is |
| --- | --- |
| max | the largest value of each dimension over the real frames |
| mean | their mean |
| last | the last of them |
| mean_std | their mean and, behind it, their standard deviation (of the population; 0 for one frame): twice as wide |
| masked | the mean over those that saw a value: frames whose steps are all missing or hidden are left out too |
| own | what the encoder's own pooling makes of them, where it has one (the attentive statistics of `ecapa_small`) |
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tswork.encoders.base import Encoder, Frames, OwnPooling, valid_steps
from tswork.errors import ModelUnfit

FramePooling = Literal["max", "mean", "last", "mean_std", "masked"]
"""Poolings of any frames."""
POOLINGS: tuple[FramePooling, ...] = get_args(FramePooling)
Pooling = FramePooling | Literal["own"]
TINY = 1e-12
"""Added to variances before their root, whose slope at 0 is infinite."""


def pooled_dim(encoder: Encoder, pooling: Pooling) -> int:
    """Width of one pooled vector. Raises `ModelUnfit` for `own` where the encoder has no pooling of its own."""
    if pooling == "own":
        return own_pooling(encoder).dim
    return 2 * encoder.dim if pooling == "mean_std" else encoder.dim


def pooled(
    encoder: Encoder,
    x: Float[Tensor, "batch time channel"],
    lengths: Int[Tensor, "batch"] | None = None,
    *,
    pooling: Pooling,
    keep: Bool[Tensor, "batch time"] | None = None,
) -> Float[Tensor, "batch dim"]:
    """One vector a sequence from an encoder's frames. Raises `ModelUnfit` as `pooled_dim` does."""
    return pool_read(encoder, encoder(x, lengths, keep=keep), x, pooling=pooling, keep=keep)


def pool_read(
    encoder: Encoder,
    frames: Frames,
    x: Float[Tensor, "batch time channel"],
    *,
    pooling: Pooling,
    keep: Bool[Tensor, "batch time"] | None = None,
) -> Float[Tensor, "batch dim"]:
    """As `pooled`, of frames that the encoder has read of x already."""
    if pooling != "masked":
        return pool_by(encoder, frames, pooling)
    present = ~torch.isnan(x).all(dim=2)
    seen = seen_frames(present if keep is None else present & keep, frames.values.shape[1], stride=encoder.stride)
    return pool(frames, pooling, seen=seen)


def pool_by(encoder: Encoder, frames: Frames, pooling: Pooling) -> Float[Tensor, "batch dim"]:
    """Frames that an encoder gave to one vector each."""
    if pooling != "own":
        return pool(frames, pooling)
    vectors: Tensor = own_pooling(encoder)(frames)
    return vectors


def own_pooling(encoder: Encoder) -> OwnPooling:
    """The pooling that an encoder brings. Raises `ModelUnfit` where there is none."""
    if encoder.own_pooling is None:
        reason = "it has no pooling of its own, as `pooling: own` asks for"
        raise ModelUnfit("the encoder", reason, "Use `ecapa_small`, or another pooling, such as `mean_std`.")
    return encoder.own_pooling


def pool(
    frames: Frames, pooling: FramePooling, *, seen: Bool[Tensor, "batch frame"] | None = None
) -> Float[Tensor, "batch dim"]:
    """Frames to one vector each; `masked` leaves out what was not `seen` (None: all was). Nothing to pool gives zeros."""
    values, lengths = frames
    chosen = valid_steps(lengths, values.shape[1])
    if pooling == "masked" and seen is not None:
        chosen = chosen & seen
    empty = ~chosen.any(dim=1)[:, None]
    if pooling == "max":
        vectors = values.masked_fill(~chosen[..., None], float("-inf")).amax(dim=1)
    elif pooling == "last":
        vectors = values[torch.arange(len(values), device=values.device), (lengths - 1).clamp(min=0)]
    else:
        vectors = _mean(values, chosen)
        if pooling == "mean_std":
            real = values.masked_fill(~chosen[..., None], 0)
            variance = _mean((real - vectors[:, None]).square(), chosen)
            vectors = torch.cat([vectors, (variance + TINY).sqrt() - TINY**0.5], dim=1)
    return vectors.masked_fill(empty, 0)


def _mean(values: Float[Tensor, "batch frame dim"], chosen: Bool[Tensor, "batch frame"]) -> Float[Tensor, "batch dim"]:
    """The mean over the chosen frames."""
    return values.masked_fill(~chosen[..., None], 0).sum(dim=1) / chosen.sum(dim=1).clamp(min=1)[:, None]


def seen_frames(seen: Bool[Tensor, "batch time"], frames: int, *, stride: int) -> Bool[Tensor, "batch frame"]:
    """Whether some step of each frame was seen; steps behind the last whole frame belong to it."""
    frame = (torch.arange(seen.shape[1], device=seen.device) // stride).clamp(max=frames - 1)
    counts = torch.zeros(len(seen), frames, device=seen.device).index_add_(1, frame, seen.float())
    return counts > 0
