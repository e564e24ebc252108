"""Which steps of a view an encoder sees. True means seen; draws are made on the generator's device in one call."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from jaxtyping import Bool
from torch import Tensor

Mask = Literal["binomial", "continuous", "last", "all_true", "all_false"]
MASKS: tuple[Mask, ...] = get_args(Mask)

SPANS = 5
SPAN_SHARE = 0.1


def draw_mask(
    mask: Mask, batch: int, time: int, *, generator: torch.Generator, probability: float = 0.5
) -> Bool[Tensor, "batch time"]:
    """A mask of one kind.

    `binomial` hides each step with `1 - probability`; `continuous` hides five spans of a tenth of the length each (they may
    overlap); `last` hides the last step; `all_true` hides nothing, `all_false` everything (TS2Vec's five kinds).
    """
    device = generator.device
    if mask == "binomial":
        return torch.rand(batch, time, generator=generator, device=device) < probability
    if mask == "continuous":
        length = max(1, int(SPAN_SHARE * time))
        start = torch.randint(0, time - length + 1, (batch, SPANS, 1), generator=generator, device=device)
        steps = torch.arange(time, device=device)
        return ~((steps >= start) & (steps < start + length)).any(dim=1)
    seen = torch.full((batch, time), mask != "all_false", device=device)
    if mask == "last":
        seen[:, -1] = False
    return seen
