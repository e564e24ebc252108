"""Every sequence through a filter of its own, as a microphone, a room or a codec colours what is recorded.

Gains in decibels are drawn at places evenly spaced between frequency 0 and half of the rate, all in an interval around 0 equally
likely, and lie on straight lines between them; a slope over all frequencies, drawn alike, may be added. The filter is the symmetric
one of 63 taps with these gains (the inverse transform under a Hann window), so nothing is delayed, and what is more than 31 steps
away, padding too, has no part in a value. Beyond its ends a sequence is 0. A missing value counts as 0 for its neighbours and
stays missing. No paper; a choice of ours.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from tswork.augment.base import Augmentation, View
from tswork.config import Config
from tswork.precision import wide
from tswork.registry import register

TAPS = 64
"""Length of the transform; the filter reaches one step less than half of it to either side."""
BLOCK = 64
"""Values that are computed by one product."""


class EqualiserConfig(Config):
    places: int = Field(default=5, ge=2, le=TAPS // 2, description="frequencies at which gains are drawn")
    decibels: float = Field(default=10.0, ge=0, description="largest gain or loss at each of them")
    tilt: float = Field(
        default=0.0, ge=0, description="largest difference in decibels that a slope makes from one end to the other"
    )


@register("view", "equaliser", version=1, config=EqualiserConfig)
class Equaliser(Augmentation[EqualiserConfig]):
    """Colours every sequence by a smooth random filter; its channels alike."""

    def __call__(self, view: View, *, generator: torch.Generator) -> View:
        x = view.x
        options = self.config
        draw = 2 * torch.rand((len(x), options.places + 1), generator=generator, device=x.device) - 1
        slope = options.tilt * torch.linspace(-0.5, 0.5, options.places, device=x.device)
        decibels = options.decibels * draw[:, :-1] + draw[:, -1:] * slope
        filtered = through(wide(x.nan_to_num(0.0)), taps_of(decibels)).to(x.dtype)
        return view.changed(filtered.masked_fill(x.isnan(), torch.nan))


def taps_of(decibels: Float[Tensor, "batch place"]) -> Float[Tensor, "batch taps"]:
    """Symmetric filters with these gains, evenly spaced from frequency 0 to half of the rate; the middle tap is `TAPS // 2`."""
    curve = functional.interpolate(decibels[:, None], size=TAPS // 2 + 1, mode="linear", align_corners=True)[:, 0]
    taps = torch.fft.irfft(10 ** (curve / 20), n=TAPS, dim=1).roll(TAPS // 2, dims=1)
    windowed: Tensor = taps * torch.hann_window(TAPS, device=taps.device)
    return windowed


def through(
    x: Float[Tensor, "batch time channel"], taps: Float[Tensor, "batch taps"]
) -> Float[Tensor, "batch time channel"]:
    """Each sequence convolved with its own filter, at its own place: values by the block, each a product with a matrix of taps.

    For filters as short as these that is faster than a transform, and as exact.
    """
    batch, time, channels = x.shape
    blocks = -(-time // BLOCK)
    before = TAPS // 2 - 1
    filled = functional.pad(x.transpose(1, 2), (before, blocks * BLOCK - time + TAPS // 2))
    read = filled.unfold(2, BLOCK + TAPS - 1, BLOCK)
    shifted = functional.pad(taps.flip(1).to(x.dtype), (BLOCK - 1, BLOCK - 1)).unfold(1, BLOCK, 1).flip(2)
    whole = read.flatten(1, 2) @ shifted
    result: Tensor = whole.view(batch, channels, -1)[..., :time].transpose(1, 2)
    return result
