"""Noise at a distance from the sequence that is drawn in decibels.

Both powers are means of squares over a sequence's own values: padding and missing values count in neither, so a short clip gets
the distance that was drawn for it, whatever it is batched with. Each channel gets noise for its own power; silence stays silence.
The power of white noise is the same at all frequencies, that of pink noise falls as 1 / f, that of brown noise as 1 / f^2. `jitter`
adds noise of one size to everything instead.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from tswork.augment.base import Augmentation, View
from tswork.augment.gain import DecibelConfig
from tswork.encoders.base import valid_steps
from tswork.precision import wide
from tswork.registry import register

Colour = Literal["white", "pink", "brown"]
SLOPES: dict[Colour, float] = {"white": 0.0, "pink": 0.5, "brown": 1.0}
"""How amplitudes fall with the frequency."""


class NoiseConfig(DecibelConfig):
    low: float = Field(default=10.0, description="least distance of the noise below the sequence, in dB")
    high: float = Field(default=30.0, description="largest distance, in dB")
    colour: Colour = Field(default="white", description="how the noise's power falls with the frequency")


@register("view", "noise", version=2, config=NoiseConfig)
class Noise(Augmentation[NoiseConfig]):
    """Adds noise so many decibels below each sequence."""

    def __call__(self, view: View, *, generator: torch.Generator) -> View:
        x = view.x
        there = valid_steps(view.lengths, x.shape[1])[..., None] & ~x.isnan()
        below = self.config.drawn(view, generator)
        noise = coloured(x, SLOPES[self.config.colour], generator)
        wanted = _power(wide(x), there) * 10 ** (-below / 10)
        factor = (wanted / _power(noise, there).clamp(min=torch.finfo(torch.float32).tiny)).sqrt()
        return view.changed(x + (factor * noise).to(x.dtype))


def _power(
    x: Float[Tensor, "batch time channel"], there: Bool[Tensor, "batch time channel"]
) -> Float[Tensor, "batch 1 channel"]:
    squares = x.masked_fill(~there, 0).square().sum(dim=1, keepdim=True)
    return squares / there.sum(dim=1, keepdim=True).clamp(min=1)


def coloured(
    like: Float[Tensor, "batch time channel"], slope: float, generator: torch.Generator
) -> Float[Tensor, "batch time channel"]:
    """Noise with amplitudes over the frequency to the power of the slope, and without a constant part unless it is white.

    Coloured noise is drawn as a spectrum, of a length for which the transform is fast, and cut.
    """
    from scipy.fft import next_fast_len

    batch, time, channels = like.shape
    if slope == 0:
        return torch.randn(like.shape, generator=generator, device=like.device)
    size = next_fast_len(max(time, 2), real=True)
    parts = torch.randn((batch, channels, size // 2 + 1, 2), generator=generator, device=like.device)
    place = torch.arange(size // 2 + 1, device=like.device)
    parts *= torch.where(place > 0, place.clamp(min=1) ** -slope, 0.0)[:, None]
    found: Tensor = torch.fft.irfft(torch.view_as_complex(parts), n=size)[..., :time].transpose(1, 2)
    return found
