"""Which steps of a view an encoder sees: TS2Vec's five kinds of mask. True means seen.

Yue et al., "TS2Vec: Towards Universal Representation of Time Series", AAAI 2022, section 3.2. Encoders hide a step in latent
space where they can, by zeroing its projected row. Draws are made on the generator's device in one call.

| kind | hides |
| --- | --- |
| binomial | each step with `1 - probability` |
| continuous | five spans (fewer in series under ten steps) of a tenth of the length each, which may overlap |
| last | the last step |
| all_true | nothing |
| all_false | everything |

Encoders that say how wide a projected row is (`latent_dim`) can hide single channels of it too, as COMET's code has it (Wang et
al., NeurIPS 2023; github.com/DL4mHealth/COMET at a769779): `draw_channel_mask`.
| kind | hides |
| --- | --- |
| channel_binomial | each channel of each step with `1 - probability` |
| channel_continuous | the spans of `continuous`, each in a random half of the channels of its own |
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch
from jaxtyping import Bool, Int
from pydantic import Field
from torch import Tensor

from tswork.augment.base import Augmentation, View
from tswork.config import Config
from tswork.registry import register

Mask = Literal["binomial", "continuous", "last", "all_true", "all_false"]
MASKS: tuple[Mask, ...] = get_args(Mask)
ChannelMask = Literal["channel_binomial", "channel_continuous"]
CHANNEL_MASKS: tuple[ChannelMask, ...] = get_args(ChannelMask)

SPANS = 5
SPAN_SHARE = 0.1


class MaskConfig(Config):
    mask: Mask = Field(default="binomial", description="which steps are hidden from the encoder")
    probability: float = Field(default=0.5, ge=0, le=1, description="binomial: share of steps that stay")


@register("view", "mask", version=1, config=MaskConfig)
class MaskSteps(Augmentation[MaskConfig]):
    """Hides steps from the encoder, in latent space where it can (TS2Vec)."""

    def __call__(self, view: View, *, generator: torch.Generator) -> View:
        options = self.config
        time = view.x.shape[1]
        keep = draw_mask(options.mask, view.lengths, time, generator=generator, probability=options.probability)
        return View(view.x, view.lengths, keep if view.keep is None else keep & view.keep)


def draw_mask(
    mask: Mask, lengths: Int[Tensor, "batch"], time: int, *, generator: torch.Generator, probability: float = 0.5
) -> Bool[Tensor, "batch time"]:
    """A mask of one kind for series of these lengths, on the generator's device; what it says of padding has no meaning."""
    shape = (len(lengths), time)
    if mask == "binomial":
        return torch.rand(shape, generator=generator, device=generator.device) < probability
    if mask == "continuous":
        return ~_spans(lengths.to(generator.device), time, generator)
    seen = torch.full(shape, mask != "all_false", device=generator.device)
    if mask == "last":
        seen &= torch.arange(time, device=seen.device) != lengths.to(seen.device)[:, None] - 1
    return seen


def draw_channel_mask(
    mask: ChannelMask,
    lengths: Int[Tensor, "batch"],
    time: int,
    channels: int,
    *,
    generator: torch.Generator,
) -> Bool[Tensor, "batch time channel"]:
    """A mask of single channels of projected rows, as `draw_mask`; of an odd number of channels, spans hide the smaller half."""
    if mask == "channel_binomial":
        shape = (len(lengths), time, channels)
        return torch.rand(shape, generator=generator, device=generator.device) < 0.5
    start, width, drawn = _places(lengths.to(generator.device), generator)
    draw = torch.rand(len(lengths), SPANS, channels, generator=generator, device=generator.device)
    half = (draw.argsort(dim=2).argsort(dim=2) < channels // 2) & drawn[..., None]
    steps = torch.arange(time, device=generator.device)[:, None]
    inside = (steps >= start[:, None]) & (steps < (start + width)[:, None])
    # A product of counts is larger than 0 where a span and one of its channels meet.
    return torch.bmm(inside.float(), half.float()) == 0


def _spans(lengths: Int[Tensor, "batch"], time: int, generator: torch.Generator) -> Bool[Tensor, "batch time"]:
    start, width, drawn = _places(lengths, generator)
    # How many spans lie over a step is a running sum of those that begin less those that have ended.
    change = torch.zeros(len(lengths), time + 1, dtype=torch.int32, device=generator.device)
    change.scatter_add_(1, start, drawn.int()).scatter_add_(1, start + width, -drawn.int())
    return change[:, :time].cumsum(dim=1, dtype=torch.int32) > 0


class _Places(NamedTuple):
    """Where each span starts, how wide it is, and whether the series is long enough for so many."""

    start: Int[Tensor, "batch span"]
    width: Int[Tensor, "batch 1"]
    drawn: Bool[Tensor, "batch span"]


def _places(lengths: Int[Tensor, "batch"], generator: torch.Generator) -> _Places:
    width = (lengths.double() * SPAN_SHARE).long().clamp(min=1)
    count = (lengths // 2).clamp(1, SPANS)
    draw = torch.rand(len(lengths), SPANS, generator=generator, device=generator.device, dtype=torch.float64)
    start = (draw * (lengths - width + 1)[:, None]).long()
    return _Places(start, width[:, None], torch.arange(SPANS, device=generator.device) < count[:, None])
