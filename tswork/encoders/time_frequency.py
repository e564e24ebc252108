"""Two encoders side by side: one reads a sequence step by step, the other its amplitude spectrum, frequency by frequency.

The architecture of TF-C: Zhang et al., "Self-Supervised Contrastive Pre-Training For Time Series via Time-Frequency Consistency", NeurIPS
2022, section 4. A frame holds the time encoder's frame and, the same in every frame, one vector of the whole spectrum: so any
pooling of frames gives the pooled time features beside the vector of the spectrum.

The spectrum of T steps has T // 2 + 1 amplitudes a channel, |sum of x_t exp(-2 pi i f t / T)| / sqrt(T), so that noise has the
same size in both. Missing and hidden values count as 0 in it (a standardised channel's mean), and so does padding; but a spectrum belongs
to a length, so sequences of unequal length are not batched together.

| published | here |
| --- | --- |
| amplitudes of all T frequencies, not divided | the first half: the second mirrors it |
| both encoders are transformers over channels | any two encoders; the second is as the first unless told otherwise |
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from tswork.config import Configured, Uses, configure
from tswork.data.collection import DataInfo
from tswork.encoders.base import Encoder, Frames, valid_steps
from tswork.encoders.pooling import Pooling, pooled, pooled_dim
from tswork.encoders.with_front_end import EncoderConfig
from tswork.precision import wide
from tswork.registry import register


class TimeFrequencyConfig(EncoderConfig):
    time: Annotated[Configured, Uses("encoder")] = Field(
        default_factory=lambda: configure("encoder", "dilated_conv"), description="reads the steps"
    )
    frequency: Annotated[Configured, Uses("encoder")] | None = Field(
        default=None, description="reads the spectrum; none: one like `time`, with weights of its own"
    )
    pooling: Pooling = Field(default="max", description="from the features of all frequencies to one vector")


@register("encoder", "time_frequency", version=1, config=TimeFrequencyConfig)
class TimeFrequency(Encoder):
    """One encoder on the steps, another on the amplitude spectrum, their features side by side."""

    padding_invariant = False
    why_not_exportable = "takes a Fourier transform of each sequence, whose length a program would hold fixed"

    def __init__(self, config: TimeFrequencyConfig, info: DataInfo) -> None:
        super().__init__()
        of_spectrum = replace(info, max_length=frequencies(info.max_length), missing=False, rate=None)
        self.time: Encoder = config.time.build(info)
        self.frequency: Encoder = (config.frequency or config.time).build(of_spectrum)
        self.pooling: Pooling = config.pooling
        self.dim = self.time.dim + pooled_dim(self.frequency, config.pooling)
        self.stride, self.masks = self.time.stride, self.time.masks
        # The spectrum of 2n - 1 steps is the longest of n frequencies.
        most = self.frequency.max_length and 2 * self.frequency.max_length - 1
        self.max_length = min((limit for limit in (self.time.max_length, most) if limit), default=None)

    def forward(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        keep: Bool[Tensor, "batch time"] | None = None,
    ) -> Frames:
        frames: Frames = self.time(x, lengths, keep=keep)
        whole = self.spectral(spectrum(x, lengths, keep))[:, None].expand(-1, frames.values.shape[1], -1)
        return Frames(torch.cat([frames.values, whole.to(frames.values.dtype)], dim=2), frames.lengths)

    def last(
        self, x: Float[Tensor, "batch time channel"], lengths: Int[Tensor, "batch"] | None = None
    ) -> Float[Tensor, "batch dim"]:
        time, whole = self.time.last(x, lengths), self.spectral(spectrum(x, lengths))
        return torch.cat([time, whole.to(time.dtype)], dim=1)

    def spectral(self, amplitudes: Float[Tensor, "batch frequency channel"]) -> Float[Tensor, "batch wide"]:
        """One vector of each spectrum."""
        return pooled(self.frequency, amplitudes, pooling=self.pooling)


def frequencies(steps: int) -> int:
    """Amplitudes of a real series of so many steps."""
    return steps // 2 + 1


def spectrum(
    x: Float[Tensor, "batch time channel"],
    lengths: Int[Tensor, "batch"] | None = None,
    keep: Bool[Tensor, "batch time"] | None = None,
) -> Float[Tensor, "batch frequency channel"]:
    """Amplitudes along time, over the root of the number of steps, in float32 or wider; what is not there counts as 0."""
    seen = ~torch.isnan(x)
    if lengths is not None:
        seen = seen & valid_steps(lengths, x.shape[1])[..., None]
    if keep is not None:
        seen = seen & keep[..., None]
    filled = wide(torch.where(seen, x, 0.0))
    amplitudes: Tensor = torch.fft.rfft(filled, dim=1).abs() / math.sqrt(x.shape[1])
    return amplitudes
