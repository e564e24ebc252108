"""One fine-tuning: a copy of an encoder and a new head, trained on labels by the one training loop.

Rows that are compared share seed, batches and the head's first weights, so that they differ in the encoder alone. The weights with
the best macro-F1 on the validation part are kept; without one, those of the last epoch. With a frozen encoder the parts
are embedded once (`embedded_part`) and the head alone is trained.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tswork.augment.mask import draw_mask
from tswork.context import Context
from tswork.data.batches import Batch, Batches
from tswork.data.collection import Collection, DataInfo, Part
from tswork.data.samplers import ByLength
from tswork.encoders.base import Encoder, Frames, full_lengths
from tswork.encoders.pooling import Pooling, pooled, pooled_dim
from tswork.methods.base import Method, MethodConfig, Update, sequence_batches
from tswork.methods.embedding import embed_part
from tswork.methods.model import Model, evaluating, label_column
from tswork.metrics import classification
from tswork.protocols.classifier_heads import HeadName, classifier_head
from tswork.random import seeded
from tswork.recorder import Recorder, Tee
from tswork.training.checkpoints import Checkpoints
from tswork.training.loop import train
from tswork.training.runtime import Runtime

Mask = Literal["none", "binomial"]


@dataclass(frozen=True)
class Recipe:
    """How a network is fine-tuned; equal recipes on equal encoders give equal networks."""

    learning_rate: float
    epochs: int
    batch_size: int
    weight_decay: float
    patience: int | None
    head: HeadName
    hidden: int
    pooling: Pooling
    mask: Mask


@dataclass(frozen=True, eq=False)
class Tuned:
    """A fine-tuned network, the macro-F1 it has on the validation part (NaN without one), and the steps it took."""

    model: Model
    score: float
    recipe: Recipe
    steps: int
    stopped: str


def fine_tune(
    source: Model, recipe: Recipe, part: Part, validation: Part, info: DataInfo, context: Context, *, name: str
) -> Tuned:
    """Train a copy of the model's encoder with a new head on labelled spans; the model itself stays as it is.

    Where the context has a folder for unfinished work, an interrupted training goes on from its newest checkpoint.
    Raises `TrainingDiverged` (with `name` in it) and `Interrupted`, as every training does.
    """
    method = FineTuning(source, recipe, patience=recipe.patience if len(validation) else None)
    checkpoints = None if context.work is None else Checkpoints(context.work / "checkpoints")
    context = Context(context.device, OnlyCurves(context.recorder), seed=context.seed)
    # The protocol runs in one process, also where several trained together.
    trained = train(
        method,
        train=part,
        validation=validation,
        info=info,
        context=context,
        name=name,
        checkpoints=checkpoints,
        runtime=Runtime(context.device),
    )
    model = trained.models[-1]
    score = method.validate(model, validation, context)["macro_f1"] if len(validation) else float("nan")
    return Tuned(model, score, recipe, trained.steps, trained.stopped_because[-1])


class FineTuning(Method[MethodConfig]):
    """Softmax cross entropy on a head over the pooled frames of a copy of an encoder."""

    monitor = "macro_f1"

    def __init__(self, source: Model, recipe: Recipe, *, patience: int | None) -> None:
        super().__init__(
            MethodConfig(
                batch_size=recipe.batch_size,
                epochs=recipe.epochs,
                learning_rate=recipe.learning_rate,
                weight_decay=recipe.weight_decay,
                patience=patience,
            )
        )
        self._source, self._recipe = source, recipe
        self._validation: Scored | None = None

    def build(self, info: DataInfo, *, generator: torch.Generator) -> Model:
        """The encoder as it is, and a head whose weights depend on the generator and its shape alone."""
        return tuned_model(self._source, self._recipe, info, seed=int(torch.randint(2**62, (), generator=generator)))

    def batches(self, model: Model, part: Part, context: Context) -> Batches:
        self._classes = class_positions(part.collection, model.info).to(context.device)
        return sequence_batches(
            part,
            encoder=model.encoder,
            context=context,
            batch_size=self.config.batch_size,
            columns=(label_column(model),),
        )

    def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        x, lengths = batch.x.float(), batch.unequal_lengths
        embedded = pooled(model.encoder, x, lengths, pooling=model.pooling, keep=self._kept(batch, context))
        logits = model.heads["classify"](embedded).float()
        truth = self._classes[batch.codes[label_column(model)]]
        yield Update("model", {"loss": torch.nn.functional.cross_entropy(logits, truth)})

    def validate(self, model: Model, validation: Part, context: Context) -> Mapping[str, float]:
        """Accuracy and macro-F1; the batches of the part are made once for all epochs."""
        if self._validation is None:
            self._validation = Scored(validation, model.encoder, context)
        predicted = self._validation.probabilities(model).argmax(axis=1)
        positions = class_positions(validation.collection, model.info)
        truth = positions[validation.codes(label_column(model))].numpy()
        counts = classification.confusion(truth, predicted, len(model.info.classes))
        return {"accuracy": classification.accuracy(counts), "macro_f1": classification.macro_f1(counts)}

    def _kept(self, batch: Batch, context: Context) -> Bool[Tensor, "batch time"] | None:
        if self._recipe.mask == "none":
            return None
        return draw_mask(self._recipe.mask, batch.lengths, batch.x.shape[1], generator=context.generator("mask"))


class Scored:
    """A part in batches that are made once, so that many networks can be scored on it."""

    def __init__(self, part: Part, encoder: Encoder, context: Context) -> None:
        equal = not encoder.padding_invariant
        self._sampler = ByLength(part.lengths, steps=encoder.steps_at_once, equal=equal)
        self._batches = Batches(part, sampler=self._sampler, device=context.device, seed=context.seed)
        self._items = len(part)

    def probabilities(self, model: Model) -> Float[np.ndarray, "item class"]:
        """The softmax of the head's outputs, in the order of the part."""
        order = [self._sampler.at(0, step) for step in range(self._sampler.steps(0))]
        with evaluating(model):
            outputs = [self._outputs(model, step) for step in range(len(order))]
        found = torch.empty(self._items, len(model.info.classes), dtype=torch.float64)
        if order:
            found[torch.cat(order)] = torch.cat(outputs).double().cpu()  # one transfer for the whole part
        probabilities: np.ndarray = found.softmax(dim=1).numpy()
        return probabilities

    def _outputs(self, model: Model, step: int) -> Float[Tensor, "batch class"]:
        batch = self._batches.at(0, step)
        return model.classify(batch.x.float(), batch.unequal_lengths).float()


