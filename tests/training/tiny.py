"""Methods small enough to train in milliseconds, with everything that makes training hard to repeat: dropout, random
views, two optimisers, several tasks, buffers, schedules and validation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LinearLR, LRScheduler

from tswork.config import Config
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import Collection, DataInfo, Part
from tswork.encoders.base import Encoder, Frames, full_lengths
from tswork.methods.base import Method, MethodConfig, Update
from tswork.methods.model import Model
from tswork.recorder import Recorder
from tswork.registry import register
from tswork.training.checkpoints import Checkpoints
from tswork.training.loop import Trained, train


def series(sequences: int = 12, time: int = 16, seed: int = 0) -> Part:
    """Random two-channel series with two classes."""
    values = torch.randn(sequences * time, 2, generator=torch.Generator().manual_seed(seed))
    table = pd.DataFrame({"label": ["a", "b"] * (sequences // 2) + ["a"] * (sequences % 2)})
    offsets = torch.arange(sequences + 1) * time
    return Part.whole(Collection(values, offsets, table, channels=("u", "v"), label="label"))


def nothing() -> Part:
    """A part without spans."""
    part = series(2)
    return Part(part.collection, part.spans[:0])


class TinyEncoderConfig(Config):
    dim: int = 4
    dropout: float = 0.2
    batch_norm: bool = False


@register("encoder", "tiny_linear", version=1, config=TinyEncoderConfig)
class TinyEncoder(Encoder):
    """One linear map a step, with dropout."""

    def __init__(self, config: TinyEncoderConfig, info: DataInfo) -> None:
        super().__init__()
        self.dim = config.dim
        self.linear = nn.Linear(len(info.channels), config.dim)
        self.norm = nn.BatchNorm1d(config.dim) if config.batch_norm else nn.Identity()
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, lengths: Tensor | None = None, *, keep: Tensor | None = None) -> Frames:
        frames = self.dropout(self.norm(self.linear(x).transpose(1, 2)).transpose(1, 2))
        return Frames(frames, full_lengths(x) if lengths is None else lengths)


class TinyConfig(MethodConfig):
    batch_size: int = 4
    iterations: int | None = 30
    learning_rate: float = 0.05
    tasks: int = Field(default=1, ge=1)
    dropout: float = 0.2
    batch_norm: bool = False
    schedule: bool = False


@register("method", "tiny_contrast", version=1, config=TinyConfig)
class TinyContrast(Method[TinyConfig]):
    """NT-Xent between noisy views, and a counter among the buffers."""

    on_step: Callable[[Context], None] | None = None

    def announce(self, context: Context) -> None:
        """Tell a test that a step begins."""
        if self.on_step is not None:
            self.on_step(context)

    def build(self, info: DataInfo, *, generator: torch.Generator) -> Model:
        encoder = TinyEncoder(TinyEncoderConfig(dropout=self.config.dropout, batch_norm=self.config.batch_norm), info)
        model = Model(encoder, info, heads={"projection": nn.Linear(4, 3)}, pooling="mean")
        model.heads["projection"].register_buffer("seen", torch.zeros((), dtype=torch.int64))
        return model

    def tasks(self, train: Part) -> Sequence[Part]:
        return [Part(train.collection, spans) for spans in train.spans.chunk(self.config.tasks)]

    def schedulers(self, optimisers: Mapping[str, Optimizer], steps: int) -> Mapping[str, LRScheduler]:
        if not self.config.schedule:
            return {}
        return {name: LinearLR(optimiser, total_iters=steps) for name, optimiser in optimisers.items()}

    def views(self, model: Model, batch: Batch, context: Context) -> tuple[Tensor, Tensor]:
        generator = context.generator("noise")
        noisy = [batch.x + 0.3 * torch.randn(batch.x.shape, generator=generator) for _ in range(2)]
        z1, z2 = (model.heads["projection"](model.embed(x, batch.lengths)) for x in noisy)
        return z1, z2

    def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        self.announce(context)
        seen: Any = model.heads["projection"].seen
        seen += len(batch)
        z1, z2 = self.views(model, batch, context)
        yield Update("model", {"contrast": nt_xent(z1, z2), "size": 0.01 * z1.square().mean()}, {"norm": z1.norm()})


@register("method", "tiny_alternating", version=1, config=TinyConfig)
class TinyAlternating(TinyContrast):
    """Two updates a step: the head climbs what the encoder then descends."""

    def optimisers(self, model: Model) -> Mapping[str, Optimizer]:
        rate = self.config.learning_rate
        return {
            "head": torch.optim.SGD(model.heads.parameters(), lr=rate, momentum=0.9),
            "encoder": torch.optim.Adam(model.encoder.parameters(), lr=rate),
        }

    def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        self.announce(context)
        yield Update("head", {"against": -nt_xent(*self.views(model, batch, context))})
        yield Update("encoder", {"contrast": nt_xent(*self.views(model, batch, context))})


class TinyContinual(TinyContrast):
    """Grows a memory after each task and keeps a teacher from the start of each."""

    def begin(self, model: Model, task: int, part: Part, context: Context) -> None:
        self.teacher = weight_of(model).detach().clone()
        if "memory" not in model.heads:
            memory = nn.Module()
            memory.register_buffer("rows", torch.zeros(0, 4))
            model.heads["memory"] = memory

    def finish(self, model: Model, task: int, part: Part, context: Context) -> None:
        memory: Any = model.heads["memory"]
        memory.rows = torch.cat([memory.rows, torch.randn(len(part), 4)])

    def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        memory: Any = model.heads["memory"]
        for update in super().updates(model, batch, context):
            drift = (weight_of(model) - self.teacher).square().sum()
            yield Update(
                "model", {**update.terms, "drift": drift, "memory": 0.1 * (memory.rows @ weight_of(model)).sum().tanh()}
            )


class TinyValidated(TinyContrast):
    """Validation scores that were decided beforehand: one for every validation."""

    monitor = "score"
    scores: Sequence[float] = ()

    def validate(self, model: Model, validation: Part, context: Context) -> Mapping[str, float]:
        assert not model.training
        step = context.epoch * 3 + context.step
        return {"score": self.scores[step] if step < len(self.scores) else 0.0}


def nt_xent(z1: Tensor, z2: Tensor, temperature: float = 0.5) -> Tensor:
    """Cross-entropy of each row of z1 against all rows of z2."""
    logits = normalize(z1, dim=-1) @ normalize(z2, dim=-1).T / temperature
    return cross_entropy(logits, torch.arange(len(z1)))


def run(
    method: Method[Any],
    *,
    part: Part | None = None,
    validation: Part | None = None,
    recorder: Recorder | None = None,
    folder: Path | None = None,
    every_steps: int | None = 4,
    seed: int = 0,
    **options: Any,
) -> Trained:
    """Train with checkpoints every few steps when there is a folder."""
    part = series() if part is None else part
    context = Context(seed=seed) if recorder is None else Context(seed=seed, recorder=recorder)
    return train(
        method,
        train=part,
        validation=nothing() if validation is None else validation,
        info=DataInfo.of(part),
        context=context,
        name="tiny",
        checkpoints=Checkpoints(folder, every_seconds=None, every_steps=every_steps) if folder else None,
        **options,
    )


def weight_of(model: nn.Module) -> Tensor:
    """The encoder's matrix."""
    return model.get_parameter("encoder.linear.weight")


def bits(trained: Trained) -> list[dict[str, list[Any]]]:
    """Every weight of every model, exactly."""
    return [{name: tensor.tolist() for name, tensor in model.state_dict().items()} for model in trained.models]
