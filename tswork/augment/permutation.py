"""The segments of every sequence change places.

Um et al., "Data Augmentation of Wearable Sensor Data for Parkinson's Disease Monitoring", ICMI 2017: segments of one length
(within a step) in random order, the same in all channels.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from tswork.augment.base import Augmentation, View
from tswork.config import Config
from tswork.registry import register


class PermutationConfig(Config):
    segments: int = Field(default=4, ge=1, description="segments of a sequence; those with fewer steps have one a step")


@register("view", "permutation", version=1, config=PermutationConfig)
class Permutation(Augmentation[PermutationConfig]):
    """Puts the segments of every sequence in random order."""

    aligned = False

    def __call__(self, view: View, *, generator: torch.Generator) -> View:
        shape = (len(view.x), self.config.segments)
        keys = torch.rand(shape, generator=generator, device=view.x.device, dtype=torch.float64)
        index = permuted_steps(keys, view.lengths, view.x.shape[1])
        keep = None if view.keep is None else view.keep.gather(1, index)
        x = view.x.gather(1, index[..., None].expand(-1, -1, view.x.shape[2]))
        return View(x, view.lengths, keep).changed(x)


def permuted_steps(
    keys: Float[Tensor, "batch segment"], lengths: Int[Tensor, "batch"], time: int
) -> Int[Tensor, "batch time"]:
    """Which step of the sequence stands at each step when its segments are sorted by their keys."""
    count = lengths[:, None].clamp(min=1, max=keys.shape[1])
    number = torch.arange(keys.shape[1], device=keys.device)
    # Segments beyond the count begin where the sequence ends, have no steps, and are sorted behind all others.
    begin, end = (edge.clamp(max=count) * lengths[:, None] // count for edge in (number, number + 1))
    order = torch.where(number < count, keys, torch.inf).argsort(dim=1)
    begin, size = begin.gather(1, order), (end - begin).gather(1, order)
    behind = size.cumsum(dim=1)
    steps = torch.arange(time, device=keys.device).expand(len(keys), -1).contiguous()
    slot = torch.searchsorted(behind, steps, right=True).clamp(max=keys.shape[1] - 1)
    moved: Tensor = begin.gather(1, slot) + steps - (behind - size).gather(1, slot)
    return moved.clamp(max=time - 1)
