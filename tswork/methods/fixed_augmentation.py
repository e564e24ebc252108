"""Contrast of windows with views by fixed augmentations: the control for every claim that a learned augmentation is better.

Encoder losses, windows, optimiser, averaging and budget are those of AutoTCL (`window_contrast`); only the view differs. It is
made by the usual augmentations of the literature (Um et al., ICMI 2017; Le Guennec et al., AALTD 2016; DeVries and Taylor, 2017;
Franceschi et al., NeurIPS 2019), either one after another or one of them, drawn anew for every step.

Without `augment_covariates` channels that are no targets stay as they are; a view that changes the length of sequences changes
all channels. AutoTCL and InfoTS change covariates unless told otherwise; for a comparison in which the making of views alone
differs, set `augment_covariates: true` here, or `gate_covariates: false` and `augment_covariates: false` there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import Field

from tswork.augment.base import Augmentation, View, ViewSpec, changed_by
from tswork.augment.channels import ChangedChannels
from tswork.config import Many, configure
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import DataInfo
from tswork.methods.model import Model
from tswork.methods.window_contrast import WindowContrast, WindowContrastConfig
from tswork.registry import register

USUAL: tuple[dict[str, Any], ...] = (
    {"uses": "jitter"},
    {"uses": "scaling"},
    {"uses": "permutation"},
    {"uses": "time_warp"},
    {"uses": "magnitude_warp"},
    {"uses": "window_slice"},
    {"uses": "window_warp"},
    {"uses": "cutout"},
    {"uses": "subsequence"},
)


class FixedAugmentationConfig(WindowContrastConfig):
    views: Many[ViewSpec] = Field(
        default_factory=lambda: tuple(configure("view", block) for block in USUAL),
        min_length=1,
        description="the augmentations that make the view",
    )
    choose: Literal["all", "one"] = Field(
        default="one", description="all: one after another, in order; one: one of them, drawn at every step"
    )
    augment_covariates: bool = Field(default=False, description="change channels that are no targets, too")


@register("method", "fixed_augmentation", version=1, config=FixedAugmentationConfig)
class FixedAugmentation(WindowContrast[FixedAugmentationConfig]):
    """Global and local InfoNCE between windows and views of them by fixed augmentations."""

    def __init__(self, config: FixedAugmentationConfig) -> None:
        super().__init__(config)
        self._augmentations: list[Augmentation[Any]] = [view.build() for view in config.views]

    def build(self, info: DataInfo, *, generator: torch.Generator) -> Model:
        model = super().build(info, generator=generator)
        model.heads["changed_channels"] = ChangedChannels(info, covariates=self.config.augment_covariates)
        return model

    def changed(self, model: Model, batch: Batch, context: Context, *, purpose: str) -> View:
        given = View(batch.x, batch.lengths)
        changed = changed_by(self._chosen(context, purpose), given, generator=context.own_generator(purpose))
        restored: View = model.heads["changed_channels"](changed, given)
        return restored

    def _chosen(self, context: Context, purpose: str) -> Sequence[Augmentation[Any]]:
        if self.config.choose == "all":
            return self._augmentations
        # Drawn on the host, where all processes draw the same.
        draw = torch.randint(len(self._augmentations), (), generator=context.host_generator(f"{purpose}/which"))
        return [self._augmentations[int(draw)]]
