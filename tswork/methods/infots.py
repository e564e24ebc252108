"""InfoTS: windows against a mixture of seven augmentations whose weights are learned.

Paper: Luo et al., "Time Series Contrastive Learning with Information-Aware Augmentations", AAAI 2023. There is no licence to its
code; this is written from what is published about it.

The encoder minimises global InfoNCE between a window and the mixture of its augmentations, and `local_weight` times local InfoNCE
among `blocks` parts of the window. At the first step of every `meta_every`-th epoch the weights of the mixture are learned
with the encoder as it is: a good view is faithful (it tells which window it is of) and varied (it tells little else of it),

    cross entropy of the window given its view + variety_weight * bound of I(view; window)

(`tswork.objectives.infots`). The optimisers are AdamW, without weight decay for the mixture.

| option | `variant: paper` | `variant: reference` |
| --- | --- | --- |
| variety_weight | 0.1, its published weight | 0: the released code leaves the term out |

What is published of it leaves room; so it is read here
| | our reading |
| --- | --- |
| "applied with probability p1" | for every window and augmentation on its own; else the window itself takes its place in the mean |
| pseudo-labels, the index in the batch | the classifier has the windows' embeddings as its classes: no weights of its own |
| the bound of I(view; window) | leave one out, by embeddings spread around those of their windows |
| a meta step "every 2 epochs" | one step, on the first batch |
| options of the warps and slices, and the share of the sub-sequence | the defaults of those views |
| the mixture needs views of one length | the sub-sequence stays in its place among zeros |
| steps hidden from the encoder | as TS2Vec hides them, whose encoder it uses; none in the meta step |
| covariates | are augmented |

The published settings are those for Electricity: batches of 128, windows of 2048 steps, 400 epochs and at most 4000 steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from torch.optim import Optimizer

from tswork.augment.base import View, ViewSpec
from tswork.augment.channels import ChangedChannels
from tswork.augment.mixture import Mixture
from tswork.config import Configured, Many, Uses, VariantConfig, configure
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import DataInfo
from tswork.encoders.pooling import pool
from tswork.errors import ModelUnfit
from tswork.methods.base import Update, parameter_groups
from tswork.methods.model import Model, frozen
from tswork.methods.window_contrast import WindowContrast, WindowContrastConfig
from tswork.objectives.autotcl import FEWEST_BLOCKS, global_info_nce
from tswork.objectives.infots import leave_one_out
from tswork.registry import register
from tswork.training.distributed import gather_with_gradient
from tswork.training.optimisers import AdamW

SEVEN: tuple[dict[str, Any], ...] = (
    {"uses": "subsequence", "elsewhere": "zero"},
    {"uses": "cutout", "share": 0.1},
    {"uses": "jitter", "sigma": 0.3},
    {"uses": "scaling", "sigma": 0.5},
    {"uses": "time_warp"},
    {"uses": "window_slice"},
    {"uses": "window_warp"},
)
"""The published augmentations, at their published strengths where there are any."""

REFERENCE: dict[str, Any] = {"variety_weight": 0.0}
"""Defaults of `variant: reference` that differ from the paper's."""


class InfoTSConfig(WindowContrastConfig, VariantConfig):
    reference = REFERENCE

    encoder: Annotated[Configured, Uses("encoder")] = Field(
        default_factory=lambda: configure("encoder", {"uses": "dilated_conv", "hidden": 60}),
        description="what is trained",
    )
    batch_size: int = Field(default=128, ge=1, description="windows a batch; reduced to the number there are")
    epochs: int | None = Field(default=400, ge=1, description="passes over the training part")
    iterations: int | None = Field(
        default=4000, ge=1, description="optimiser steps; stops at this or at `epochs`, whichever is first"
    )
    learning_rate: float = Field(default=1e-3, gt=0, description="learning rate of AdamW")
    max_train_length: int = Field(default=2048, ge=2, description="training window, in steps")
    local_weight: float = Field(default=0.5, ge=0, description="weight of the local loss; 0: none")
    blocks: int = Field(default=8, ge=FEWEST_BLOCKS, description="blocks that the local loss cuts a window into")
    augmentations: Many[ViewSpec] = Field(
        default_factory=lambda: tuple(configure("view", block) for block in SEVEN),
        min_length=1,
        description="members of the mixture; each keeps the length of every window",
    )
    probability: float = Field(default=0.7, ge=0, le=1, description="how often an augmentation is applied to a window")
    meta_every: int = Field(default=2, ge=1, description="epochs from one meta step to the next")
    meta_learning_rate: float = Field(default=1e-2, gt=0, description="learning rate of the mixture's weights")
    variety_weight: float = Field(
        default=0.1, ge=0, description="weight in the meta step of the information between view and window; 0: none"
    )
    augment_covariates: bool = Field(default=True, description="change channels that are no targets, too")


