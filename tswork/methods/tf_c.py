"""TF-C: a sequence and its spectrum, each contrasted with changed views, and with each other.

Paper: Zhang et al., "Self-Supervised Contrastive Pre-Training For Time Series via Time-Frequency Consistency", NeurIPS 2022.
Reference code: github.com/mims-harvard/TFC-pretraining (MIT) at 9667582, read for its protocol, written anew.

The encoder is `time_frequency`; another one that is named becomes both of its halves. NT-Xent is taken between a
sequence's time features and those of its changed view, between its frequency features and those of its changed spectrum, and
between projections of time and frequency features (`objectives/tf_c.py`):

    loss = contrast_weight * (time + frequency) + consistency_weight * consistency

| option | `variant: paper` | `variant: reference` |
| --- | --- | --- |
| consistency | triplet: closer than to changed views | pair: NT-Xent of time and frequency alone (the other is computed and not used) |
| contrast_weight, consistency_weight | lambda and 1 - lambda; lambda = 0.5 is our choice | 0.2, 1 |
| frequency_share, frequency_height | 0, 0.5: one component removed and one added, at half the largest | 0.1, 0.1 |

Settings as published: temperature 0.2, Adam at 3e-4 with betas 0.9 and 0.99 and weight decay 3e-4, 40 epochs of batches of 128.

Departures
| published | here |
| --- | --- |
| the projections are judged | the features behind them, time and frequency side by side |
| code: jitter of deviation 2; paper: a bank of jitter, scaling, shifts and neighbouring pieces | `views`: scaling and jitter |
| code: gradients are cleared once an epoch | before every step |
| code: the changed spectrum is the sum of one with components removed and one with some added | one spectrum |
| code: a polynomial term is added to NT-Xent | NT-Xent |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field, field_validator
from torch import Tensor
from torch.optim import Optimizer

from tswork.augment.base import Augmentation, View, ViewSpec
from tswork.augment.spectrum import changed_spectrum
from tswork.config import Configured, Many, Uses, VariantConfig, configure
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import DataInfo
from tswork.encoders.pooling import pooled
from tswork.encoders.time_frequency import TimeFrequency, spectrum
from tswork.methods.base import Update, build_encoder
from tswork.methods.model import Model
from tswork.methods.sequence_contrast import (
    SequenceContrast,
    SequenceContrastConfig,
    adam,
    changed_view,
    padding_of,
    projection,
)
from tswork.objectives.info_nce import info_nce
from tswork.objectives.tf_c import consistency
from tswork.registry import register
from tswork.training.distributed import gather_with_gradient

REFERENCE: dict[str, Any] = {
    "consistency": "pair",
    "contrast_weight": 0.2,
    "consistency_weight": 1.0,
    "frequency_share": 0.1,
    "frequency_height": 0.1,
}
"""Defaults of `variant: reference` that differ from the paper's."""


class TFCConfig(SequenceContrastConfig, VariantConfig):
    reference = REFERENCE

    encoder: Annotated[Configured, Uses("encoder")] = Field(
        default_factory=lambda: configure("encoder", "time_frequency"),
        description="time_frequency, or one that becomes both of its halves",
    )
    batch_size: int = Field(default=128, ge=1, description="sequences a batch; reduced to the number there are")
    epochs: int | None = Field(default=40, ge=1, description="passes over the training part")
    learning_rate: float = Field(default=3e-4, gt=0, description="learning rate of Adam")
    weight_decay: float = Field(default=3e-4, ge=0, description="weight decay of Adam, added to the gradient")
    views: Many[ViewSpec] = Field(
        default_factory=lambda: (configure("view", "scaling"), configure("view", {"uses": "jitter", "sigma": 0.3})),
        description="changes of the view in time, in order",
    )
    frequency_share: float = Field(
        default=0.0, ge=0, le=0.5, description="share of frequencies removed, and as many added; one of each at least"
    )
    frequency_height: float = Field(
        default=0.5, ge=0, le=1, description="amplitude of an added frequency, as a share of the largest"
    )
    temperature: float = Field(default=0.2, gt=0, description="divides cosines")
    contrast_weight: float = Field(default=0.5, ge=0, description="weight of the contrasts in time and in frequency")
    consistency: Literal["triplet", "pair"] = Field(
        default="triplet", description="time and frequency closer than pairs with changed views, or NT-Xent of them"
    )
    consistency_weight: float = Field(default=0.5, ge=0, description="weight of the consistency")
    head: int = Field(
        default=128, ge=1, description="width of the projections that are compared across time and frequency"
    )

    @field_validator("encoder")
    @classmethod
    def _both_halves(cls, encoder: Configured) -> Configured:
        """Also in the config: this untrained encoder is another control than the one that was named."""
        if encoder.name == "time_frequency":
            return encoder
        return configure("encoder", {"uses": "time_frequency", "time": encoder})


