"""Features of a frozen pretrained encoder in place of sound: computed once, kept in the store, read by every method after that.

    prepare: [{uses: frozen_features, encoder: {uses: hf_speech, checkpoint: models/xls-r-300m, layers: weighted}, pooling: mean}]
    encoder: features

As every preparation it is an entry of the store under what it depends on: the data, the encoder's options, and the content of its
checkpoint. Methods, protocols and seeds that share these share the entry, and no forward pass is made again. What is stored:

| | without `pooling` | with `pooling` |
| --- | --- | --- |
| `layers: last` or a number | a step a frame | one step a sequence |
| `layers: weighted` | all layers side by side, for the encoder `features` to sum | the same, each pooled by itself |

Pooling by `mean` and a weighted sum may change places, so a sum of layers that is learnt over stored means is the one that would be
learnt over frames, in a thousandth of the space; other poolings of several layers are refused. Values are stored as 16-bit
floats (relative rounding 0.0005) unless one of them is too large for that, and are read back as 32-bit ones.

Features of samples that lie beside each other know of each other, so sequences are to be divided after this step, never inside it.
A GPU is used where there is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor

from tswork.config import NOT_KEYED, Config, Configured, Uses
from tswork.data.batches import Batch, Batches
from tswork.data.collection import Collection, DataInfo, Part
from tswork.data.prepare.base import Preparation
from tswork.data.prepare.requirements import positions, uncontinued
from tswork.data.samplers import ByLength
from tswork.encoders.base import Encoder, Frames, is_loaded
from tswork.encoders.layers import feature_channels
from tswork.encoders.lengths import check_lengths
from tswork.encoders.pooling import Pooling, pool_by
from tswork.encoders.speech import SpeechEncoder
from tswork.errors import DataInvalid, ModelUnfit, Problem
from tswork.random import seeded
from tswork.registry import register

LARGEST = torch.finfo(torch.float16).max


class FrozenFeaturesConfig(Config):
    encoder: Annotated[Configured, Uses("encoder")] = Field(
        description="whose frames are computed; it has to come from a checkpoint, and is never trained here"
    )
    pooling: Pooling | None = Field(default=None, description="one vector a sequence in place of frames; none: frames")
    precision: Literal["float16", "float32"] = Field(default="float16", description="how values are stored")
    steps: int = Field(
        default=480_000,
        ge=1,
        json_schema_extra=NOT_KEYED,
        description="samples, padding included, that are encoded at once: 30 s of sound at 16 kHz",
    )

    @model_validator(mode="after")
    def _layers_can_be_summed_later(self) -> FrozenFeaturesConfig:
        layers = getattr(self.encoder.config, "layers", None)
        if layers == "weighted" and self.pooling not in (None, "mean"):
            raise ValueError(
                f"the weighted sum of layers can follow the mean of frames, and not `pooling: {self.pooling}`"
            )
        return self


@register("preparation", "frozen_features", version=1, config=FrozenFeaturesConfig)
class FrozenFeatures(Preparation[FrozenFeaturesConfig]):
    """Turns sound into frames, or one vector a sequence, of a pretrained encoder."""

    def apply(self, collection: Collection) -> Collection:
        uncontinued(collection, "frozen_features")
        part = Part.whole(collection)
        encoder = self._encoder(part)
        computed = list(self._computed(encoder, part))
        order = torch.cat([one.items for one in computed])
        lengths = torch.empty(len(collection), dtype=torch.int64)
        lengths[order] = torch.cat([one.lengths for one in computed])
        begins = torch.empty_like(lengths)
        begins[order] = lengths[order].cumsum(0) - lengths[order]
        values = torch.cat(
            [one.values.to(torch.float32) for one in computed] if _mixed(computed) else [one.values for one in computed]
        )
        dim = values.shape[1] // (layers := _layers(encoder))
        rate = None if collection.rate is None or self.config.pooling else collection.rate / encoder.stride
        return collection.replaced(
            values=values[positions(begins, lengths)],
            offsets=torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)]),
            channels=feature_channels(dim, layers),
            rate=rate,
            times=None,
            targets=(),
            affine=None,
        )

    def _encoder(self, part: Part) -> Encoder:
        """The encoder on its device. Raises `DataInvalid` when it cannot take such data."""
        info = DataInfo.of(part)
        try:
            with seeded(0):
                encoder: Encoder = self.config.encoder.build(info)
            check_lengths(encoder, part)
            if not is_loaded(encoder):
                reason = "has no checkpoint, so its features would be those of random weights"
                raise ModelUnfit(self.config.encoder.name, reason, "Name a checkpoint.")
        except ModelUnfit as unfit:
            problem = Problem(f"{unfit.model}: {unfit.reason}", "data.prepare", remedy=unfit.remedy)
            raise DataInvalid([problem]) from unfit
        return encoder.to("cuda" if torch.cuda.is_available() else "cpu").eval()

    @torch.no_grad()
    def _computed(self, encoder: Encoder, part: Part) -> Iterator[_Computed]:
        sampler = ByLength(part.lengths, steps=self.config.steps, equal=not encoder.padding_invariant)
        batches = Batches(part, sampler=sampler, device=next(encoder.parameters()).device)
        for step in range(batches.steps(0)):
            frames = self._pooled(encoder, _frames(encoder, batches.at(0, step)))
            real = torch.arange(frames.values.shape[1], device=frames.lengths.device) < frames.lengths[:, None]
            values = self._narrow(frames.values[real]).cpu()
            yield _Computed(sampler.at(0, step), frames.lengths.cpu(), values)

    def _pooled(self, encoder: Encoder, frames: Frames) -> Frames:
        pooling = self.config.pooling
        if pooling is None:
            return frames
        return Frames(pool_by(encoder, frames, pooling)[:, None], torch.ones_like(frames.lengths))

    def _narrow(self, values: Float[Tensor, "frame dim"]) -> Float[Tensor, "frame dim"]:
        fits = self.config.precision == "float16" and not bool((values.abs() > LARGEST).any())
        return values.to(torch.float16) if fits else values.to(torch.float32)


class _Computed(NamedTuple):
    """Features of one batch, packed in its order."""

    items: Int[Tensor, "item"]
    lengths: Int[Tensor, "item"]
    values: Float[Tensor, "frame dim"]


def _frames(encoder: Encoder, batch: Batch) -> Frames:
    """Frames of a batch; of a sum of layers that is still to be learnt, all layers side by side."""
    lengths = batch.unequal_lengths
    if isinstance(encoder, SpeechEncoder) and encoder.layer_weights is not None:
        states, counts = encoder.states(batch.x, lengths)
        return Frames(torch.cat(list(states), dim=2), counts)
    frames: Frames = encoder(batch.x, lengths)
    return frames


def _layers(encoder: Encoder) -> int:
    weights = encoder.layer_weights if isinstance(encoder, SpeechEncoder) else None
    return 1 if weights is None else len(weights)


def _mixed(computed: Sequence[_Computed]) -> bool:
    return len({one.values.dtype for one in computed}) > 1
