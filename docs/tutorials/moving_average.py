"""Moving averages: frames are means over the last `window` steps, through one linear layer. No paper; a floor."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tswork.config import Config
from tswork.data.collection import DataInfo
from tswork.encoders.base import Encoder, Frames, full_lengths
from tswork.encoders.latent import project_visible
from tswork.registry import register


class MovingAverageConfig(Config):
    dim: int = Field(default=32, ge=1, description="width of a frame")
    window: int = Field(default=8, ge=1, description="steps that are averaged")


@register("encoder", "moving_average", version=1, config=MovingAverageConfig)
class MovingAverage(Encoder):
    """Means over the last steps."""

    def __init__(self, config: MovingAverageConfig, info: DataInfo) -> None:
        super().__init__()
        self.dim, self.window = config.dim, config.window
        self.project = nn.Linear(len(info.channels), config.dim)

    def forward(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        keep: Bool[Tensor, "batch time"] | None = None,
    ) -> Frames:
        latent = project_visible(self.project, x, lengths, keep).transpose(1, 2)
        means = functional.avg_pool1d(functional.pad(latent, (self.window - 1, 0)), self.window, stride=1)
        return Frames(torch.tanh(means).transpose(1, 2), full_lengths(x) if lengths is None else lengths)
