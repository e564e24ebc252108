"""What training returns: an encoder, its heads, and what it can do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tswork.data.collection import DataInfo
from tswork.encoders.base import Encoder
from tswork.encoders.pooling import Pooling, own_pooling, pooled
from tswork.errors import ModelUnfit


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while, without gradients; every submodule returns to the mode it had."""
    modes = [(child, child.training) for child in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for child, training in modes:
            child.training = training


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """For a while gradients pass through a module and stay in none of it: no parameter, no statistic, and no dropout."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    norms = [
        one for one in module.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm) and one.track_running_stats
    ]
    dropouts = [one for one in module.modules() if isinstance(one, nn.modules.dropout._DropoutNd) and one.training]
    rates = {one: one.dropout for one in module.modules() if isinstance(one, (nn.RNNBase, nn.MultiheadAttention))}
    for parameter in trained:
        parameter.requires_grad_(False)
    for norm in norms:
        norm.track_running_stats = False  # in training it then neither reads nor writes its running statistics
    for dropout in dropouts:
        dropout.training = False
    for layer in rates:  # which drop by themselves
        layer.dropout = 0.0
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
        for norm in norms:
            norm.track_running_stats = True
        for dropout in dropouts:
            dropout.training = True
        for layer, rate in rates.items():
            layer.dropout = rate


def draws_nothing(module: nn.Module, *, but: nn.Dropout | None = None) -> bool:
    """Whether no dropout of a module, one aside, acts in training, so that equal inputs give equal outputs there too."""
    dropouts = [one.p for one in module.modules() if isinstance(one, nn.modules.dropout._DropoutNd) and one is not but]
    layers = [one.dropout for one in module.modules() if isinstance(one, (nn.RNNBase, nn.MultiheadAttention))]
    return not any((*dropouts, *layers))


class Model(nn.Module):
    """An encoder with named heads.

    `provides` names what it can do: `embed` always; `classify` with a head of that name; `transcribe` with a head `decoder`, which
    writes text in the pieces of `info.tokenizer`. Everything that training keeps
    (projection heads, queues, augmentation networks, memories) is a head, so that it is in the checkpoint.
    """

    def __init__(
        self,
        encoder: Encoder,
        info: DataInfo,
        *,
        heads: dict[str, nn.Module] | None = None,
        pooling: Pooling = "max",
        provides: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__()
        if pooling == "own":
            own_pooling(encoder)  # refused here where it has none
        self.encoder = encoder
        self.heads = nn.ModuleDict(heads or {})
        self.info = info
        self.pooling: Pooling = pooling
        self.provides = provides | {"embed"}

    def embed(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        pooling: Pooling | None = None,
    ) -> Float[Tensor, "batch dim"]:
        """One vector a sequence, pooled over the real frames."""
        return pooled(self.encoder, x, lengths, pooling=pooling or self.pooling)

    def last(
        self, x: Float[Tensor, "batch time channel"], lengths: Int[Tensor, "batch"] | None = None
    ) -> Float[Tensor, "batch dim"]:
        """The feature of the last real step: what a forecast starts from."""
        return self.encoder.last(x, lengths)

    def classify(
        self, x: Float[Tensor, "batch time channel"], lengths: Int[Tensor, "batch"] | None = None
    ) -> Float[Tensor, "batch class"]:
        """Logits in the order of `info.classes`. Raises `ModelUnfit` without a `classify` head."""
        if "classify" not in self.heads:
            raise ModelUnfit(
                "this model", "it has no 'classify' head", "Train it with `supervised`, or judge it with a probe."
            )
        logits: Tensor = self.heads["classify"](self.embed(x, lengths))
        return logits

    def transcribe(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        beams: int = 1,
        longest: int = 130,
    ) -> list[str]:
        """What the decoder writes of each sequence, in evaluation mode. Raises `ModelUnfit` without a `decoder` head."""
        if "decoder" not in self.heads:
            raise ModelUnfit("this model", "it has no 'decoder' head", "Train it with `answer: text`.")
        from tswork.text.writing import written_texts  # the texts' package is not everybody's

        return written_texts(self, x, lengths, beams=beams, longest=longest)

    @property
    def device(self) -> torch.device:
        """Where its parameters are."""
        return next(self.parameters()).device


def label_column(model: Model) -> str:
    """The column of the classes that a model tells apart."""
    assert model.info.label is not None
    return model.info.label
