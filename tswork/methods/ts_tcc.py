"""TS-TCC: each of two views predicts the other's future, and their contexts are picked out of the batch.

Paper: Eldele et al., "Time-Series Representation Learning via Temporal and Contextual Contrasting", IJCAI 2021. Reference code:
github.com/emadeldeen24/TS-TCC (MIT) at 15bdfd6, read for its protocol, written anew.

A weak view (scaled, jittered) and a strong one (segments in another order, jittered) of a sequence are encoded. Frames up to a
random one become a context by a transformer with a token of its own and without positions; one linear map a step ahead predicts from
it the next frames of the *other* view (`objectives/ts_tcc.py`), and projected contexts of the two views are contrasted by NT-Xent:

    loss = temporal_weight * (weak from strong + strong from weak) + contextual_weight * NT-Xent

| option | `variant: paper` | `variant: reference` |
| --- | --- | --- |
| weak_views | scaling, jitter | scaling |
| among | futures: a prediction among the frames of the batch | predictions: a frame among the predictions |
| normalise | false | true: frames are brought to length one |

Settings as published: weights 1 and 0.7, temperature 0.2 of cosines, four layers of width 100 with four heads, a horizon of 40 % of
the frames (in the code 6 of 18 for HAR), Adam at 3e-4 with betas 0.9 and 0.99 and weight decay 3e-4, 40 epochs of batches of
128, the rest dropped.

Departures
| published | here |
| --- | --- |
| an encoder that halves time three times | any; its frames are max-pooled to `frame_steps` steps before prediction |
| frames see few steps | frames of an encoder with a long reach (`dilated_conv` of depth 10) hold some of the future that is predicted |
| factors around 2 with a deviation of 1.1 | around 1 with 0.55: the same spread at half the size |
| up to 8 segments that end at random places | 8 of one size |
| ReLU, a hidden layer of 64, batch norm in the projection | GELU, as wide as the context, no batch norm |
| all sequences have one length | each has a random frame of its own; frames behind its end are neither predicted nor candidates |

Training sequences (or windows) of fewer than two such frames are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from tswork.augment.base import Augmentation, ViewSpec
from tswork.config import Many, VariantConfig, configure
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import DataInfo
from tswork.encoders.base import Frames, valid_steps
from tswork.encoders.transformer import Layer, TransformerConfig
from tswork.errors import ModelUnfit
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
from tswork.objectives.ts_tcc import Rivals, future_contrast
from tswork.registry import register
from tswork.training.distributed import gather_with_gradient
from tswork.wording import counted

SCALED: dict[str, Any] = {"uses": "scaling", "sigma": 0.55}
WEAK: tuple[dict[str, Any], ...] = (SCALED, {"uses": "jitter", "sigma": 0.1})
STRONG: tuple[dict[str, Any], ...] = ({"uses": "permutation", "segments": 8}, {"uses": "jitter", "sigma": 0.8})

REFERENCE: dict[str, Any] = {"weak_views": (SCALED,), "among": "predictions", "normalise": True}
"""Defaults of `variant: reference` that differ from the paper's."""


class TSTCCConfig(SequenceContrastConfig, VariantConfig):
    reference = REFERENCE

    batch_size: int = Field(default=128, ge=1, description="sequences a batch; reduced to the number there are")
    epochs: int | None = Field(default=40, ge=1, description="passes over the training part")
    learning_rate: float = Field(default=3e-4, gt=0, description="learning rate of Adam")
    weight_decay: float = Field(default=3e-4, ge=0, description="weight decay of Adam, added to the gradient")
    weak_views: Many[ViewSpec] = Field(
        default_factory=lambda: tuple(configure("view", block) for block in WEAK),
        description="changes of the weak view, in order",
    )
    strong_views: Many[ViewSpec] = Field(
        default_factory=lambda: tuple(configure("view", block) for block in STRONG),
        description="changes of the strong view, in order",
    )
    frame_steps: int = Field(
        default=8, ge=1, description="steps of a frame that is predicted; finer ones are max-pooled"
    )
    horizon: float = Field(default=0.4, gt=0, lt=1, description="share of the frames that is predicted")
    among: Rivals = Field(default="futures", description="what the temporal softmax runs over")
    normalise: bool = Field(default=False, description="bring frames to length one before prediction")
    temporal_weight: float = Field(default=1.0, ge=0, description="weight of the two predictions")
    contextual_weight: float = Field(default=0.7, ge=0, description="weight of the contrast of contexts")
    temperature: float = Field(default=0.2, gt=0, description="divides the cosines of contexts")
    context_dim: int = Field(default=100, ge=1, description="width of a context; a multiple of `context_heads`")
    context_layers: int = Field(default=4, ge=1, description="layers of the transformer that makes a context")
    context_heads: int = Field(default=4, ge=1, description="its attention heads")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="its dropout in training")


