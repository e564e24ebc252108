"""What a continual method learns to say of a sequence: its class, or a text.

| `answer` | the model says | heads | loss |
| --- | --- | --- | --- |
| class | one of all classes | `classify`: dropout and a linear layer on the pooled embedding | cross entropy of the label |
| text | a target sequence (`tswork.text.targets`) | `decoder` on the frames (`pooled`: and the embedding) | that of the tokens |

The decoder is that of `tswork.text.decoder`. A strategy against forgetting needs no more of either than is told here: the loss of
some samples, the distance to what a teacher said of them, and a vector of what is meant. Every such vector is of the width that
`meaning_dim` says: a class has an embedding of its own, a text the mean of those of its tokens, which are the decoder's. Samples mean
the same where they are of one class, and texts where their intent is one: tasks and memory may go by another column, such as the
scenarios of SLURP.

In several processes every mean is over the samples, frames or tokens of all of them, however they are shared out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from tswork.augment.base import View
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import DataInfo, Part
from tswork.encoders.base import Encoder, Frames, valid_steps
from tswork.encoders.pooling import Pooling, pool_read, pooled_dim
from tswork.errors import ModelUnfit
from tswork.methods.model import Model, label_column
from tswork.methods.sequence_contrast import padding_of
from tswork.objectives.distillation import token_distillation
from tswork.objectives.token_cross_entropy import token_cross_entropy
from tswork.precision import wide
from tswork.random import generator
from tswork.text.collection_text import looser_tokens_of_texts, text_of, texts_of, tokens_of_texts
from tswork.text.decoder import TextDecoder, TextDecoderConfig
from tswork.text.tokens import Tokens, TokenTable
from tswork.text.writing import decoder_of, known_tokenizer, tokenizer_of
from tswork.training.distributed import of_all

AnswerKind = Literal["class", "text"]


class Heard(NamedTuple):
    """What a model makes of a batch, and what it should say."""

    frames: Frames
    vectors: Float[Tensor, "batch dim"]
    """Pooled."""
    logits: Float[Tensor, "batch *token choice"]
    """Of each class, or of each token at every place."""
    labels: Int[Tensor, "batch"]
    """The class of each sample; of a text its intent."""
    targets: Tokens | None
    """The tokens to say, the end included; None where classes are said."""


class Answer(ABC):
    """How a model answers, and how that is trained."""

    provides: ClassVar[frozenset[str]]

    @abstractmethod
    def heads(self, encoder: Encoder, info: DataInfo) -> dict[str, nn.Module]:
        """The heads that answer. Raises `ModelUnfit` when the data do not suit."""

    @abstractmethod
    def begin(self, model: Model, part: Part) -> None:
        """Called with what a task is trained on, before its first batch. Raises `DataInvalid` when it does not suit."""

    @abstractmethod
    def step(self, context: Context) -> None:
        """Called before a batch is heard, with its epoch and step."""

    @abstractmethod
    def heard(self, model: Model, batch: Batch, view: View) -> Heard:
        """A batch, of which the model sees a view, as it is told the truth."""

    @abstractmethod
    def loss(self, heard: Heard, *, among: Bool[Tensor, "batch"] | None = None) -> Float[Tensor, ""]:
        """Cross entropy of what should be said of some samples (None: all); 0 without any."""

    @abstractmethod
    def distance(
        self, heard: Heard, teacher: Float[Tensor, "batch *token choice"], is_memory: Bool[Tensor, "batch"]
    ) -> Float[Tensor, ""]:
        """Mean KL divergence from a teacher's logits on samples of the memory; 0 without any. Other rows are not read."""

    @abstractmethod
    def meaning_dim(self, model: Model) -> int:
        """Width of a vector of `meanings`."""

    @abstractmethod
    def meanings(self, model: Model, heard: Heard) -> Float[Tensor, "batch width"]:
        """A vector of what is meant by each sample, which learns."""


class ClassAnswer(Answer):
    """One of all classes, which are there from the start."""

    provides = frozenset({"embed", "answer", "classify"})

    def __init__(self, *, dropout: float, pooling: Pooling) -> None:
        self._dropout = dropout
        self._pooling: Pooling = pooling

    def heads(self, encoder: Encoder, info: DataInfo) -> dict[str, nn.Module]:
        width = pooled_dim(encoder, self._pooling)
        return {"classify": nn.Sequential(nn.Dropout(self._dropout), nn.Linear(width, len(info.classes)))}

    def begin(self, model: Model, part: Part) -> None:
        """Labels come with the batches."""

    def step(self, context: Context) -> None:
        """Labels stay what they are."""

    def heard(self, model: Model, batch: Batch, view: View) -> Heard:
        frames, vectors = read(model, batch, view)
        labels = batch.codes[label_column(model)]
        return Heard(frames, vectors, model.heads["classify"](vectors).float(), labels, None)

    def loss(self, heard: Heard, *, among: Bool[Tensor, "batch"] | None = None) -> Float[Tensor, ""]:
        if among is None:
            return functional.cross_entropy(heard.logits, heard.labels)
        each = functional.cross_entropy(heard.logits, heard.labels, reduction="none")
        return torch.where(among, each, 0.0).sum() / of_all(among.sum())

    def distance(
        self, heard: Heard, teacher: Float[Tensor, "batch *token choice"], is_memory: Bool[Tensor, "batch"]
    ) -> Float[Tensor, ""]:
        return token_distillation(heard.logits[:, None], teacher[:, None], is_memory, divisor=of_all)

    def meaning_dim(self, model: Model) -> int:
        return model.encoder.dim

    def meanings(self, model: Model, heard: Heard) -> Float[Tensor, "batch width"]:
        vectors: Tensor = model.heads["meaning"](heard.labels)
        return vectors


