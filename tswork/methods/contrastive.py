"""The general contrastive method: two views, an objective, an optional projection head and an optional queue.

Most papers are a choice of these four. SimCLR (Chen et al., ICML 2020) is two augmented views, `info_nce` with `among: both` and a
head; MoCo (He et al., CVPR 2020) adds a queue of embeddings of earlier batches, here without a second, momentum encoder:
negatives are the embeddings as they were. A paper that changes only the loss adds an objective and nothing else.

In several processes, embeddings of all of them are gathered with gradients, so that the loss is that of the whole batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tswork.augment.base import View
from tswork.config import Config, Configured, Many, Uses, configure
from tswork.context import Context
from tswork.data.batches import Batch, Batches
from tswork.data.collection import DataInfo, Part
from tswork.data.samplers import EqualLength, Uniform
from tswork.encoders.pooling import Pooling, pool
from tswork.errors import ModelUnfit
from tswork.methods.base import Method, MethodConfig, Update, build_encoder
from tswork.methods.model import Model
from tswork.objectives.base import Objective
from tswork.registry import register
from tswork.training.distributed import gather_with_gradient

ViewSpec = Annotated[Configured, Uses("view")]


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
    queue: int = Field(default=0, ge=0, description="embeddings of earlier batches kept as further negatives")
    pooling: Pooling = Field(default="max", description="from frames to one vector a sequence")


@register("method", "contrastive", version=1, config=ContrastiveConfig)
class Contrastive(Method[ContrastiveConfig]):
    """Two augmented views and a contrastive objective, with optional projection head and queue."""

    def __init__(self, config: ContrastiveConfig) -> None:
        super().__init__(config)
        self._objective: Objective[Config] = config.objective.build()
        first = [view.build() for view in config.views]
        self._views = (first, first if config.other_views is None else [view.build() for view in config.other_views])

    def build(self, info: DataInfo, *, generator: torch.Generator) -> Model:
        config = self.config
        if config.queue and not self._objective.takes_queue:
            raise ModelUnfit(
                "contrastive", f"the objective {config.objective.name!r} takes no queue", "Set `queue: 0`."
            )
        if self._objective.needs_labels and info.label is None:
            raise ModelUnfit("contrastive", f"the objective {config.objective.name!r} needs labels", "Name `label:`.")
        encoder = build_encoder(config.encoder, info, generator=generator)
        heads: dict[str, nn.Module] = {}
        if config.head is not None:
            hidden, dim = config.head.hidden, config.head.dim
            heads["project"] = nn.Sequential(nn.Linear(encoder.dim, hidden), nn.ReLU(), nn.Linear(hidden, dim))
        if config.queue:
            heads["queue"] = Queue(config.queue, config.head.dim if config.head else encoder.dim)
        return Model(encoder, info, heads=heads, pooling=config.pooling)

    def batches(self, model: Model, part: Part, context: Context) -> Batches:
        size, seed = self.config.batch_size, context.seed
        uniform = Uniform(len(part), batch_size=size, seed=seed, drop_last=len(part) > size)
        sampler = uniform if model.encoder.padding_invariant else EqualLength(part.lengths, batch_size=size, seed=seed)
        columns = (model.info.label,) if self._objective.needs_labels and model.info.label else ()
        return Batches(part, sampler=sampler, device=context.device, seed=seed, columns=columns)

    def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        generator = context.generator("views")
        z1, z2 = (gather_with_gradient(self._embed(model, batch, side, generator)) for side in (0, 1))
        labels = next(iter(batch.codes.values()), None)
        queue = dict(model.heads.items()).get("queue")
        negatives = queue.read() if isinstance(queue, Queue) else None
        yield Update("model", {"loss": self._objective(z1, z2, labels=labels, negatives=negatives)})
        if isinstance(queue, Queue):
            queue.write(z2.detach())

    def views(self, model: Model, batch: Batch, context: Context) -> tuple[Tensor, Tensor] | None:
        if self._objective.level != "sequence":
            return None
        generator = context.generator("panel")
        return self._embed(model, batch, 0, generator), self._embed(model, batch, 1, generator)

    def _embed(self, model: Model, batch: Batch, side: int, generator: torch.Generator) -> Tensor:
        view = View(batch.x, batch.lengths)
        for change in self._views[side]:
            view = change(view, generator=generator)
        frames = model.encoder(view.x, view.lengths, keep=view.keep)
        z = frames.values if self._objective.level == "frame" else pool(frames, model.pooling)
        if "project" in model.heads:
            z = model.heads["project"](z)
        return z


class Queue(nn.Module):
    """The newest embeddings of earlier batches, oldest overwritten first; it begins with random directions, as MoCo's."""

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.entries: Tensor
        self.written: Tensor
        self.register_buffer("entries", functional.normalize(torch.randn(size, dim), dim=1))
        self.register_buffer("written", torch.zeros((), dtype=torch.int64))

    def read(self) -> Float[Tensor, "entry dim"]:
        """A copy of all entries: they change before the gradient is taken."""
        return self.entries.clone()

    def write(self, z: Float[Tensor, "batch dim"]) -> None:
        """Put embeddings in, the oldest making room."""
        size = len(self.entries)
        index = (self.written + torch.arange(len(z), device=z.device)) % size
        self.entries[index[-size:]] = z[-size:].to(self.entries.dtype)
        self.written += len(z)
