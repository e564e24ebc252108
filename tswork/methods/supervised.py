"""Supervised training of an encoder with a linear head: cross entropy, supervised contrast, or both.

The control for every claim about pre-training: the same encoder, the same data, the labels. Contrast draws the sequences of a class
together in another space than the classifier's (`head`, in training only); after Khosla et al., "Supervised Contrastive
Learning", NeurIPS 2020, and La Quatra et al., "Speech Analysis of Language Varieties in Italy", LREC-COLING 2024, whose abstract
names both of its uses, as a stage before fine-tuning and beside the cross entropy.

| mode | stages |
| --- | --- |
| ce | cross entropy on pooled embeddings |
| ce_plus_contrast | cross entropy + `weight` x contrast of projections; the weight may rise from 0 over `ramp` epochs |
| contrast_then_probe | contrast; then cross entropy of the head alone, on the embeddings of the encoder as it is, without dropout |
| contrast_then_ce | contrast; then cross entropy of everything |

Each stage has a budget (`epochs`, `contrast_epochs`; `iterations` bounds each), an optimiser and a schedule of its own, and is a
task of the training loop: the model that the first one ends with is kept beside the last, which is the one that is judged. The
weights with the best macro-F1 on the validation part, where there is one, are kept; a stage of contrast ends with its latest, for
its head says nothing yet. Batches are described in `labelled_batches`; sequences without a label take no part.

`views` change what is seen of a sequence in all stages. With `views_per_item: 2` a batch holds two changed views of each sequence,
both of its class; cross entropy is their mean. In several processes what is compared is gathered from all, so that the loss is that
of the whole batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from tswork.augment.base import Augmentation
from tswork.config import configure
from tswork.context import Context
from tswork.data.batches import Batch, Batches
from tswork.data.collection import DataInfo, Part
from tswork.data.samplers import ByLength
from tswork.encoders.pooling import pooled, pooled_dim
from tswork.methods.base import Method, Update, budget, build_encoder, need_classes, parameter_groups
from tswork.methods.labelled_batches import check_labelled, labelled_batches
from tswork.methods.model import Model, evaluating, label_column
from tswork.methods.sequence_contrast import changed_view, padding_of, projection
from tswork.methods.supervised_config import Stage, SupervisedConfig
from tswork.metrics import classification
from tswork.objectives.base import LabelledLoss, LabelledObjective
from tswork.registry import register
from tswork.training.distributed import gather_with_gradient
from tswork.training.optimisers import AdamW
from tswork.training.schedules import schedules

VALIDATION_BATCH = 256
VALIDATION_STEPS = 2**20
"""Most sequences, and most steps with their padding, that are validated at once; one longer sequence goes alone."""


@register("method", "supervised", version=1, config=SupervisedConfig)
class Supervised(Method[SupervisedConfig]):
    """Cross entropy on a linear head over pooled embeddings, supervised contrast, or both."""

    provides: ClassVar[frozenset[str]] = frozenset({"embed", "classify"})
    monitor = "macro_f1"

    def __init__(self, config: SupervisedConfig) -> None:
        super().__init__(config)
        self._stage: Stage = config.stages[0]
        self._views: list[Augmentation[Any]] = [view.build() for view in config.views]
        chosen = config.objective or configure("labelled_objective", "supervised_contrast")
        self._objective: LabelledObjective[Any] = chosen.build()
        self._batches: Batches | None = None
        self._validation: tuple[Part, Batches] | None = None

    # Before training

    def build(self, info: DataInfo, *, generator: torch.Generator) -> Model:
        need_classes(info, "supervised")
        config, classes = self.config, len(info.classes)
        encoder = build_encoder(config.encoder, info, generator=generator)
        wide = pooled_dim(encoder, config.pooling)
        heads: dict[str, nn.Module] = {"classify": nn.Sequential(nn.Dropout(config.dropout), nn.Linear(wide, classes))}
        if config.contrasts:
            if config.head is not None:
                heads["project"] = projection(wide, config.head.hidden, config.head.dim)
            own = self._objective.class_weights(classes, config.head.dim if config.head else wide)
            if own is not None:
                heads["objective"] = own
        return Model(encoder, info, heads=heads, pooling=config.pooling, provides=self.provides)

    def check(self, part: Part) -> None:
        if part.collection.label is not None:
            check_labelled(part, part.collection.label, self.config)

    # Stages

    def tasks(self, train: Part) -> tuple[Part, ...]:
        return (train,) * len(self.config.stages)

    def monitored(self, task: int) -> str | None:
        return None if self.config.stages[task] == "contrast" else self.monitor

    def begin(self, model: Model, task: int, part: Part, context: Context) -> None:
        self._stage = self.config.stages[task]
        codes = part.known(label_column(model)).codes(label_column(model))
        self._class_weights = class_weights(codes, len(model.info.classes)).to(context.device)

    def batches(self, model: Model, part: Part, context: Context) -> Batches:
        self._batches = labelled_batches(part, label_column(model), self.config, encoder=model.encoder, context=context)
        return self._batches

    def steps(self, part: Part, batches: Batches) -> int:
        epochs = self.config.contrast_epochs if self._stage == "contrast" else None
        found = budget(batches, epochs=epochs or self.config.epochs, iterations=self.config.iterations)
        return self.default_steps(part, batches) if found is None else found

    def optimisers(self, model: Model) -> Mapping[str, Optimizer]:
        config = self.config
        groups = parameter_groups(
            model, config, only=[*(() if self._frozen else (model.encoder,)), *self._heads(model)]
        )
        return {"model": AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay)}

    def schedulers(self, optimisers: Mapping[str, Optimizer], steps: int) -> Mapping[str, LRScheduler]:
        return schedules(optimisers, schedule=self.config.schedule, warm_up=self.config.warm_up, steps=steps)

    @property
    def _frozen(self) -> bool:
        """Whether the encoder stays as it is."""
        return self._stage == "probe" or self.config.encoder_learning_rate == 0

    def _heads(self, model: Model) -> list[nn.Module]:
        """The heads that the stage trains."""
        of_contrast = [head for name, head in model.heads.items() if name != "classify"]
        if self._stage == "contrast":
            return of_contrast
        return [model.heads["classify"], *(of_contrast if self._stage == "joint" else ())]

    # Steps

    def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        vectors = self._seen(model, batch, context.own_generator("views"))
        labels = batch.codes[label_column(model)].repeat(len(vectors))
        embedded, labels = torch.cat(vectors) if len(vectors) > 1 else vectors[0], gather_with_gradient(labels)
        if self._stage == "contrast":
            contrast = self._contrast(model, embedded, labels)
            yield Update("model", {"loss": contrast.loss}, _observed(contrast))
            return
        entropy = self._cross_entropy(model, embedded, labels)
        if self._stage != "joint":
            yield Update("model", {"loss": entropy})
            return
        contrast = self._contrast(model, embedded, labels)
        weighted = self.contrast_weight(context) * contrast.loss
        yield Update("model", {"cross_entropy": entropy, "contrast": weighted}, _observed(contrast))

    def contrast_weight(self, context: Context) -> float:
        """The weight of the contrast beside the cross entropy at a step."""
        assert self._batches is not None, "batches are made before the first step"
        if not self.config.ramp:
            return self.config.weight
        passed = context.epoch + context.step / self._batches.steps(context.epoch)
        return self.config.weight * min(1.0, passed / self.config.ramp)

    def views(self, model: Model, batch: Batch, context: Context) -> tuple[Tensor, Tensor] | None:
        if not self.config.contrasts or self.config.views_per_item == 1:
            return None
        first, second = self._seen(model, batch, context.own_generator("panel"))
        return _projected(model, first), _projected(model, second)

    def _seen(self, model: Model, batch: Batch, generator: torch.Generator) -> list[Float[Tensor, "batch dim"]]:
        """The embeddings of a batch, of each view of it."""
        found = []
        for _ in range(self.config.views_per_item):
            view = changed_view(batch, self._views, generator)
            lengths = padding_of(view, batch)
            if self._frozen:
                with evaluating(model.encoder):
                    found.append(pooled(model.encoder, view.x, lengths, pooling=model.pooling, keep=view.keep))
            else:
                found.append(pooled(model.encoder, view.x, lengths, pooling=model.pooling, keep=view.keep))
        return found

    def _contrast(self, model: Model, embedded: Float[Tensor, "row dim"], labels: Int[Tensor, "all"]) -> LabelledLoss:
        z = gather_with_gradient(_projected(model, embedded))
        own = dict(model.heads.items()).get("objective")
        return self._objective(z, labels, weights=own)

    def _cross_entropy(
        self, model: Model, embedded: Float[Tensor, "row dim"], labels: Int[Tensor, "all"]
    ) -> Float[Tensor, ""]:
        logits = gather_with_gradient(model.heads["classify"](embedded).float())
        weights = self._class_weights if self.config.balanced else None
        return functional.cross_entropy(logits, labels, weight=weights)

    # Validation

    def validate(self, model: Model, validation: Part, context: Context) -> Mapping[str, float]:
        """Accuracy and macro-F1 (the mean over classes that occur in labels or predictions) of labelled sequences."""
        if self._stage == "contrast":
            return {}
        classes = len(model.info.classes)
        truth, predicted = torch.zeros(2, 0, dtype=torch.int64)
        batches = self._validation_batches(model, validation, context)
        if len(batches.part):
            truth, predicted = _predictions(model, batches)
        counts = classification.confusion(truth.cpu().numpy(), predicted.cpu().numpy(), classes)
        return {"accuracy": classification.accuracy(counts), "macro_f1": classification.macro_f1(counts)}

    def _validation_batches(self, model: Model, validation: Part, context: Context) -> Batches:
        """The batches of a validation part, made once for all epochs."""
        if self._validation is None or self._validation[0] is not validation:
            part = validation.known(label_column(model))
            sampler = ByLength(
                part.lengths,
                steps=VALIDATION_STEPS,
                most=VALIDATION_BATCH,
                equal=not model.encoder.padding_invariant,
            )
            found = Batches(part, sampler=sampler, device=context.device, columns=(label_column(model),))
            self._validation = (validation, found)
        return self._validation[1]


def class_weights(codes: Tensor, classes: int) -> Float[Tensor, "classes"]:
    """Weights inverse to the number of each class, whose mean over the items is 1; 0 for a class without items."""
    counts = torch.bincount(codes, minlength=classes).float()
    present = counts > 0
    return torch.where(present, counts.sum() / counts.clamp(min=1) / present.sum(), 0.0)


def _projected(model: Model, embedded: Float[Tensor, "row dim"]) -> Float[Tensor, "row narrow"]:
    """What is contrasted."""
    z: Tensor = model.heads["project"](embedded) if "project" in model.heads else embedded
    return z


def _observed(contrast: LabelledLoss) -> Mapping[str, Float[Tensor, ""]]:
    return {f"contrast/{name}": share for name, share in contrast.observed.items()}


def _predictions(model: Model, batches: Batches) -> tuple[Tensor, Tensor]:
    """Labels and predicted classes of one pass."""
    pairs = [
        (batch.codes[label_column(model)], model.classify(batch.x, batch.unequal_lengths).argmax(dim=1))
        for batch in (batches.at(0, step) for step in range(batches.steps(0)))
    ]
    truth, predicted = (torch.cat(side) for side in zip(*pairs, strict=True))
    return truth, predicted