class ContextEncoder(nn.Module):
    """A transformer whose own token becomes the context of the frames that it may see; it knows no positions."""

    def __init__(self, dim: int, config: TSTCCConfig) -> None:
        super().__init__()
        width = config.context_dim
        share = config.dropout
        options = TransformerConfig(
            dim=width, heads=config.context_heads, widening=1, dropout=share, attention_dropout=share
        )
        self.project = nn.Linear(dim, width)
        self.token = nn.Parameter(torch.randn(width))
        self.layers = nn.ModuleList(Layer(options) for _ in range(config.context_layers))

    def forward(
        self, frames: Float[Tensor, "batch frame dim"], seen: Bool[Tensor, "batch frame"]
    ) -> Float[Tensor, "batch width"]:
        hidden = self.project(frames)
        hidden = torch.cat([self.token.to(hidden.dtype).expand(len(hidden), 1, -1), hidden], dim=1)
        mask = functional.pad(seen, (1, 0), value=True)[:, None, None, :]
        for layer in self.layers:
            hidden = layer(hidden, mask)
        context: Tensor = hidden[:, 0]
        return context


class Predictors(nn.Module):
    """One linear map a step ahead, from a context to the frame that it expects there."""

    def __init__(self, width: int, *, steps: int, dim: int) -> None:
        super().__init__()
        self.steps, self.dim = steps, dim
        self.maps = nn.Linear(width, steps * dim)

    def forward(self, context: Float[Tensor, "batch width"]) -> Float[Tensor, "batch step dim"]:
        expected: Tensor = self.maps(context).unflatten(1, (self.steps, self.dim))
        return expected


class Place(NamedTuple):
    """Where each sequence is cut: its last past frame, the frames to predict, and which of them are real."""

    past: Bool[Tensor, "batch frame"]
    future: Int[Tensor, "batch step"]
    valid: Bool[Tensor, "batch step"]


