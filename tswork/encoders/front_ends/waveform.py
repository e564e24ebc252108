"""Sound for encoders that read samples: each clip with mean 0 and variance 1.

Baevski et al., "wav2vec 2.0: A Framework for Self-Supervised Learning of Speech Representations", NeurIPS 2020, section 4.1, for
the encoders that were trained so. Statistics are those of the clip's own samples: padding, missing and hidden samples take no
part, so a loud neighbour in the batch changes nothing, and padding stays 0. Each channel is normalised by itself.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from tswork.config import Config
from tswork.data.collection import DataInfo
from tswork.encoders.base import Frames, full_lengths
from tswork.encoders.front_ends.base import FrontEnd, marked, normalised, seen_samples
from tswork.precision import wide
from tswork.registry import register


class WaveformConfig(Config):
    floor: float = Field(default=1e-7, gt=0, description="added to the variance, so that silence stays finite")


@register("front_end", "waveform", version=1, config=WaveformConfig)
class Waveform(FrontEnd):
    """Samples of each clip with mean 0 and variance 1."""

    def __init__(self, config: WaveformConfig, info: DataInfo) -> None:
        super().__init__()
        self.floor = config.floor
        self.channels = info.channels

    def forward(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        keep: Bool[Tensor, "batch time"] | None = None,
    ) -> Frames:
        seen = seen_samples(x, lengths, keep)
        values = normalised(wide(torch.where(seen, x, 0.0)), seen, floor=self.floor)
        return Frames(marked(values, lengths, seen.any(dim=2)), full_lengths(x) if lengths is None else lengths)
