"""TS2Vec: hierarchical contrast of two overlapping crops with random steps hidden.

Paper: Yue et al., "TS2Vec: Towards Universal Representation of Time Series", AAAI 2022. Reference code:
github.com/zhihanyue/ts2vec (MIT), read for its protocol, written anew.

Two crops of a batch overlap; in each, half of the projected steps are hidden; the encoder's frames on the overlap are
compared by the hierarchical contrastive loss. AdamW at 1e-3; what is judged is the mean of the initial weights and all
iterates. Training series longer than `max_train_length` are cut into pieces, and pieces that are still longer are cropped
(one offset a batch). Without a budget it takes 200 steps up to 100,000 training values and 600 beyond.

Departures
| published | here |
| --- | --- |
| series of unequal length are padded with missing values, which enter the loss | crops lie inside the shortest series of the batch |
| numpy and torch global generators | generators derived from (seed, purpose, epoch, step) |
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import torch
from pydantic import Field

from tswork.augment.masks import Mask, draw_mask
from tswork.augment.overlap import overlapping_crops
from tswork.config import Configured, Uses
from tswork.context import Context
from tswork.data.batches import Batch, Batches, Crop
from tswork.data.collection import DataInfo, Part
from tswork.data.samplers import Uniform
from tswork.encoders.pooling import Pooling
from tswork.errors import ModelUnfit
from tswork.methods.base import Averaging, Method, MethodConfig, Update, build_encoder
from tswork.methods.model import Model
from tswork.objectives.ts2vec import hierarchical_contrast
from tswork.registry import register

SMALL = 100_000
"""Training values up to which 200 steps are the default; above it 600."""


class TS2VecConfig(MethodConfig):
    encoder: Annotated[Configured, Uses("encoder")] = Field(
        default_factory=lambda: _default_encoder(), description="what is trained"
    )
    averaging: Averaging = Field(
        default="mean", description="weights that are judged: the last, or the mean of all since initialisation"
    )
    alpha: float = Field(
        default=0.5, ge=0, le=1, description="share of the instance loss; the rest is the temporal one"
    )
    temporal_unit: int = Field(default=0, ge=0, description="first scale at which the temporal loss joins")
    mask: Mask = Field(default="binomial", description="which steps of a training view are hidden")
    max_train_length: int = Field(default=3000, ge=2, description="longest training window, in steps")
    pooling: Pooling = Field(default="max", description="from frames to one vector a sequence")


def _default_encoder() -> Configured:
    from tswork.config import configure

    return configure("encoder", "dilated_conv")


@register("method", "ts2vec", version=1, config=TS2VecConfig)
class TS2Vec(Method[TS2VecConfig]):
    """Hierarchical contrast of overlapping crops with hidden steps (TS2Vec, AAAI 2022)."""

    def build(self, info: DataInfo, *, generator: torch.Generator) -> Model:
        encoder = build_encoder(self.config.encoder, info, generator=generator)
        if encoder.stride != 1:
            reason = f"{self.config.encoder.name} gives one frame in {encoder.stride} steps"
            raise ModelUnfit("ts2vec", f"{reason}, and crops are compared step by step", "Use an encoder of stride 1.")
        return Model(encoder, info, pooling=self.config.pooling)

    def batches(self, model: Model, part: Part, context: Context) -> Batches:
        longest = min(self.config.max_train_length, model.encoder.max_length or self.config.max_train_length)
        pieces = part.pieces(longest)
        sampler = Uniform(len(pieces), batch_size=self.config.batch_size, seed=context.seed, drop_last=True)
        crop = Crop(longest, shared=True)
        return Batches(pieces, sampler=sampler, crop=crop, device=context.device, seed=context.seed)

    def default_steps(self, part: Part, batches: Batches) -> int:
        values = int(part.lengths.sum()) * len(part.collection.channels)
        return 200 if values <= SMALL else 600

    def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        lengths = batch.span[:, 2] - batch.span[:, 1]
        shortest = 2 ** (self.config.temporal_unit + 1)
        crops = overlapping_crops(batch.x, lengths, generator=context.host_generator("crops"), shortest=shortest)
        generator = context.generator("masks")
        z1, z2 = (
            model.encoder(x, None, keep=draw_mask(self.config.mask, len(x), x.shape[1], generator=generator)).values
            for x in (crops.first, crops.second)
        )
        loss = hierarchical_contrast(
            z1[:, -crops.overlap :],
            z2[:, : crops.overlap],
            alpha=self.config.alpha,
            temporal_unit=self.config.temporal_unit,
        )
        yield Update("model", {"loss": loss})