class TextAnswer(Answer):
    """A sequence of tokens, told the truth in training."""

    provides = frozenset({"embed", "answer", "transcribe"})

    def __init__(self, config: TextDecoderConfig, *, merge_dropout: float, pooling: Pooling) -> None:
        self._config = config
        self._pooling: Pooling = pooling
        self._merge_dropout = merge_dropout
        self._tokens: TokenTable | None = None
        self._part: Part | None = None

    def heads(self, encoder: Encoder, info: DataInfo) -> dict[str, nn.Module]:
        if info.tokenizer is None:
            raise ModelUnfit(
                "answer: text", "the data have no texts", "Name their columns with `text:` in the data block."
            )
        size = known_tokenizer(info.tokenizer).size
        width = pooled_dim(encoder, self._pooling) if self._config.pooled else None
        return {"decoder": TextDecoder(self._config, vocabulary=size, frame_dim=encoder.dim, vector_dim=width)}

    def begin(self, model: Model, part: Part) -> None:
        if part is not self._part:  # begun again where merges were dropped, its texts are still the same
            self._part, self._texts = part, texts_of(part)
        self._collection = part.collection
        self._tokenizer, self._device = tokenizer_of(model), model.device
        self._intents = part.collection.codes(text_of(part.collection)[1]).to(self._device)
        self._tokens = tokens_of_texts(self._collection, self._texts, self._tokenizer).to(self._device)
        self._drawn = -1

    def step(self, context: Context) -> None:
        """Cut the texts anew in every epoch, where merges are dropped."""
        if not self._merge_dropout or self._drawn == context.epoch:
            return
        draw = generator(context.seed, "merges", context.epoch)
        tokens = looser_tokens_of_texts(
            self._collection, self._texts, self._tokenizer, dropout=self._merge_dropout, generator=draw
        )
        self._tokens, self._drawn = tokens.to(self._device), context.epoch

    def tokens(self, batch: Batch) -> Tokens:
        """The tokens of a batch's texts."""
        assert self._tokens is not None, "a task begins before its first batch"
        return self._tokens.at(batch.span[:, 0])

    def heard(self, model: Model, batch: Batch, view: View) -> Heard:
        frames, vectors = read(model, batch, view)
        tokens = self.tokens(batch)
        logits = decoder_of(model)(tokens.inputs(), frames, vectors)
        labels = self._intents[batch.span[:, 0].to(self._device, non_blocking=True)]
        return Heard(frames, vectors, logits, labels, tokens.targets())

    def loss(self, heard: Heard, *, among: Bool[Tensor, "batch"] | None = None) -> Float[Tensor, ""]:
        assert heard.targets is not None
        return token_cross_entropy(heard.logits, *heard.targets, among=among, divisor=of_all)

    def distance(
        self, heard: Heard, teacher: Float[Tensor, "batch *token choice"], is_memory: Bool[Tensor, "batch"]
    ) -> Float[Tensor, ""]:
        assert heard.targets is not None
        lengths = heard.targets.lengths
        return token_distillation(heard.logits, teacher, is_memory, lengths=lengths, divisor=of_all)

    def meaning_dim(self, model: Model) -> int:
        return decoder_of(model).dim

    def meanings(self, model: Model, heard: Heard) -> Float[Tensor, "batch width"]:
        assert heard.targets is not None
        said = heard.targets.lengths - 1  # without the end
        embedded = wide(decoder_of(model).embed(heard.targets.ids))
        real = valid_steps(said, embedded.shape[1])[..., None]
        return torch.where(real, embedded, 0.0).sum(dim=1) / said.clamp(min=1)[:, None]


def read(model: Model, batch: Batch, view: View) -> tuple[Frames, Float[Tensor, "batch dim"]]:
    """The frames of a view of a batch, and one vector a sequence."""
    frames = frames_of(model, batch, view)
    return frames, pool_read(model.encoder, frames, view.x, pooling=model.pooling, keep=view.keep)


def frames_of(model: Model, batch: Batch, view: View) -> Frames:
    """The frames of a view of a batch."""
    frames: Frames = model.encoder(view.x, padding_of(view, batch), keep=view.keep)
    return frames
