"""Every sequence as in a room of its own: the direct sound, and behind it a tail that dies away.

The tail is white noise under an exponential, the oldest model of a diffuse field (Moorer, "About This Reverberation Business", Computer
Music Journal 1979; cited from memory): after the decay time its power has fallen by 60 dB. How long that takes is drawn for each
sequence, and how many decibels the direct sound lies above the whole tail. The direct sound comes first and undelayed, so a step
hears what was before it and nothing else; what would ring on after the end is cut off. A sequence keeps its energy, and its channels
stand in one room. Beyond its start a sequence is 0. A missing value counts as 0 for what follows and stays missing.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from pydantic import Field, model_validator
from torch import Tensor

from tswork.augment.base import Augmentation, View
from tswork.config import Config
from tswork.encoders.base import valid_steps
from tswork.precision import wide
from tswork.registry import register


class ReverbConfig(Config):
    rate: float = Field(gt=0, description="samples a second of the data")
    low: float = Field(default=0.1, gt=0, description="shortest decay time (by 60 dB), in seconds")
    high: float = Field(default=0.6, gt=0, le=10, description="longest decay time, in seconds")
    direct_low: float = Field(default=0.0, description="least distance of the direct sound above the tail, in dB")
    direct_high: float = Field(default=15.0, description="largest distance, in dB")

    @model_validator(mode="after")
    def _in_order(self) -> ReverbConfig:
        if self.low > self.high:
            raise ValueError(f"`low` ({self.low:g} s) should not be above `high` ({self.high:g} s)")
        if self.direct_low > self.direct_high:
            ends = f"`direct_low` ({self.direct_low:g} dB) should not be above `direct_high` ({self.direct_high:g} dB)"
            raise ValueError(ends)
        return self


@register("view", "reverb", version=1, config=ReverbConfig)
class Reverb(Augmentation[ReverbConfig]):
    """Reverberates every sequence."""

    def __call__(self, view: View, *, generator: torch.Generator) -> View:
        x, options = view.x, self.config
        draw = torch.rand((2, len(x), 1), generator=generator, device=x.device)
        decay = options.rate * (options.low + (options.high - options.low) * draw[0])
        direct = options.direct_low + (options.direct_high - options.direct_low) * draw[1]
        steps = max(1, math.ceil(options.high * options.rate))
        noise = torch.randn((len(x), steps), generator=generator, device=x.device)
        given = wide(x.nan_to_num(0.0))
        heard = convolved(given, responses(noise, decay=decay, direct=direct))
        there = valid_steps(view.lengths, x.shape[1])[..., None] & ~x.isnan()
        factor = (_energy(given, there) / _energy(heard, there).clamp(min=torch.finfo(torch.float32).tiny)).sqrt()
        return view.changed((factor * heard).to(x.dtype).masked_fill(x.isnan(), torch.nan))


def responses(
    noise: Float[Tensor, "batch step"], *, decay: Float[Tensor, "batch 1"], direct: Float[Tensor, "batch 1"]
) -> Float[Tensor, "batch step_and_one"]:
    """A direct sound of height 1 and a tail of noise that falls by 60 dB in `decay` steps, `direct` decibels below it altogether."""
    time = torch.arange(1, noise.shape[1] + 1, device=noise.device)
    tail = noise * 10 ** (-3 * time / decay)
    size = torch.linalg.vector_norm(tail, dim=1, keepdim=True).clamp(min=torch.finfo(tail.dtype).tiny)
    return torch.cat([torch.ones_like(decay), tail / size * 10 ** (-direct / 20)], dim=1)


def convolved(
    x: Float[Tensor, "batch time channel"], response: Float[Tensor, "batch step"]
) -> Float[Tensor, "batch time channel"]:
    """Each sequence through its own response, from its first step to its last."""
    time = x.shape[1]
    response = response[:, :time].to(x.dtype)
    size = time + response.shape[1] - 1
    grain = 1 << max(0, size.bit_length() - 4)  # 8 to 16 times a power of two: a transform without large prime factors
    size = -(-size // grain) * grain
    spectrum = torch.fft.rfft(x, n=size, dim=1) * torch.fft.rfft(response, n=size, dim=1)[..., None]
    whole: Tensor = torch.fft.irfft(spectrum, n=size, dim=1)
    return whole[:, :time]


def _energy(
    x: Float[Tensor, "batch time channel"], there: Bool[Tensor, "batch time channel"]
) -> Float[Tensor, "batch 1 1"]:
    return x.masked_fill(~there, 0).square().sum(dim=(1, 2), keepdim=True)
