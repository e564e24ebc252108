"""Louder or quieter, by a factor drawn in decibels."""

from __future__ import annotations

import torch
from pydantic import Field, model_validator

from tswork.augment.base import Augmentation, View
from tswork.config import Config
from tswork.registry import register


class DecibelConfig(Config):
    """Two ends of what is drawn, in decibels."""

    low: float
    high: float

    @model_validator(mode="after")
    def _in_order(self) -> DecibelConfig:
        if self.low > self.high:
            raise ValueError(f"`low` ({self.low:g} dB) should not be above `high` ({self.high:g} dB)")
        return self

    def drawn(self, view: View, generator: torch.Generator) -> torch.Tensor:
        """One number of decibels a sequence, all between the ends equally likely; `(batch, 1, 1)`."""
        draw = torch.rand((len(view.x), 1, 1), generator=generator, device=view.x.device)
        return self.low + (self.high - self.low) * draw


class GainConfig(DecibelConfig):
    low: float = Field(default=-6.0, description="least gain, in dB")
    high: float = Field(default=6.0, description="largest gain, in dB")


@register("view", "gain", version=1, config=GainConfig)
class Gain(Augmentation[GainConfig]):
    """Multiplies every sequence by a factor of so many decibels."""

    def __call__(self, view: View, *, generator: torch.Generator) -> View:
        factor = 10 ** (self.config.drawn(view, generator) / 20)
        return view.changed(view.x * factor.to(view.x.dtype))
