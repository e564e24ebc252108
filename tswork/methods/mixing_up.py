"""Mixing-up: from a mixture of two sequences their shares are to be predicted.

Paper: Wickstrøm et al., "Mixing Up Contrastive Learning: Self-Supervised Representation Learning for Time Series", Pattern
Recognition Letters 155, 2022. Each sequence of a batch is mixed with another one, drawn by a random order of the batch,
`x~ = share * x + (1 - share) * x'` with a share from Beta(alpha, alpha); the loss (`objectives/mixing_up.py`) compares projections
of mixtures and of sequences. The authors' notebook (github.com/Wickstrom/MixupContrastiveLearning at 23a64c4, read for its protocol)
has alpha 1, temperature 0.5, a head of 128, and Adam at 1e-3 without weight decay, which is AdamW without any.

Departures
| published (the notebook) | here |
| --- | --- |
| one share for a whole batch | `share: batch`; with `share: sequence` each mixture has its own |
| the training part is one batch, 200 epochs | batches of 128, 100 epochs |
| an encoder of three convolutions, batch norm in the head | any encoder, no batch norm |

| data | what happens |
| --- | --- |
| sequences of unequal length | a mixture is as long as the shorter of its two |
| a value that is missing in either | is missing in the mixture |
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from tswork.augment.base import View
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import DataInfo
from tswork.encoders.pooling import pooled, pooled_dim
from tswork.methods.base import Update, build_encoder
from tswork.methods.model import Model
from tswork.methods.sequence_contrast import SequenceContrast, SequenceContrastConfig, projection
from tswork.objectives.mixing_up import mixture_contrast
from tswork.registry import register
from tswork.training.distributed import gather_with_gradient


class MixingUpConfig(SequenceContrastConfig):
    batch_size: int = Field(default=128, ge=1, description="sequences a batch; reduced to the number there are")
    epochs: int | None = Field(default=100, ge=1, description="passes over the training part")
    weight_decay: float = Field(default=0.0, ge=0, description="decoupled weight decay of AdamW")
    alpha: float = Field(
        default=1.0, ge=0.01, description="shares come from Beta(alpha, alpha); 1: all alike, small: near 0 or 1"
    )
    share: Literal["batch", "sequence"] = Field(default="batch", description="what has a share of its own")
    temperature: float = Field(default=0.5, gt=0, description="divides cosines")
    head: int = Field(default=128, ge=1, description="width of the projection that is compared")


class Mixture(NamedTuple):
    """A mixed view, and of what: row i is `share[i]` of sequence i and the rest of sequence `partner[i]`."""

    view: View
    partner: Int[Tensor, "batch"]
    share: Float[Tensor, "batch"]


@register("method", "mixing_up", version=1, config=MixingUpConfig)
class MixingUp(SequenceContrast[MixingUpConfig]):
    """Mixtures of two sequences whose shares are predicted (Mixing-up, 2022)."""

    def build(self, info: DataInfo, *, generator: torch.Generator) -> Model:
        encoder = build_encoder(self.config.encoder, info, generator=generator)
        wide = pooled_dim(encoder, self.config.pooling)
        head = projection(wide, wide, self.config.head)
        return Model(encoder, info, heads={"project": head}, pooling=self.config.pooling)

    def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        mixture = self.mixed(batch, context.own_generator("mixture"))
        mixed, z = self._vectors(model, batch, mixture)
        partner = mixture.partner + context.rank * len(batch)  # its place when the rows of all processes are together
        mixed, z, partner, share = map(gather_with_gradient, (mixed, z, partner, mixture.share))
        loss = mixture_contrast(mixed, z, partner=partner, share=share, temperature=self.config.temperature)
        yield Update("model", {"loss": loss})

    def views(self, model: Model, batch: Batch, context: Context) -> tuple[Tensor, Tensor]:
        return self._vectors(model, batch, self.mixed(batch, context.own_generator("panel")))

    def mixed(self, batch: Batch, generator: torch.Generator) -> Mixture:
        """The mixtures of a batch."""
        x, count = batch.x, len(batch)
        partner = torch.randperm(count, generator=generator, device=x.device)
        drawn = shares(1 if self.config.share == "batch" else count, self.config.alpha, generator).to(x.dtype)
        share = drawn.expand(count)
        lengths = batch.lengths.minimum(batch.lengths[partner])
        values = torch.lerp(x[partner], x, share[:, None, None])
        return Mixture(View(x, lengths).changed(values), partner, share)

    def _vectors(self, model: Model, batch: Batch, mixture: Mixture) -> tuple[Tensor, Tensor]:
        """Projections of the mixtures and of the sequences."""
        padded, project = batch.unequal_lengths is not None, model.heads["project"]
        lengths = mixture.view.lengths if padded else None
        mixed = pooled(model.encoder, mixture.view.x, lengths, pooling=model.pooling)
        z = pooled(model.encoder, batch.x, batch.unequal_lengths, pooling=model.pooling)
        return project(mixed), project(z)


def shares(count: int, alpha: float, generator: torch.Generator) -> Float[Tensor, "count"]:
    """Draws from Beta(alpha, alpha), as the share of one of two gamma variables in their sum."""
    shape = torch.full((2, count), alpha, dtype=torch.float64, device=generator.device)
    first, second = torch._standard_gamma(shape, generator).clamp(min=torch.finfo(torch.float64).tiny)
    share: Tensor = first / (first + second)
    return share