class Pair(NamedTuple):
    """What is compared of one view: features in time and in frequency, and their projections."""

    time: Float[Tensor, "batch wide"]
    frequency: Float[Tensor, "batch wide_too"]
    time_projected: Float[Tensor, "batch dim"]
    frequency_projected: Float[Tensor, "batch dim"]


@register("method", "tf_c", version=1, config=TFCConfig)
class TFC(SequenceContrast[TFCConfig]):
    """Contrast in time, in frequency, and consistency of the two (TF-C, NeurIPS 2022)."""

    def __init__(self, config: TFCConfig) -> None:
        super().__init__(config)
        self._changes: list[Augmentation[Any]] = [view.build() for view in config.views]

    def build(self, info: DataInfo, *, generator: torch.Generator) -> Model:
        encoder = build_encoder(self.config.encoder, info, generator=generator)
        assert isinstance(encoder, TimeFrequency)
        width = self.config.head
        heads = {
            "time": projection(encoder.time.dim, 2 * width, width),
            "frequency": projection(encoder.frequency.dim, 2 * width, width),
        }
        return Model(encoder, info, heads={**heads}, pooling=self.config.pooling)

    def optimisers(self, model: Model) -> Mapping[str, Optimizer]:
        return adam(model, self.config, betas=(0.9, 0.99))

    def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        options = self.config
        pairs = self._pairs(model, batch, context.own_generator("views"))
        given, changed = (Pair(*map(gather_with_gradient, pair)) for pair in pairs)
        terms = {
            "time": options.contrast_weight * self._nt_xent(given.time, changed.time),
            "frequency": options.contrast_weight * self._nt_xent(given.frequency, changed.frequency),
        }
        if options.consistency == "pair":
            close = self._nt_xent(given.time_projected, given.frequency_projected)
        else:
            close = consistency(*given[2:], *changed[2:], temperature=options.temperature)
        yield Update("model", {**terms, "consistency": options.consistency_weight * close})

    def views(self, model: Model, batch: Batch, context: Context) -> tuple[Tensor, Tensor]:
        given, changed = self._pairs(model, batch, context.own_generator("panel"))
        return torch.cat([given.time, given.frequency], dim=1), torch.cat([changed.time, changed.frequency], dim=1)

    def _nt_xent(self, a: Tensor, b: Tensor) -> Float[Tensor, ""]:
        return info_nce(a, b, temperature=self.config.temperature, among="both")

    def _pairs(self, model: Model, batch: Batch, generator: torch.Generator) -> tuple[Pair, Pair]:
        """A batch and its changed views, embedded."""
        changed = changed_view(batch, self._changes, generator)
        amplitudes = spectrum(batch.x, batch.unequal_lengths)
        other = changed_spectrum(
            amplitudes,
            share=self.config.frequency_share,
            height=self.config.frequency_height,
            generator=generator,
        )
        given = View(batch.x, batch.lengths)
        return (
            _embedded(model, given, padding_of(given, batch), amplitudes),
            _embedded(model, changed, padding_of(changed, batch), other),
        )


def _embedded(model: Model, view: View, lengths: Tensor | None, amplitudes: Tensor) -> Pair:
    encoder, heads = model.encoder, model.heads
    assert isinstance(encoder, TimeFrequency)
    time = pooled(encoder.time, view.x, lengths, pooling=model.pooling, keep=view.keep)
    frequency = encoder.spectral(amplitudes)
    return Pair(time, frequency, heads["time"](time), heads["frequency"](frequency))
