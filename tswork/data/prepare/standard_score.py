"""Every sequence scaled by itself to zero mean and unit variance a channel, before it is cut: trials of EEG and ECG, then windows.

Unlike `standardize` nothing is learnt from the training part, so the step may stand anywhere: before `segment` a whole trial is
scaled, after it every window. Moments are of all steps of the sequence, later ones too: right for recordings that are there, look-ahead
for a stream. Constant channels become zero, missing values take no part and stay missing.

Beats that were filled up with zeros (`align_beats`) are scaled with these zeros as published, which moves all values by the share of the
filling; with `zeros: leave` steps at which every channel is zero take no part and stay zero.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field

from tswork.config import Config
from tswork.data.backends import as_float
from tswork.data.collection import Affine, Collection
from tswork.data.prepare.base import Preparation
from tswork.data.prepare.requirements import uncontinued
from tswork.data.prepare.standardize import moments
from tswork.registry import register


class StandardScoreConfig(Config):
    zeros: Literal["scale", "leave"] = Field(
        default="scale", description="steps at which every channel is 0: values like others, or filling that stays 0"
    )


@register("preparation", "standard_score", version=1, config=StandardScoreConfig)
class StandardScore(Preparation[StandardScoreConfig]):
    """Scales every sequence by itself, before or after it is cut; nothing is fitted."""

    def apply(self, collection: Collection) -> Collection:
        uncontinued(collection, "standard_score")
        values = as_float(collection.values)
        owner = torch.repeat_interleave(torch.arange(len(collection)), collection.lengths)
        filling = (values == 0).all(dim=1, keepdim=True)
        if self.config.zeros == "scale":
            filling = torch.zeros_like(filling)
        mean, deviation = moments(values.masked_fill(filling, torch.nan), owner, len(collection))
        scaled = ((values - mean[owner]) / deviation[owner]).to(torch.float32).masked_fill(filling, 0.0)
        width = len(collection.channels)
        before = collection.affine or Affine(torch.ones(1, width), torch.zeros(1, width))
        return collection.replaced(values=scaled, affine=before.after(deviation.float(), mean.float()))
