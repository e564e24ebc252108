"""Pairs of views that differ by hidden steps and by dropout on the frames, and what several losses need of one pair.

A view that hides nothing is, but for the dropout, what the encoder gives without it: one pass serves all such views, unless the
encoder draws anything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from tswork.augment.mask import ChannelMask, Mask, draw_channel_mask, draw_mask
from tswork.data.batches import Batch
from tswork.encoders.base import Frames
from tswork.errors import ModelUnfit
from tswork.methods.model import Model, draws_nothing
from tswork.objectives.comet import Scale, Similarity, comparable, scales_of
from tswork.objectives.cosines import cosines
from tswork.training.distributed import gather_with_gradient


class Views:
    """Views of one batch. `dropout` acts on their frames in place of the one that the encoder ends with, in evaluation too."""

    def __init__(self, model: Model, batch: Batch, *, dropout: float) -> None:
        self._encoder = model.encoder
        self._batch = batch
        self._dropout = dropout
        self._clear: Frames | None = None

    def pair(self, mask: Mask | ChannelMask, *, generator: torch.Generator) -> Pair:
        """Two views with a mask of their own each."""
        first, second = self._view(mask, generator), self._view(mask, generator)
        return Pair(first, second, padded=self._batch.unequal_lengths is not None)

    def _view(self, mask: Mask | ChannelMask, generator: torch.Generator) -> Frames:
        frames = self._unhidden() if mask == "all_true" else self._encoded(self._keep(mask, generator))
        return Frames(functional.dropout(frames.values, self._dropout), frames.lengths)

    def _unhidden(self) -> Frames:
        if self._clear is None or not draws_nothing(self._encoder, but=self._encoder.frame_dropout):
            self._clear = self._encoded(None)
        return self._clear

    def _encoded(self, keep: Bool[Tensor, "batch time *latent"] | None) -> Frames:
        with _off(self._encoder.frame_dropout):
            frames: Frames = self._encoder(self._batch.x, self._batch.unequal_lengths, keep=keep)
        return frames

    def _keep(self, mask: Mask | ChannelMask, generator: torch.Generator) -> Bool[Tensor, "batch time *latent"]:
        lengths, time, width = self._batch.lengths, self._batch.x.shape[1], self._encoder.latent_dim
        if mask == "channel_binomial" or mask == "channel_continuous":
            if width is None:
                reason = f"it cannot hide single channels of what it projects, as the mask {mask!r} would"
                raise ModelUnfit(type(self._encoder).__name__, reason, "Use a mask of whole steps.")
            return draw_channel_mask(mask, lengths, time, width, generator=generator)
        return draw_mask(mask, lengths, time, generator=generator)


class Pair:
    """The frames of two views; similarities and scales are computed once, when a loss first asks."""

    def __init__(self, first: Frames, second: Frames, *, padded: bool) -> None:
        self.first = first
        self.second = second
        self._lengths = first.lengths if padded else None
        self._cosines: dict[Similarity, Tensor] = {}

    def cosines(self, similarity: Similarity) -> Float[Tensor, "all all"]:
        """Cosines of the first view of each sample of all processes with the second of each."""
        if similarity not in self._cosines:
            vectors = (comparable(one.values, similarity=similarity, lengths=self._lengths) for one in self._both)
            self._cosines[similarity] = cosines(*(gather_with_gradient(one) for one in vectors))
        return self._cosines[similarity]

    @cached_property
    def scales(self) -> list[Scale]:
        """The views of this process's samples at all scales of time."""
        return scales_of(self.first.values, self.second.values, lengths=self._lengths)

    @cached_property
    def scales_of_all(self) -> list[Scale]:
        """The same of the samples of all processes, which are of one length where there are several."""
        first, second = (gather_with_gradient(one.values) for one in self._both)
        if first is self.first.values:
            return self.scales
        return scales_of(first, second)

    @property
    def _both(self) -> tuple[Frames, Frames]:
        return self.first, self.second


@contextmanager
def _off(dropout: nn.Dropout | None) -> Iterator[None]:
    """Without a dropout for a while."""
    training = dropout is not None and dropout.training
    if dropout is not None:
        dropout.training = False
    try:
        yield
    finally:
        if dropout is not None:
            dropout.training = training