@register("method", "ts_tcc", version=1, config=TSTCCConfig)
class TSTCC(SequenceContrast[TSTCCConfig]):
    """Cross-view prediction in time and contrast of contexts (TS-TCC, IJCAI 2021)."""

    def __init__(self, config: TSTCCConfig) -> None:
        super().__init__(config)
        self._weak: list[Augmentation[Any]] = [view.build() for view in config.weak_views]
        self._strong: list[Augmentation[Any]] = [view.build() for view in config.strong_views]

    def build(self, info: DataInfo, *, generator: torch.Generator) -> Model:
        config = self.config
        if config.context_dim % config.context_heads:
            reason = f"a context of width {config.context_dim} does not fit {config.context_heads} heads"
            raise ModelUnfit("ts_tcc", reason, "Make `context_dim` a multiple of `context_heads`.")
        views = zip((*config.weak_views, *config.strong_views), (*self._weak, *self._strong), strict=True)
        changing = [spec.name for spec, change in views if not change.keeps_length]
        if changing:
            reason = f"one view predicts frames of the other, and the view {changing[0]!r} changes its length"
            raise ModelUnfit("ts_tcc", reason, "Use views that keep every length.")
        encoder = build_encoder(config.encoder, info, generator=generator)
        steps = self._steps_ahead(info, encoder.stride)
        heads = {
            "context": ContextEncoder(encoder.dim, config),
            "predict": Predictors(config.context_dim, steps=steps, dim=encoder.dim),
            "project": projection(config.context_dim, max(1, encoder.dim // 2), max(1, encoder.dim // 4)),
        }
        return Model(encoder, info, heads=heads, pooling=config.pooling)

    def _steps_ahead(self, info: DataInfo, stride: int) -> int:
        """Frames that are predicted, of the longest training sequence."""
        steps = min(limit for limit in (self.config.window, info.max_length) if limit is not None)
        frames = -(-steps // (stride * self._pool(stride)))
        if frames < 2:
            wide = stride * self._pool(stride)
            reason = f"sequences of {counted(steps, 'step')} hold no two frames of {counted(wide, 'step')}"
            reason = f"{reason}, so there is no future to predict"
            raise ModelUnfit(
                "ts_tcc", reason, "Lower `frame_steps`, use a finer encoder, or train on longer sequences."
            )
        return max(1, int(self.config.horizon * frames))

    def _pool(self, stride: int) -> int:
        return max(1, self.config.frame_steps // stride)

    def optimisers(self, model: Model) -> Mapping[str, Optimizer]:
        return adam(model, self.config, betas=(0.9, 0.99))

    def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        options = self.config
        weak, strong = self._frames(model, batch, context, purpose="views")
        place = self._place(model, weak, context.generator("time"))
        contexts = [model.heads["context"](frames.values, place.past) for frames in (weak, strong)]
        terms = {
            "weak": self._prediction(model, contexts[0], strong, place),
            "strong": self._prediction(model, contexts[1], weak, place),
        }
        z1, z2 = (gather_with_gradient(model.heads["project"](one)) for one in contexts)
        contextual = info_nce(z1, z2, temperature=options.temperature, among="both")
        terms = {name: options.temporal_weight * term for name, term in terms.items()}
        yield Update("model", {**terms, "contextual": options.contextual_weight * contextual})

    def views(self, model: Model, batch: Batch, context: Context) -> tuple[Tensor, Tensor]:
        weak, strong = self._frames(model, batch, context, purpose="panel")
        place = self._place(model, weak, context.generator("panel/time"))
        first, second = (
            model.heads["project"](model.heads["context"](one.values, place.past)) for one in (weak, strong)
        )
        return first, second

    def _frames(self, model: Model, batch: Batch, context: Context, *, purpose: str) -> tuple[Frames, Frames]:
        """Frames of the weak and of the strong view, as they are predicted."""
        generator, made = context.own_generator(purpose), []
        for changes in (self._weak, self._strong):
            view = changed_view(batch, changes, generator)
            frames = max_pooled(
                model.encoder(view.x, padding_of(view, batch), keep=view.keep), self._pool(model.encoder.stride)
            )
            values = functional.normalize(frames.values, dim=2) if self.config.normalise else frames.values
            made.append(Frames(values, frames.lengths))
        return made[0], made[1]

    def _place(self, model: Model, frames: Frames, generator: torch.Generator) -> Place:
        """One draw for the batch, as a share of the frames at which each sequence can be cut."""
        steps = _predictors(model).steps
        draw = torch.rand((), generator=generator, device=frames.values.device, dtype=torch.float64)
        last = (draw * (frames.lengths - steps).clamp(min=1)).long()[:, None]
        count = frames.values.shape[1]
        future = last + 1 + torch.arange(steps, device=last.device)
        past = valid_steps(last[:, 0] + 1, count)
        return Place(past, future.clamp(max=count - 1), future < frames.lengths[:, None])

    def _prediction(self, model: Model, context: Tensor, other: Frames, place: Place) -> Float[Tensor, ""]:
        """Temporal contrast of what a context predicts and the other view's frames."""
        predicted = _predictors(model)(context)
        actual = other.values.gather(1, place.future[..., None].expand(-1, -1, other.values.shape[2]))
        predicted, actual, valid = map(gather_with_gradient, (predicted, actual, place.valid))
        return future_contrast(predicted, actual, valid=valid, among=self.config.among)


def _predictors(model: Model) -> Predictors:
    predictors = model.heads["predict"]
    assert isinstance(predictors, Predictors)
    return predictors


def max_pooled(frames: Frames, size: int) -> Frames:
    """Frames with the largest values of every `size` real ones; a last one may hold fewer."""
    if size == 1:
        return frames
    values, lengths = frames
    inside = valid_steps(lengths, values.shape[1])[..., None]
    shown = values.masked_fill(~inside, -torch.inf).transpose(1, 2)
    larger = functional.max_pool1d(shown, kernel_size=size, ceil_mode=True).transpose(1, 2)
    counts = -(-lengths // size)
    behind = ~valid_steps(counts, larger.shape[1])[..., None]
    return Frames(larger.masked_fill(behind, 0.0), counts)
