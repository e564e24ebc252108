"""Classification by the nearest mean of exemplars, and what methods share that end their tasks with it.

Rebuffi et al., "iCaRL: Incremental Classifier and Representation Learning", CVPR 2017, algorithm 1. The mean of a class is that of
the unit vectors of its exemplars in the memory, at unit length again; a sequence is of the class whose mean is nearest to its own
unit vector. Means stand in buffers of the head `classify`, are taken anew after every task, and so are part of a saved model.

The memory holds exemplars of every label, also where tasks are divided by another column: a class without exemplars has no mean.
Embeddings are those of the sequences as they are. Some libraries add those of mirrored images; a sequence that runs backwards is
another sequence, so nothing is mirrored here.
"""

from __future__ import annotations

from typing import Literal, TypeVar

import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from tswork.context import Context
from tswork.data.collection import DataInfo, Part
from tswork.encoders.base import Encoder
from tswork.encoders.pooling import pooled_dim
from tswork.methods.answers import ClassAnswer
from tswork.methods.continual import label_of
from tswork.methods.embedding import embed_part
from tswork.methods.er import ErConfig
from tswork.methods.model import Model, label_column
from tswork.methods.taught import Taught
from tswork.precision import wide

FURTHEST = 4.0
"""The squared distance of two opposite unit vectors."""


class NearestMean(nn.Module):
    """Minus the squared distance of unit vectors from the mean of each class; a class without a mean is as far as can be.

    These are scores, of which the largest is the answer; their softmax is no probability. Before any mean is known there are
    directions at random, so that an untrained model answers as arbitrarily as others.
    """

    def __init__(self, classes: int, dim: int) -> None:
        super().__init__()
        self.means: Tensor
        self.known: Tensor
        self.register_buffer("means", functional.normalize(torch.randn(classes, dim), dim=1))
        self.register_buffer("known", torch.zeros(classes, dtype=torch.bool))

    def forward(self, vectors: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch class"]:
        cosines = functional.normalize(wide(vectors), dim=1) @ self.means.T
        return torch.where(self.known | ~self.known.any(), 2 * cosines - 2, -FURTHEST)

    @torch.no_grad()
    def fill(self, vectors: Float[Tensor, "exemplar dim"], labels: Int[Tensor, "exemplar"]) -> None:
        """Take the means of exemplars; labels of -1 are of no class."""
        chosen = labels >= 0
        unit = functional.normalize(wide(vectors[chosen]), dim=1).to(self.means.device)
        of = labels[chosen].to(self.means.device)
        sums = torch.zeros_like(self.means).index_add_(0, of, unit)
        self.known.copy_(torch.bincount(of, minlength=len(self.known)) > 0)
        self.means.copy_(functional.normalize(sums, dim=1))


class ByMeansConfig(ErConfig):
    memory: int = Field(default=200, ge=1, description="samples that are kept in all, of every class some")
    selection: Literal["random", "nearest_to_mean", "herding", "icarl_original"] = Field(
        default="herding", description="which samples of a class are kept"
    )

    @model_validator(mode="after")
    def _says_classes(self) -> ByMeansConfig:
        if self.answer == "text":
            raise ValueError(
                "the nearest mean of exemplars is a class and writes no text: use `answer: class`, or `coconut` or `er`"
                " for texts"
            )
        return self


class AnswerByMeans(ClassAnswer):
    """One of all classes, by its mean."""

    def heads(self, encoder: Encoder, info: DataInfo) -> dict[str, nn.Module]:
        return {"classify": NearestMean(len(info.classes), pooled_dim(encoder, self._pooling))}


C = TypeVar("C", bound=ByMeansConfig)


class ByMeans(Taught[C]):
    """A method with a teacher and a memory of every label, whose means classify."""

    def __init__(self, config: C) -> None:
        super().__init__(config)
        self.answer = AnswerByMeans(dropout=config.dropout, pooling=config.pooling)

    def remembered_by(self, part: Part) -> str:
        return label_of(part)

    def seen(self, part: Part, task: int) -> int:
        codes = torch.cat([self.memory.codes, part.codes(label_of(part))])
        return len(torch.unique(codes[codes >= 0]))

    def finish(self, model: Model, task: int, part: Part, context: Context) -> None:
        super().finish(model, task, part, context)
        classifier = model.heads["classify"]
        assert isinstance(classifier, NearestMean)
        exemplars = self.memory.part
        classifier.fill(embed_part(model, exemplars, context), exemplars.codes(label_column(model)))
