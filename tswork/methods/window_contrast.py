"""What methods share that contrast windows of series with changed views of them: AutoTCL, its fixed rival, and InfoTS.

A method says how a batch becomes a view (`changed`); everything else is here. Training series are cut into pieces of about
`max_train_length` steps as TS2Vec cuts them (one random place a batch where a piece is longer); whole sequences that are
shorter serve as windows. Both the windows and their views are encoded, with random steps hidden where `mask` says so, and

    loss = global InfoNCE + local_weight * local InfoNCE

(`tswork.objectives.autotcl`). With `segments` the global one is the mean over several resolutions, at which segments of windows
are compared in place of whole windows (`tswork.objectives.segments`). AdamW; what is judged is the mean of the initial weights
and all iterates. Without a budget it takes as many steps as TS2Vec.

| data | what happens |
| --- | --- |
| one window in all, or none that shares its batch | refused: there is nothing to contrast it with |
| targets that are missing throughout, or constant | refused: only covariates would be seen |
| some constant channels | trained: they carry nothing and spoil nothing |
| missing values | stay missing in every view; steps without any value at both ends of a window are left out |
| windows, or frames of an encoder, all fewer than `blocks` | refused, unless `local_weight` is 0 |
| some windows shorter than `blocks` | take no part in the local loss |
| windows shorter than `segments` | are compared in no more segments than they have frames |

In several processes the global loss compares the windows of all; the local one is the mean over the processes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Literal, TypeVar

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn

from tswork.augment.base import View
from tswork.augment.mask import Mask, draw_mask
from tswork.config import ADDED_LATER, Configured, Uses, configure
from tswork.context import Context
from tswork.data.batches import Batch, Batches, Crop
from tswork.data.collection import DataInfo, Part
from tswork.encoders.base import Frames
from tswork.encoders.pooling import Pooling, pool
from tswork.errors import DataInvalid, ModelUnfit, Problem
from tswork.methods.base import (
    Averaging,
    Method,
    MethodConfig,
    Update,
    build_encoder,
    has_company,
    observed_pieces,
    sequence_batches,
    steps_by_size,
)
from tswork.methods.model import Model, evaluating
from tswork.methods.values import check_values
from tswork.objectives.autotcl import FEWEST_BLOCKS, global_info_nce, local_info_nce
from tswork.objectives.segments import doublings, largest_of_segments, segment_info_nce
from tswork.training.distributed import gather_with_gradient
from tswork.wording import counted


class WindowContrastConfig(MethodConfig):
    encoder: Annotated[Configured, Uses("encoder")] = Field(
        default_factory=lambda: configure("encoder", "causal_mixture"), description="what is trained"
    )
    batch_size: int = Field(default=32, ge=1, description="windows a batch; reduced to the number there are")
    learning_rate: float = Field(default=3e-5, gt=0, description="learning rate of AdamW")
    averaging: Averaging = Field(
        default="mean", description="weights that are judged: the last, or the mean of all since initialisation"
    )
    max_train_length: int = Field(default=257, ge=2, description="training window, in steps")
    mask: Mask = Field(default="binomial", description="which steps of a window and of its view are hidden in training")
    temperature: float = Field(default=1.0, gt=0, description="divides similarities in the global loss")
    segments: int = Field(
        default=1,
        ge=1,
        description="global loss: compares whole windows, and windows cut in 2, 4, ... up to so many segments",
        json_schema_extra=ADDED_LATER,
    )
    local_weight: float = Field(default=0.3, ge=0, description="weight of the local loss; 0: none")
    local_windows: Literal["all", "first"] = Field(
        default="all", description="local loss: of every window, or of the first of a batch only"
    )
    blocks: int = Field(default=16, ge=FEWEST_BLOCKS, description="blocks that the local loss cuts a window into")
    pooling: Pooling = Field(default="max", description="from frames to one vector a sequence, when it is judged")


C = TypeVar("C", bound=WindowContrastConfig)


class WindowContrast(Method[C]):
    """Global and local InfoNCE between windows and their views, whatever makes the views."""

    @abstractmethod
    def changed(self, model: Model, batch: Batch, context: Context, *, purpose: str) -> View:
        """The view of a batch; no gradient flows into it. Draws come from `context.own_generator(purpose)`."""

    def build(self, info: DataInfo, *, generator: torch.Generator) -> Model:
        encoder = build_encoder(self.config.encoder, info, generator=generator)
        return Model(encoder, info, pooling=self.config.pooling)

    def batches(self, model: Model, part: Part, context: Context) -> Batches:
        longest = min(self.config.max_train_length, model.encoder.max_length or self.config.max_train_length)
        windows = observed_pieces(part, model, longest)
        check_values(windows)
        batches = sequence_batches(
            windows,
            encoder=model.encoder,
            context=context,
            batch_size=self.config.batch_size,
            drop_last=True,
            crop=Crop(longest, shared=True),
        )
        if not has_company(batches):
            remedy = "Train on longer series, lower `max_train_length`, or raise `batch_size`."
            message = "no batch has two windows, so that there is nothing to contrast one with"
            raise DataInvalid([Problem(message, path="train", remedy=remedy)])
        self._check_blocks(model, min(longest, int(windows.lengths.max())))
        return batches

    def _check_blocks(self, model: Model, longest: int) -> None:
        """Refuse windows and encoders that cannot be cut into the local loss's blocks."""
        blocks, other = self.config.blocks, "Lower `blocks`, or set `local_weight: 0`."
        if self.config.local_weight == 0:
            return
        if longest < blocks:
            cut = f"and the local loss cuts it into {counted(blocks, 'block')}"
            message = f"the longest training window has {counted(longest, 'step')}, {cut}"
            raise DataInvalid([Problem(message, path="train", remedy=other)])
        x = torch.zeros(1, longest, len(model.info.channels), device=model.device)
        with evaluating(model):
            frames = model.encoder(x).values.shape[1]
        if frames < blocks:
            cut = f"and the local loss cuts them into {counted(blocks, 'block')}"
            reason = f"it gives {counted(frames, 'frame')} of {counted(longest, 'step')}, {cut}"
            raise ModelUnfit(self.config.encoder.name, reason, other)

    def default_steps(self, part: Part, batches: Batches) -> int:
        return steps_by_size(part)

    def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        view = self.changed(model, batch, context, purpose="view")
        yield Update("model", self.contrast(model, batch, view, context))

    def contrast(self, model: Model, batch: Batch, view: View, context: Context) -> dict[str, Float[Tensor, ""]]:
        """The terms of the encoder's loss for a batch and its view."""
        config = self.config
        window, other = self._pair(model, batch, view, context.own_generator("masks"))
        terms = {"global": self._global(window, other)}
        if config.local_weight:
            terms["local"] = config.local_weight * local_info_nce(
                window.values,
                blocks=config.blocks,
                variant="reference" if config.local_windows == "first" else "paper",
                generator=context.own_generator("local"),
                lengths=None if batch.unequal_lengths is None else window.lengths,
            )
        return terms

    def _global(self, window: Frames, other: Frames) -> Float[Tensor, ""]:
        temperature = self.config.temperature
        if self.config.segments == 1:
            z_x, z_v = (gather_with_gradient(pool(frames, "max"))[:, None] for frames in (window, other))
            return global_info_nce(z_x, z_v, temperature=temperature)
        frames = gather_with_gradient(window.lengths.minimum(other.lengths))
        losses, used = [], []
        for count in doublings(self.config.segments):
            x, v = (
                gather_with_gradient(largest_of_segments(one.values, count, lengths=one.lengths))
                for one in (window, other)
            )
            long_enough = frames >= count
            losses.append(segment_info_nce(x, v, temperature=temperature, takes_part=long_enough))
            used.append(long_enough.any())
        return torch.stack(losses).sum() / torch.stack(used).sum().clamp(min=1)

    def views(self, model: Model, batch: Batch, context: Context) -> tuple[Tensor, Tensor]:
        view = self.changed(model, batch, context, purpose="panel")
        window, other = self._pair(model, batch, view, context.own_generator("panel/masks"))
        return pool(window, "max"), pool(other, "max")

    def _pair(self, model: Model, batch: Batch, view: View, masks: torch.Generator) -> tuple[Frames, Frames]:
        """Frames of the windows of a batch and of their view, with random steps hidden."""
        padded = batch.unequal_lengths is not None or view.lengths is not batch.lengths
        window, other = (self._masked(one, masks) for one in (View(batch.x, batch.lengths), view))
        if window.x.shape != other.x.shape or _compares_rows(model.encoder):
            first, second = (_encoded(model, one, padded=padded) for one in (window, other))
            return first, second
        # One pass over both: what depends on the weights alone is then computed once.
        keep = None
        if window.keep is not None or other.keep is not None:
            keep = torch.cat([_all_kept(one) if one.keep is None else one.keep for one in (window, other)])
        both = View(torch.cat([window.x, other.x]), torch.cat([window.lengths, other.lengths]), keep)
        values, lengths = (half.chunk(2) for half in _encoded(model, both, padded=padded))
        return Frames(values[0], lengths[0]), Frames(values[1], lengths[1])

    def _masked(self, view: View, masks: torch.Generator) -> View:
        if self.config.mask == "all_true":
            return view
        drawn = draw_mask(self.config.mask, view.lengths, view.x.shape[1], generator=masks)
        return replace(view, keep=drawn if view.keep is None else view.keep & drawn)


def _encoded(model: Model, view: View, *, padded: bool) -> Frames:
    frames: Frames = model.encoder(view.x, view.lengths if padded else None, keep=view.keep)
    return frames


def _all_kept(view: View) -> Bool[Tensor, "batch time"]:
    return torch.ones(view.x.shape[:2], dtype=torch.bool, device=view.x.device)


def _compares_rows(module: nn.Module) -> bool:
    """Whether what becomes of a row depends on the others of its batch."""
    return any(isinstance(one, nn.modules.batchnorm._BatchNorm) for one in module.modules())
