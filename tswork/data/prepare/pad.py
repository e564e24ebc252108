"""Sequences filled up to whole multiples of a length, so that few different lengths remain.

An encoder whose result padding changes (wav2vec 2.0 base, whose group norm counts it) takes batches of one length only. Filled up,
clips make such batches, and a clip gives the same frames in training and in use, whatever it is batched with. What is added is
missing values, or silence in sound. One gather by index arithmetic.
"""

from __future__ import annotations

from pydantic import Field, model_validator

from tswork.config import Config
from tswork.data.collection import Collection
from tswork.data.prepare.base import Preparation
from tswork.data.prepare.pieces import filled_up
from tswork.data.prepare.requirements import rate_of, uncontinued
from tswork.registry import register


class PadConfig(Config):
    seconds: float | None = Field(default=None, gt=0, description="lengths become multiples of so many seconds")
    steps: int | None = Field(default=None, ge=1, description="the same in time steps")

    @model_validator(mode="after")
    def _one_length(self) -> PadConfig:
        if (self.seconds is None) == (self.steps is None):
            raise ValueError("give `seconds` or `steps`")
        return self


@register("preparation", "pad", version=1, config=PadConfig)
class Pad(Preparation[PadConfig]):
    """Fills sequences up to a multiple of a length."""

    def apply(self, collection: Collection) -> Collection:
        uncontinued(collection, "pad")
        steps = self.config.steps
        if steps is None:
            assert self.config.seconds is not None
            steps = max(1, round(self.config.seconds * rate_of(collection, "pad")))
        return filled_up(collection, (collection.lengths + steps - 1) // steps * steps, step="pad")