@register("method", "infots", version=1, config=InfoTSConfig)
class InfoTS(WindowContrast[InfoTSConfig]):
    """Global and local InfoNCE between windows and a learned mixture of augmentations (InfoTS, AAAI 2023)."""

    def build(self, info: DataInfo, *, generator: torch.Generator) -> Model:
        augmentations = [(spec.name, spec.build()) for spec in self.config.augmentations]
        changing = [name for name, augmentation in augmentations if not augmentation.keeps_length]
        if changing:
            reason = f"a mixture needs views of one length, and the view {changing[0]!r} changes it"
            remedy = "Set `elsewhere: zero`." if changing[0] == "subsequence" else "Use another view."
            raise ModelUnfit("infots", reason, remedy)
        model = super().build(info, generator=generator)
        model.heads["mixture"] = Mixture(
            [augmentation for _, augmentation in augmentations], probability=self.config.probability
        )
        model.heads["changed_channels"] = ChangedChannels(info, covariates=self.config.augment_covariates)
        return model

    def optimisers(self, model: Model) -> Mapping[str, Optimizer]:
        config, mixture = self.config, model.heads["mixture"]
        groups = parameter_groups(model, config, only=[model.encoder])
        return {
            "model": AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay),
            "mixture": AdamW(mixture.parameters(), lr=config.meta_learning_rate, weight_decay=0.0),
        }

    def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        if context.epoch % self.config.meta_every == 0 and context.step == 0:
            yield Update("mixture", self.judged(model, batch, context))
        yield from super().updates(model, batch, context)

    def judged(self, model: Model, batch: Batch, context: Context) -> dict[str, Float[Tensor, ""]]:
        """The terms that the weights of the mixture minimise; no gradient reaches the encoder."""
        config = self.config
        view = self._mixed(model, batch, context.own_generator("meta"))
        with frozen(model.encoder):
            z_x, z_v = (
                gather_with_gradient(pool(model.encoder(one.x, batch.unequal_lengths, keep=one.keep), "max"))
                for one in (View(batch.x, batch.lengths), view)
            )
        terms = {"fidelity": global_info_nce(z_v[:, None], z_x[:, None], temperature=config.temperature)}
        if config.variety_weight:
            terms["variety"] = config.variety_weight * leave_one_out(z_v, z_x, temperature=config.temperature)
        return terms

    def changed(self, model: Model, batch: Batch, context: Context, *, purpose: str) -> View:
        with torch.no_grad():
            return self._mixed(model, batch, context.own_generator(purpose))

    def health(self, model: Model, batch: Batch, context: Context) -> Mapping[str, Tensor]:
        """The weight of each augmentation in the mixture."""
        mixture = _mixture(model)
        names = [f"{place}_{spec.name}" for place, spec in enumerate(self.config.augmentations, start=1)]
        return {f"weight/{name}": weight for name, weight in zip(names, mixture.weights, strict=True)}

    def _mixed(self, model: Model, batch: Batch, generator: torch.Generator) -> View:
        given = View(batch.x, batch.lengths)
        mixed: View = model.heads["changed_channels"](_mixture(model)(given, generator=generator), given)
        return mixed


def _mixture(model: Model) -> Mixture:
    mixture = model.heads["mixture"]
    assert isinstance(mixture, Mixture)
    return mixture
