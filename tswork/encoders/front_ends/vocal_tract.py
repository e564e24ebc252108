"""Voices as from a longer or shorter vocal tract: the frequencies of each clip stretched by a factor of its own, in training.

Jaitly and Hinton, "Vocal Tract Length Perturbation (VTLP) improves speech recognition", ICML Workshop on Deep Learning for Audio,
Speech and Language 2013, with the warping function of Lee and Rose, "Speaker Normalization Using Efficient Frequency Warping
Procedures", ICASSP 1996. What was heard at frequency `f` is heard at

    factor * f                      up to the knee, whose image is boundary * min(factor, 1)
    on a straight line to rate / 2  above it

so that formants move, and pitch with them, while length and tempo stay (`speed` changes all of them together).

| what | in the paper | here |
| --- | --- | --- |
| what is warped | the centres of the mel filters | the power spectrum in front of them, linear between its frequencies |
| factor | about 1, from 0.9 to 1.1 | even between `low` and `high` |
| boundary | 4800 Hz | the same, but at most 0.8 of half of the rate |

So no filter can fall between two frequencies, and a flat spectrum stays flat. The paper's column is from memory. The factor is
drawn once for each clip and batch, for all its channels and frames, from torch's generator of the device, which the training loop
seeds before every step.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Float64
from pydantic import Field, model_validator
from torch import Tensor

from tswork.config import Config
from tswork.encoders.front_ends.base import InTraining

BOUNDARY = 4800.0
"""Up to here the formants of speech are stretched evenly, in Hz."""
SHARE = 0.8
"""Where the rate is low: no further than this share of half of it."""


class VocalTractConfig(Config):
    low: float = Field(default=0.9, ge=0.5, le=2, description="least factor of frequencies; below 1: lower formants")
    high: float = Field(default=1.1, ge=0.5, le=2, description="largest factor")
    boundary: float | None = Field(
        default=None,
        gt=0,
        description="frequency up to which they are stretched evenly, in Hz; none: 4800, at most 0.8 of half of the rate",
    )

    @model_validator(mode="after")
    def _in_order(self) -> VocalTractConfig:
        if self.low > self.high:
            raise ValueError(f"`low` ({self.low:g}) should not be above `high` ({self.high:g})")
        return self


class VocalTract(InTraining):
    """Draws, in training, where each frequency of each clip is read."""

    def __init__(self, config: VocalTractConfig, *, rate: float, size: int) -> None:
        super().__init__()
        self.low, self.high, self.last = config.low, config.high, size // 2
        self.boundary = (config.boundary or min(BOUNDARY, SHARE * rate / 2)) * size / rate

    def forward(self, clips: Float[Tensor, "batch time channel"]) -> Float64[Tensor, "batch frequency"] | None:
        """Places on the spectrum of a transform of `size` samples, counted in its frequencies; None: each at its own."""
        if not self.training:
            return None
        draw = torch.rand(len(clips), dtype=torch.float64, device=clips.device)
        factors = self.low + (self.high - self.low) * draw
        # Where a frequency is read is the inverse of where it is heard, and that is the same map with the inverse factor.
        return warped(1 / factors, boundary=self.boundary, last=self.last)


def warped(factors: Float64[Tensor, "batch"], *, boundary: float, last: int) -> Float64[Tensor, "batch frequency"]:
    """Where the frequencies 0, 1 to `last` are heard; 0 and `last` stay where they are."""
    frequencies = torch.arange(last + 1, dtype=torch.float64, device=factors.device)
    factor = factors[:, None]
    image = boundary * factor.clamp(max=1)
    slope = (last - image) / (last - image / factor)
    return torch.where(frequencies <= image / factor, factor * frequencies, last - slope * (last - frequencies))


def read_at(
    spectrum: Float[Tensor, "batch frame frequency"], places: Float64[Tensor, "batch frequency"]
) -> Float[Tensor, "batch frame frequency"]:
    """Spectra read at places between their frequencies, on straight lines."""
    below = places.long().clamp(max=spectrum.shape[2] - 2)
    share = (places - below).to(spectrum.dtype)[:, None]
    index = below[:, None].expand(-1, spectrum.shape[1], -1)
    return torch.lerp(spectrum.gather(2, index), spectrum.gather(2, index + 1), share)
