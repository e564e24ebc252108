"""TS2Vec: hierarchical contrast of two overlapping crops with random steps hidden.

Paper: Yue et al., "TS2Vec: Towards Universal Representation of Time Series", AAAI 2022. Reference code:
github.com/zhihanyue/ts2vec (MIT), read for its protocol, written anew.

Two crops of a batch overlap; in each, half of the projected steps are hidden; the encoder's frames on the overlap are
compared by the hierarchical contrastive loss. AdamW at 1e-3, batches of 8; what is judged is the mean of the initial weights
and all iterates. Training series longer than `max_train_length` are cut into pieces, and pieces that are still longer are
cropped (one place a batch). Batches are reduced to the pieces there are, and a smaller rest is dropped. Without a budget it
takes 200 steps up to 100,000 training values and 600 beyond.

Departures; neither changes anything for complete series of one length
| published | here |
| --- | --- |
| series of unequal length are centred in missing values, which enter the loss | crops are shares of each own length, no padding |
| missing steps at both ends are centred in the piece | each piece begins and ends at a step that has a value |
| numpy and torch global generators | generators derived from (seed, purpose, epoch, step) |

In several processes each compares the series of its own share of the batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from tswork.augment.mask import Mask, draw_mask
from tswork.augment.overlap import Crop as CroppedView
from tswork.augment.overlap import overlapping_crops
from tswork.config import Configured, Uses, configure
from tswork.context import Context
from tswork.data.batches import Batch, Batches, Crop
from tswork.data.collection import DataInfo, Part
from tswork.encoders.base import Frames
from tswork.encoders.pooling import Pooling, pool_by
from tswork.errors import DataInvalid, ModelUnfit, Problem
from tswork.methods.base import (
    Averaging,
    Method,
    MethodConfig,
    Update,
    build_encoder,
    observed_pieces,
    sequence_batches,
    steps_by_size,
)
from tswork.methods.model import Model
from tswork.objectives.ts2vec import hierarchical_contrast
from tswork.registry import register
from tswork.wording import counted


class TS2VecConfig(MethodConfig):
    encoder: Annotated[Configured, Uses("encoder")] = Field(
        default_factory=lambda: configure("encoder", "dilated_conv"), description="what is trained"
    )
    batch_size: int = Field(default=8, ge=1, description="sequences a batch; reduced to the number there are")
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


@register("method", "ts2vec", version=1, config=TS2VecConfig)
class TS2Vec(Method[TS2VecConfig]):
    """Hierarchical contrast of overlapping crops with hidden steps (TS2Vec, AAAI 2022)."""

    def build(self, info: DataInfo, *, generator: torch.Generator) -> Model:
        encoder = build_encoder(self.config.encoder, info, generator=generator)
        if encoder.stride != 1:
            reason = f"{self.config.encoder.name} gives one frame in {counted(encoder.stride, 'step')}"
            raise ModelUnfit("ts2vec", f"{reason}, and crops are compared step by step", "Use an encoder of stride 1.")
        return Model(encoder, info, pooling=self.config.pooling)

    def batches(self, model: Model, part: Part, context: Context) -> Batches:
        longest = min(self.config.max_train_length, model.encoder.max_length or self.config.max_train_length)
        pieces = observed_pieces(part, model, longest)
        if len(pieces) == 0:
            remedy = "Look at the data with `tswork data check`."
            raise DataInvalid([Problem("no step of it has a value", path="train", remedy=remedy)])
        return sequence_batches(
            pieces,
            encoder=model.encoder,
            context=context,
            batch_size=self.config.batch_size,
            drop_last=True,
            crop=Crop(longest, shared=True),
        )

    def default_steps(self, part: Part, batches: Batches) -> int:
        return steps_by_size(part)

    def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        config = self.config
        z1, z2, overlap = self._overlap(model, batch, context, purpose="crops")
        lengths = None if bool((overlap == z1.shape[1]).all()) else overlap.to(z1.device, non_blocking=True)
        loss = hierarchical_contrast(z1, z2, alpha=config.alpha, temporal_unit=config.temporal_unit, lengths=lengths)
        yield Update("model", {"loss": loss})

    def views(self, model: Model, batch: Batch, context: Context) -> tuple[Tensor, Tensor]:
        z1, z2, overlap = self._overlap(model, batch, context, purpose="panel")
        lengths = overlap.to(z1.device)
        first, second = (pool_by(model.encoder, Frames(one, lengths), model.pooling) for one in (z1, z2))
        return first, second

    def _overlap(
        self, model: Model, batch: Batch, context: Context, *, purpose: str
    ) -> tuple[Float[Tensor, "batch time dim"], Float[Tensor, "batch time dim"], Int[Tensor, "batch"]]:
        """Frames of both crops on their overlap, and (on the host) how many of them each series has."""
        crops = overlapping_crops(
            batch.x,
            batch.span[:, 2] - batch.span[:, 1],
            generator=context.host_generator(purpose),
            shortest=2 ** (self.config.temporal_unit + 1),
        )
        masks = context.own_generator(f"{purpose}/masks")
        first, second = (crops.of(self._encode(model, crop, masks), crop) for crop in (crops.first, crops.second))
        return first, second, crops.overlap

    def _encode(self, model: Model, crop: CroppedView, masks: torch.Generator) -> Float[Tensor, "batch time dim"]:
        lengths = crop.lengths.to(crop.x.device, non_blocking=True)
        keep = draw_mask(self.config.mask, lengths, crop.x.shape[1], generator=masks)
        frames: Frames = model.encoder(crop.x, None if crop.whole else lengths, keep=keep)
        return frames.values
