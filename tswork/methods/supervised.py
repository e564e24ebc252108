"""Supervised training of an encoder with a linear head: cross entropy on pooled embeddings.

The control for every claim about pre-training: the same encoder, the same data, the labels. The weights with the best macro-F1
on the validation part are kept where there is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from tswork.config import Configured, Uses, configure
from tswork.context import Context
from tswork.data.batches import Batch, Batches
from tswork.data.collection import DataInfo, Part
from tswork.data.samplers import EqualLength, Uniform
from tswork.encoders.pooling import Pooling
from tswork.errors import ModelUnfit
from tswork.methods.base import Method, MethodConfig, Update, build_encoder
from tswork.methods.model import Model
from tswork.registry import register

VALIDATION_BATCH = 256


class SupervisedConfig(MethodConfig):
    encoder: Annotated[Configured, Uses("encoder")] = Field(
        default_factory=lambda: configure("encoder", "dilated_conv"), description="what is trained"
    )
    mode: Literal["ce"] = Field(default="ce", description="ce: cross entropy on a linear head")
    epochs: int | None = Field(default=50, ge=1, description="passes over the training part")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="dropout before the head in training")
    balanced: bool = Field(default=False, description="weigh classes by the inverse of their number")
    pooling: Pooling = Field(default="max", description="from frames to one vector a sequence")


@register("method", "supervised", version=1, config=SupervisedConfig)
class Supervised(Method[SupervisedConfig]):
    """Cross entropy on a linear head over pooled embeddings."""

    provides: ClassVar[frozenset[str]] = frozenset({"embed", "classify"})
    monitor = "macro_f1"

    def build(self, info: DataInfo, *, generator: torch.Generator) -> Model:
        if info.label is None or len(info.classes) < 2:
            reason = "the data have no labels" if info.label is None else f"the data have {len(info.classes)} classes"
            raise ModelUnfit("supervised", reason, "Name a column of at least two classes with `label:`.")
        encoder = build_encoder(self.config.encoder, info, generator=generator)
        head = nn.Sequential(nn.Dropout(self.config.dropout), nn.Linear(encoder.dim, len(info.classes)))
        return Model(encoder, info, heads={"classify": head}, pooling=self.config.pooling, provides=self.provides)

    def batches(self, model: Model, part: Part, context: Context) -> Batches:
        return self._batches(model, part, context, batch_size=self.config.batch_size)

    def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        labels = batch.codes[_label(model)]
        weight = self._class_weights if self.config.balanced else None
        loss = functional.cross_entropy(model.classify(batch.x, batch.lengths).float(), labels, weight=weight)
        yield Update("model", {"loss": loss})

    def begin(self, model: Model, task: int, part: Part, context: Context) -> None:
        counts = torch.bincount(part.codes(_label(model)), minlength=len(model.info.classes)).float()
        self._class_weights = (counts.sum() / counts.clamp(min=1) / (counts > 0).sum()).to(context.device)

    def validate(self, model: Model, validation: Part, context: Context) -> Mapping[str, float]:
        batches = self._batches(model, validation, context, batch_size=VALIDATION_BATCH)
        pairs = [
            (batch.codes[_label(model)], model.classify(batch.x, batch.lengths).argmax(dim=1))
            for batch in (batches.at(0, step) for step in range(batches.steps(0)))
        ]
        truth, predicted = (torch.cat(side) for side in zip(*pairs, strict=True))
        return {"accuracy": float((truth == predicted).double().mean()), "macro_f1": macro_f1(truth, predicted)}

    def _batches(self, model: Model, part: Part, context: Context, *, batch_size: int) -> Batches:
        if model.encoder.padding_invariant:
            sampler: Uniform | EqualLength = Uniform(len(part), batch_size=batch_size, seed=context.seed)
        else:
            sampler = EqualLength(part.lengths, batch_size=batch_size, seed=context.seed)
        return Batches(part, sampler=sampler, device=context.device, seed=context.seed, columns=(_label(model),))


def macro_f1(truth: torch.Tensor, predicted: torch.Tensor) -> float:
    """Mean F1 over the classes that occur in the truth."""
    scores = []
    for code in torch.unique(truth).tolist():
        hits = int(((truth == code) & (predicted == code)).sum())
        scores.append(2 * hits / (int((truth == code).sum()) + int((predicted == code).sum())))
    return sum(scores) / len(scores)


def _label(model: Model) -> str:
    assert model.info.label is not None
    return model.info.label
