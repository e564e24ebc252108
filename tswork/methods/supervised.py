"""Supervised training of an encoder with a linear head: cross entropy on pooled embeddings.

The control for every claim about pre-training: the same encoder, the same data, the labels. The weights with the best
macro-F1 on the validation part are kept where there is one. Sequences without a label take no part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tswork.config import Configured, Uses, configure
from tswork.context import Context
from tswork.data.batches import Batch, Batches
from tswork.data.collection import DataInfo, Part
from tswork.encoders.pooling import Pooling, pooled_dim
from tswork.errors import DataInvalid, ModelUnfit, Problem
from tswork.methods.base import Method, MethodConfig, Update, build_encoder, sequence_batches
from tswork.methods.model import Model
from tswork.metrics import classification
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
        head = nn.Sequential(
            nn.Dropout(self.config.dropout), nn.Linear(pooled_dim(encoder, self.config.pooling), len(info.classes))
        )
        return Model(encoder, info, heads={"classify": head}, pooling=self.config.pooling, provides=self.provides)

    def batches(self, model: Model, part: Part, context: Context) -> Batches:
        labelled = _labelled(model, part)
        found = torch.unique(labelled.codes(_label(model)))
        if len(found) < 2:
            named = f"{len(labelled)} labelled sequences of {len(found)} classes"
            message = f"it has {named} in the column {_label(model)!r}, and a classifier needs two classes"
            raise DataInvalid([Problem(message, path="train", remedy="Change the split, or name another `label:`.")])
        return self._batches(model, labelled, context, batch_size=self.config.batch_size)

    def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        logits = model.classify(batch.x, batch.unequal_lengths).float()
        weights = self._class_weights if self.config.balanced else None
        yield Update("model", {"loss": functional.cross_entropy(logits, batch.codes[_label(model)], weight=weights)})

    def begin(self, model: Model, task: int, part: Part, context: Context) -> None:
        codes = _labelled(model, part).codes(_label(model))
        self._class_weights = class_weights(codes, len(model.info.classes)).to(context.device)

    def validate(self, model: Model, validation: Part, context: Context) -> Mapping[str, float]:
        """Accuracy and macro-F1 (the mean over classes that occur in labels or predictions) of labelled sequences."""
        classes = len(model.info.classes)
        labelled = _labelled(model, validation)
        truth, predicted = torch.zeros(2, 0, dtype=torch.int64)
        if len(labelled):
            batches = self._batches(model, labelled, Context(context.device), batch_size=VALIDATION_BATCH)
            truth, predicted = _predictions(model, batches)
        counts = classification.confusion(truth.cpu().numpy(), predicted.cpu().numpy(), classes)
        return {"accuracy": classification.accuracy(counts), "macro_f1": classification.macro_f1(counts)}

    def _batches(self, model: Model, part: Part, context: Context, *, batch_size: int) -> Batches:
        return sequence_batches(
            part, encoder=model.encoder, context=context, batch_size=batch_size, columns=(_label(model),)
        )


def class_weights(codes: Tensor, classes: int) -> Float[Tensor, "classes"]:
    """Weights inverse to the number of each class, whose mean over the items is 1; 0 for a class without items."""
    counts = torch.bincount(codes, minlength=classes).float()
    present = counts > 0
    return torch.where(present, counts.sum() / counts.clamp(min=1) / present.sum(), 0.0)


def _predictions(model: Model, batches: Batches) -> tuple[Tensor, Tensor]:
    """Labels and predicted classes of one pass."""
    pairs = [
        (batch.codes[_label(model)], model.classify(batch.x, batch.unequal_lengths).argmax(dim=1))
        for batch in (batches.at(0, step) for step in range(batches.steps(0)))
    ]
    truth, predicted = (torch.cat(side) for side in zip(*pairs, strict=True))
    return truth, predicted


def _labelled(model: Model, part: Part) -> Part:
    return Part(part.collection, part.spans[part.codes(_label(model)) >= 0])


def _label(model: Model) -> str:
    assert model.info.label is not None
    return model.info.label