def tuned_model(source: Model, recipe: Recipe, info: DataInfo, *, seed: int) -> Model:
    """A copy of an encoder with a new head, ready to be trained or to take stored weights."""
    encoder = copy.deepcopy(source.encoder)
    with seeded(seed):
        head = classifier_head(recipe.head, pooled_dim(encoder, recipe.pooling), recipe.hidden, len(info.classes))
    return Model(encoder, info, heads={"classify": head}, pooling=recipe.pooling)


class Embedded(Encoder):
    """Passes on what a frozen encoder made of each item: one step, one frame."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        keep: Bool[Tensor, "batch time"] | None = None,
    ) -> Frames:
        return Frames(x, full_lengths(x) if lengths is None else lengths)


def embedded_part(model: Model, part: Part, context: Context, *, pooling: Pooling) -> Part:
    """A part whose items are the embeddings of another one's, one step each, with the same labels and groups."""
    values = embed_part(model, part, context, pooling=pooling)
    collection = part.collection
    return Part.whole(
        Collection(
            values=values,
            offsets=torch.arange(len(part) + 1),
            table=part.table,
            channels=tuple(f"e{column}" for column in range(values.shape[1])),
            label=collection.label,
            groups=collection.groups,
            name=collection.name,
        )
    )


def class_positions(collection: Collection, info: DataInfo) -> Int[Tensor, "known"]:
    """For each class of a collection its place among those of a model: embedded parts may lack some of them."""
    return torch.tensor([info.classes.index(name) for name in collection.classes], dtype=torch.int64)


class OnlyCurves(Tee):
    """Hands on losses and validation scores, and leaves out what else a training tells of itself."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__([recorder])

    def scalars(self, values: Mapping[str, float | Tensor], *, step: int) -> None:
        kept = {name: value for name, value in values.items() if name == "loss" or name.startswith("validation/")}
        if kept:
            super().scalars(kept, step=step)

    def table(self, name: str, frame: object) -> None:
        pass

    def figure(self, name: str, figure: object) -> None:
        pass

    def page(self, name: str, html: str) -> None:
        pass
