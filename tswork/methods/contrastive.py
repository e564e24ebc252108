"""The general contrastive method: two views, an objective, an optional projection head, queue and momentum encoder.

Most papers are a choice of these. SimCLR (Chen et al., ICML 2020) is two augmented views, `info_nce` with `among: both` and a
head; MoCo (He et al., CVPR 2020) adds a queue, embeds the second view by a copy of the encoder that follows it slowly
(`momentum: 0.999`), and has the first view alone as anchors (`symmetric: false`). A paper that changes only the loss adds an
objective and nothing else.

In several processes, embeddings of sequences (and their labels) are gathered from all with gradients, so that the loss is
that of the whole batch; an objective of frames compares the sequences of each process's own share.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar, NamedTuple, TypeVar

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from tswork.augment.base import Augmentation, View, ViewSpec, changed_by
from tswork.config import Config, Configured, Many, Uses, configure
from tswork.context import Context
from tswork.data.batches import Batch, Batches, Crop
from tswork.data.collection import DataInfo, Part
from tswork.encoders.pooling import Pooling, pooled, pooled_dim
from tswork.errors import ModelUnfit
from tswork.methods.base import Method, MethodConfig, Update, build_encoder, check_company, sequence_batches
from tswork.methods.model import Model
from tswork.methods.queue import Follower, Queue
from tswork.methods.sequence_contrast import projection
from tswork.objectives.base import Objective
from tswork.registry import register
from tswork.training.distributed import gather_with_gradient

M = TypeVar("M", bound=nn.Module)


class HeadConfig(Config):
    hidden: int = Field(default=128, ge=1, description="width of the hidden layer")
    dim: int = Field(default=64, ge=1, description="width of what is compared")


class ContrastiveConfig(MethodConfig):
    encoder: Annotated[Configured, Uses("encoder")] = Field(
        default_factory=lambda: configure("encoder", "dilated_conv"), description="what is trained"
    )
    views: Many[ViewSpec] = Field(
        default_factory=lambda: (configure("view", "jitter"), configure("view", "scaling")),
        description="changes of the first view, in order",
    )
    other_views: Many[ViewSpec] | None = Field(default=None, description="changes of the second view; none: as `views`")
    objective: Annotated[Configured, Uses("objective")] = Field(
        default_factory=lambda: configure("objective", "info_nce"), description="the loss"
    )
    head: HeadConfig | None = Field(
        default=None, description="projection used in training only; none: embeddings are compared"
    )
    window: int | None = Field(
        default=None, ge=2, description="train on random windows of this many steps; none: on whole sequences"
    )
    queue: int = Field(default=0, ge=0, description="embeddings of earlier batches kept as further negatives")
    momentum: float | None = Field(
        default=None, ge=0, lt=1, description="how slowly the copy that embeds the second view follows; none: no copy"
    )
    pooling: Pooling = Field(default="max", description="from frames to one vector a sequence")


class Embedded(NamedTuple):
    """What an objective compares: vectors, or frames with the number of real ones (None: all)."""

    values: Float[Tensor, "batch *frame_dim"]
    lengths: Int[Tensor, "batch"] | None


@register("method", "contrastive", version=1, config=ContrastiveConfig)
class Contrastive(Method[ContrastiveConfig]):
    """Two augmented views and a contrastive objective, with optional projection head, queue and momentum encoder."""

    name: ClassVar[str] = "contrastive"
    """What its messages call it."""

    def __init__(self, config: ContrastiveConfig) -> None:
        super().__init__(config)
        self._objective: Objective[Any] = config.objective.build()
        first = _built(config.views)
        self._views = (first, first if config.other_views is None else _built(config.other_views))

    def build(self, info: DataInfo, *, generator: torch.Generator) -> Model:
        config = self.config
        self._check(info)
        encoder = build_encoder(config.encoder, info, generator=generator)
        wide = pooled_dim(encoder, config.pooling)
        heads: dict[str, nn.Module] = {}
        if config.head is not None:
            heads["project"] = projection(wide, config.head.hidden, config.head.dim)
        if config.queue:
            heads["queue"] = Queue(config.queue, config.head.dim if config.head else wide)
        model = Model(encoder, info, heads=heads, pooling=config.pooling)
        if config.momentum is not None:
            model.heads["momentum"] = Follower(_trained(model), momentum=config.momentum)
        return model

    def _check(self, info: DataInfo) -> None:
        """Refuse what does not fit together."""
        name, objective = self.config.objective.name, self._objective
        if self.config.queue and not objective.takes_queue:
            raise ModelUnfit(self.name, f"the objective {name!r} takes no queue", "Set `queue: 0`.")
        if objective.needs_labels and info.label is None:
            raise ModelUnfit(self.name, f"the objective {name!r} needs labels", "Name a column with `label:`.")
        views = (*self.config.views, *(self.config.other_views or ()))
        moving = [view.name for view in views if not view.build().aligned]
        if objective.level == "frame" and moving:
            reason = f"the objective {name!r} compares step by step, and the view {moving[0]!r} moves steps"
            raise ModelUnfit(self.name, reason, "Use views that leave every step in its place.")

    def batches(self, model: Model, part: Part, context: Context) -> Batches:
        size, label, window = self.config.batch_size, model.info.label, self.config.window
        if window is not None:
            part = part.pieces(window)  # a long series gives as many items as it has windows
        batches = sequence_batches(
            part,
            encoder=model.encoder,
            context=context,
            batch_size=size,
            drop_last=True,
            columns=(label,) if label is not None and self._objective.needs_labels else (),
            sampler=self._objective.sampler(part, label=label, batch_size=size, seed=context.seed),
            crop=Crop(window) if window is not None else None,
        )
        if self._objective.level == "sequence" and not self.config.queue:
            check_company(batches)
        return batches

    def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        follower, queue = _head(model, "momentum", Follower), _head(model, "queue", Queue)
        if follower is not None:
            follower.follow(_trained(model))
        first, second = self._embedded(model, batch, context.own_generator("views"))
        z1, z2, labels = first.values, second.values, next(iter(batch.codes.values()), None)
        if self._objective.level == "sequence":
            z1, z2 = gather_with_gradient(z1), gather_with_gradient(z2)
            labels = None if labels is None else gather_with_gradient(labels)
        negatives = None if queue is None else queue.read()
        loss = self._objective(z1, z2, lengths=first.lengths, labels=labels, negatives=negatives)
        yield Update("model", {"loss": loss})
        if queue is not None:
            queue.write(z2.detach())

    def views(self, model: Model, batch: Batch, context: Context) -> tuple[Tensor, Tensor] | None:
        if self._objective.level != "sequence":
            return None
        first, second = self._embedded(model, batch, context.own_generator("panel"))
        return first.values, second.values

    def _embedded(self, model: Model, batch: Batch, generator: torch.Generator) -> tuple[Embedded, Embedded]:
        first = self._embed(_trained(model), model, batch, self._views[0], generator)
        follower = _head(model, "momentum", Follower)
        if follower is None:
            return first, self._embed(_trained(model), model, batch, self._views[1], generator)
        with torch.no_grad():
            return first, self._embed(follower.copy, model, batch, self._views[1], generator)

    def _embed(
        self,
        parts: nn.Module,
        model: Model,
        batch: Batch,
        changes: Sequence[Augmentation[Any]],
        generator: torch.Generator,
    ) -> Embedded:
        view = changed_by(changes, View(batch.x, batch.lengths), generator=generator)
        padded = batch.unequal_lengths is not None or not all(change.keeps_length for change in changes)
        lengths = view.lengths if padded else None
        encoder: Any = parts.get_submodule("encoder")
        z: Tensor
        if self._objective.level == "frame":
            z, real = encoder(view.x, lengths, keep=view.keep)
        else:
            z, real = pooled(encoder, view.x, lengths, pooling=model.pooling, keep=view.keep), None
        if self.config.head is not None:
            z = parts.get_submodule("project")(z)
        return Embedded(z, real if padded else None)


def _built(views: Sequence[Configured]) -> list[Augmentation[Any]]:
    return [view.build() for view in views]


def _trained(model: Model) -> nn.ModuleDict:
    """The modules that embed a view, under the names that a copy of them has too."""
    project = {"project": model.heads["project"]} if "project" in model.heads else {}
    return nn.ModuleDict({"encoder": model.encoder, **project})


def _head(model: Model, name: str, kind: type[M]) -> M | None:
    head = dict(model.heads.items()).get(name)
    return head if isinstance(head, kind) else None
