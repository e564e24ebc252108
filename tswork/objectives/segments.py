"""InfoNCE between equal segments of series and of their views: a contrast at several resolutions, from the whole to near a step.

A series is cut into `count` equal segments, and a segment is the largest value of each dimension over it, as a whole series is for
global InfoNCE (`tswork.objectives.autotcl`, the case of one segment). A segment picks its own view among the segments of all
views: other places of the same series are candidates beside other series. That is the global loss of AutoTCL (Zheng et al., ICLR
2024) at the scales at which TS2Vec contrasts (Yue et al., "TS2Vec: Towards Universal Representation of Time Series", AAAI 2022);
the combination is ours.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from tswork.encoders.base import valid_steps
from tswork.objectives.cosines import cosines
from tswork.precision import wide


def doublings(most: int) -> Iterator[int]:
    """1, 2, 4, ... up to `most`.

    >>> list(doublings(12))
    [1, 2, 4, 8]
    """
    count = 1
    while count <= most:
        yield count
        count *= 2


def largest_of_segments(
    z: Float[Tensor, "batch time dim"], count: int, *, lengths: Int[Tensor, "batch"] | None = None
) -> Float[Tensor, "batch segment dim"]:
    """The largest value of each dimension over each of `count` segments; their sizes differ by at most one step.

    A series of fewer steps than segments has empty ones, which are zeros. Steps at or after `lengths` are padding.

    >>> z = torch.tensor([[[1.0], [5.0], [2.0], [3.0], [4.0]]])
    >>> largest_of_segments(z, 2).flatten().tolist()
    [5.0, 4.0]
    """
    steps = torch.arange(z.shape[1], device=z.device)
    if lengths is None:
        segment = (steps * count // z.shape[1]).expand(len(z), -1)
    else:
        segment = (steps * count // lengths[:, None].clamp(min=1)).clamp(max=count - 1)
        z = z.masked_fill(~valid_steps(lengths, z.shape[1])[..., None], -torch.inf)
    empty = z.new_full((len(z), count, z.shape[2]), -torch.inf)
    largest = empty.scatter_reduce(1, segment[..., None].expand_as(z), z, "amax")
    return largest.masked_fill(largest == -torch.inf, 0.0)


def segment_info_nce(
    x: Float[Tensor, "batch segment dim"],
    v: Float[Tensor, "batch segment dim"],
    *,
    temperature: float = 1.0,
    takes_part: Bool[Tensor, "batch"] | None = None,
) -> Float[Tensor, ""]:
    """Each segment picks its own view among the segments of all views, by the cosine. One direction, float32 or wider.

    Series that take no part are neither anchors nor candidates; where none takes part the loss is 0.

    >>> z = torch.eye(4).reshape(2, 2, 4)
    >>> round(segment_info_nce(z, z).item(), 6)  # log(1 + 3 / e)
    0.743668
    """
    logits = cosines(wide(x).flatten(0, 1), wide(v).flatten(0, 1)) / temperature
    own = torch.arange(len(logits), device=logits.device)
    if takes_part is None:
        return functional.cross_entropy(logits, own)
    asked = takes_part.repeat_interleave(x.shape[1])
    # The twin stays a candidate of an anchor that takes no part: its loss is dropped, and has to be finite.
    left_out = ~asked & (own != own[:, None])
    losses = functional.cross_entropy(logits.masked_fill(left_out, -torch.inf), own, reduction="none")
    return torch.where(asked, losses, 0.0).sum() / asked.sum().clamp(min=1)
