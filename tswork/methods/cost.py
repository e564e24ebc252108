"""CoST: contrast of trend features in time and of seasonal features in frequency.

Paper: Woo et al., "CoST: Contrastive Learning of Disentangled Seasonal-Trend Representations for Time Series Forecasting",
ICLR 2022. Reference code: github.com/salesforce/CoST (BSD-3) at 89db3bc, read for its protocol, written anew.

Two views of a window are scaled, shifted and jittered, each change with probability 1/2. The trend features of one random step of
the first view, behind a projection, are to be told from a queue by those of the second view, which a slowly following copy embeds
(MoCo); amplitudes and phases of both views' seasonal features are contrasted over the batch. The losses are in `objectives/cost.py`.
SGD at 1e-3 with momentum 0.9 and a weight decay of 1e-4, its rate falling to zero along a half cosine; windows of 201 steps, batches
of 128, a queue of 256. Without a budget it takes 200 steps up to 100,000 training values and 600 beyond, as TS2Vec. The last weights
are judged. Where there are fewer windows than a batch holds, each is taken several times, and seen through other changes each time.

Departures
| published | here |
| --- | --- |
| the batch size divides the queue | any batch size |
| a window's two views are cut from a slightly longer piece at two places | at one place; each window has its own |
| series of unequal length are centred in missing values | a series shorter than a window is its end (`trend_seasonal`) |
| the encoder has two heads | another encoder gives its frames to both losses, behind the last real one zeros |
| numpy, Python and torch global generators | generators derived from (seed, purpose, epoch, step) |

| data | what happens |
| --- | --- |
| one window in all | trained: the queue alone is contrasted with, and the losses in frequency are 0 |
| targets that are missing throughout, or constant | refused: only covariates would be seen |
| some constant channels, missing values | trained; steps without any value at both ends of a window are left out |

In several processes, what is compared is gathered from all, so that the loss is that of the whole batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from tswork.augment.base import Augmentation, View, ViewSpec, changed_by
from tswork.config import Configured, Many, Uses, configure
from tswork.context import Context
from tswork.data.batches import Batch, Batches, Crop
from tswork.data.collection import DataInfo, Part
from tswork.encoders.base import Encoder, Frames, valid_steps
from tswork.encoders.pooling import Pooling, pooled
from tswork.encoders.trend_seasonal import Parts, TrendSeasonal
from tswork.errors import ModelUnfit
from tswork.methods.base import (
    Method,
    MethodConfig,
    Update,
    build_encoder,
    observed_pieces,
    parameter_groups,
    sequence_batches,
    steps_by_size,
)
from tswork.methods.model import Model
from tswork.methods.queue import Follower, Queue
from tswork.methods.sequence_contrast import projection
from tswork.methods.values import check_values
from tswork.objectives.cost import seasonal_contrast, trend_contrast
from tswork.registry import register
from tswork.training.distributed import gather_with_gradient
from tswork.training.optimisers import SGD
from tswork.wording import counted


def _published_views() -> tuple[Configured, ...]:
    changes = ({"uses": name, "sigma": 0.5} for name in ("scaling", "shift", "jitter"))
    return tuple(configure("view", {"uses": "sometimes", "view": change, "probability": 0.5}) for change in changes)


class CostConfig(MethodConfig):
    encoder: Annotated[Configured, Uses("encoder")] = Field(
        default_factory=lambda: configure("encoder", "trend_seasonal"), description="what is trained"
    )
    batch_size: int = Field(default=128, ge=1, description="windows a batch")
    fill_batch: bool = Field(
        default=True,
        description="take windows several times where there are fewer than a batch holds; false: reduce it",
    )
    window: int = Field(default=201, ge=2, description="steps of a training window; no more than the encoder takes")
    learning_rate: float = Field(default=1e-3, gt=0, description="first learning rate of SGD, which falls to zero")
    weight_decay: float = Field(default=1e-4, ge=0, description="weight decay of SGD")
    optimiser_momentum: float = Field(default=0.9, ge=0, lt=1, description="momentum of SGD")
    views: Many[ViewSpec] = Field(default_factory=_published_views, description="changes of each view, in order")
    queue: int = Field(default=256, ge=1, description="trend features of earlier batches that are negatives")
    momentum: float = Field(default=0.999, ge=0, lt=1, description="how slowly the copy that embeds twins follows")
    temperature: float = Field(default=0.07, gt=0, description="divides the similarities of trend features")
    alpha: float = Field(default=5e-4, ge=0, description="weight of the mean of the amplitude and the phase loss")
    pooling: Pooling = Field(default="max", description="from frames to one vector a sequence")


@register("method", "cost", version=1, config=CostConfig)
class Cost(Method[CostConfig]):
    """Trend contrast in time with a queue, and seasonal contrast in frequency (CoST, ICLR 2022)."""

    def __init__(self, config: CostConfig) -> None:
        super().__init__(config)
        self._changes: list[Augmentation[Any]] = [view.build() for view in config.views]

    def build(self, info: DataInfo, *, generator: torch.Generator) -> Model:
        config = self.config
        moving = [view.name for view, change in zip(config.views, self._changes, strict=True) if not change.aligned]
        if moving:
            reason = f"it compares step by step, and the view {moving[0]!r} moves steps"
            raise ModelUnfit("cost", reason, "Use views that leave every step in its place.")
        encoder = build_encoder(config.encoder, info, generator=generator)
        if encoder.stride >= config.window:
            reason = f"{config.encoder.name} gives one frame for {counted(encoder.stride, 'step')}, so it has no course in time"
            raise ModelUnfit("cost", reason, "Use an encoder that gives frames, such as trend_seasonal.")
        wide = encoder.half_dim if isinstance(encoder, TrendSeasonal) else encoder.dim
        project = projection(wide, wide, wide)
        model = Model(
            encoder, info, heads={"project": project, "queue": Queue(config.queue, wide)}, pooling=config.pooling
        )
        model.heads["momentum"] = Follower(_trained(model), momentum=config.momentum)
        return model

    def batches(self, model: Model, part: Part, context: Context) -> Batches:
        size, window = self.config.batch_size, self._window(model)
        pieces = observed_pieces(part, model, window)
        check_values(pieces)
        if self.config.fill_batch:
            pieces = Part(pieces.collection, pieces.spans.repeat(-(-size // len(pieces)), 1))
        return sequence_batches(
            pieces, encoder=model.encoder, context=context, batch_size=size, drop_last=True, crop=Crop(window)
        )

    def default_steps(self, part: Part, batches: Batches) -> int:
        return steps_by_size(part)

    def optimisers(self, model: Model) -> Mapping[str, Optimizer]:
        config = self.config
        groups = parameter_groups(model, config)
        sgd = SGD(groups, lr=config.learning_rate, momentum=config.optimiser_momentum, weight_decay=config.weight_decay)
        return {"model": sgd}

    def schedulers(self, optimisers: Mapping[str, Optimizer], steps: int) -> Mapping[str, LRScheduler]:
        return {name: CosineAnnealingLR(optimiser, T_max=steps) for name, optimiser in optimisers.items()}

    def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        config, trained = self.config, _trained(model)
        follower, queue = model.heads["momentum"], model.heads["queue"]
        assert isinstance(follower, Follower)
        assert isinstance(queue, Queue)
        follower.follow(trained)
        generator = context.own_generator("views")
        first, second = self._view(batch, generator), self._view(batch, generator)
        place = torch.rand((), generator=context.generator("step"), device=context.device)
        lengths, window = batch.unequal_lengths, self._window(model)
        anchors, seasonal = _parts(trained, first, lengths, place, window=window)
        _, other_seasonal = _parts(trained, second, lengths, place, window=window)
        with torch.no_grad():
            twins, _ = _parts(follower.copy, second, lengths, place, window=window)
        anchors, twins, seasonal, other_seasonal = map(gather_with_gradient, (anchors, twins, seasonal, other_seasonal))
        trend = trend_contrast(anchors, twins, queue.read(), temperature=config.temperature)
        amplitude, phase = seasonal_contrast(seasonal, other_seasonal)
        share = config.alpha / 2
        yield Update("model", {"trend": trend, "amplitude": share * amplitude, "phase": share * phase})
        queue.write(twins)

    def views(self, model: Model, batch: Batch, context: Context) -> tuple[Tensor, Tensor]:
        generator, lengths = context.own_generator("panel"), batch.unequal_lengths
        first, second = (self._view(batch, generator) for _ in range(2))
        return (
            pooled(model.encoder, first.x, lengths, pooling=model.pooling, keep=first.keep),
            pooled(model.encoder, second.x, lengths, pooling=model.pooling, keep=second.keep),
        )

    def _window(self, model: Model) -> int:
        """Steps of a training window."""
        limits = (self.config.window, model.encoder.max_length, model.info.max_length)
        return min(limit for limit in limits if limit)

    def _view(self, batch: Batch, generator: torch.Generator) -> View:
        return changed_by(self._changes, View(batch.x, batch.lengths), generator=generator)


def _trained(model: Model) -> nn.ModuleDict:
    """The modules that embed a view, under the names that a copy of them has too."""
    return nn.ModuleDict({"encoder": model.encoder, "project": model.heads["project"]})


def _parts(
    modules: nn.Module, view: View, lengths: Int[Tensor, "batch"] | None, place: Float[Tensor, ""], *, window: int
) -> Parts:
    """The projected trend features at one place (a share of each sequence), and all seasonal features."""
    encoder, project = modules.get_submodule("encoder"), modules.get_submodule("project")
    assert isinstance(encoder, Encoder)
    if isinstance(encoder, TrendSeasonal):
        trend, seasonal = encoder.parts(view.x, _at(place, view.lengths), lengths, keep=view.keep)
        return Parts(project(trend), seasonal)
    frames: Frames = encoder(view.x, lengths, keep=view.keep)
    values, real = frames
    trend = values[torch.arange(len(values), device=values.device), _at(place, real)]
    if lengths is not None:
        values = torch.where(valid_steps(real, values.shape[1])[..., None], values, 0.0)
    missing = -(-window // encoder.stride) - values.shape[1]
    return Parts(project(trend), functional.pad(values, (0, 0, 0, max(0, missing))))


def _at(place: Float[Tensor, ""], lengths: Int[Tensor, "batch"]) -> Int[Tensor, "batch"]:
    return (place * lengths).long().minimum(lengths - 1)
