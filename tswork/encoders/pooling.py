"""From frames to one vector a sequence. Padding frames never take part."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from tswork.encoders.base import Frames, valid_steps

Pooling = Literal["max", "mean", "last"]
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)


def pool(frames: Frames, pooling: Pooling) -> Float[Tensor, "batch dim"]:
    """Maximum or mean over the real frames, or the last real frame. A sequence of no frames gives zeros."""
    values, lengths = frames
    valid = valid_steps(lengths, values.shape[1])[..., None]
    empty = (lengths == 0)[:, None]
    if pooling == "max":
        pooled = values.masked_fill(~valid, float("-inf")).amax(dim=1)
    elif pooling == "mean":
        pooled = values.masked_fill(~valid, 0).sum(dim=1) / lengths.clamp(min=1)[:, None]
    else:
        pooled = values[torch.arange(len(values), device=values.device), (lengths - 1).clamp(min=0)]
    return pooled.masked_fill(empty, 0)
