"""The one interface of all encoders: `(batch, time, channel)` and lengths in, frames and their lengths out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

FRAMES_AT_ONCE = 32_768
"""Frames that are computed at once where nothing is trained."""
SAMPLES_AT_ONCE = 1 << 20
"""The most input steps behind them: about a minute of sound at 16 kHz."""


class Frames(NamedTuple):
    """Features at every frame, and how many frames of each sequence are real."""

    values: Float[Tensor, "batch frame dim"]
    lengths: Int[Tensor, "batch"]


class OwnPooling(nn.Module, ABC):
    """From frames to one vector a sequence, by weights of its own. Padding frames never take part."""

    dim: int
    """Width of a vector."""

    @abstractmethod
    def forward(self, frames: Frames) -> Float[Tensor, "batch dim"]:
        """One vector a sequence; zeros where it has no frame."""


class Ends(NamedTuple):
    """Steps at which windows end: a stretch of a series, and which of its steps; none: all."""

    first: int
    stop: int
    places: Int[Tensor, "some"] | None = None

    @property
    def number(self) -> int:
        """How many steps these are."""
        return self.stop - self.first if self.places is None else len(self.places)

    def of(self, steps: Shaped[Tensor, "time *more"]) -> Shaped[Tensor, "some *more"]:
        """These steps of a series."""
        stretch = steps[self.first : self.stop]
        return stretch if self.places is None else stretch[self.places]


class Encoder(nn.Module, ABC):
    """Base of all encoders.

    `forward(x, lengths, keep=...)`: positions at or after a sequence's length are padding and never change its result
    when `padding_invariant`; NaN in x is missing and never spreads; `keep=False` steps are hidden from the encoder by
    zeroing the projected row (`masks = "latent"`) or the input (`masks = "input"`). x itself is never modified.
    """

    dim: int
    """Width of a frame."""
    stride: int = 1
    """Input steps a frame."""
    masks: Literal["latent", "input"] = "latent"
    latent_dim: int | None = None
    """Width of the projected row, where `keep` may also be `(batch, time, latent_dim)` and hide single channels of it."""
    max_length: int | None = None
    """The longest input it takes; None: any."""
    min_length: int = 1
    """The fewest steps that give a frame; a shorter input has none."""
    padding_invariant: bool = True
    """Whether padding leaves results unchanged; else batches must have one length."""
    exportable: bool = False
    """Whether `torch.export` with free batch and time is expected to work."""
    why_not_exportable: str = "does not declare itself exportable"
    loaded: bool = False
    """Whether its weights come from a checkpoint, so that it is worth judging as it is: the control `as_loaded`."""

    def takes_after(self, inner: Encoder) -> None:
        """Of an encoder around another one that changes values alone: what is told of both."""
        self.dim, self.stride, self.masks = inner.dim, inner.stride, inner.masks
        self.min_length, self.max_length = inner.min_length, inner.max_length
        self.padding_invariant = inner.padding_invariant
        self.exportable, self.why_not_exportable = inner.exportable, inner.why_not_exportable

    @staticmethod
    def usable() -> str:
        """What this machine has for it, in a line. Raises the named error that says what is missing."""
        return "needs nothing beyond torch"

    def fixed_weights(self) -> frozenset[str]:
        """Names in its `state_dict` that training leaves as a checkpoint gave them, so that they need not be kept again."""
        return frozenset()

    def added_weights(self) -> Sequence[nn.Parameter]:
        """Weights that no checkpoint gave, though it gave the others; they are trained as a head's are."""
        return ()

    @property
    def steps_at_once(self) -> int:
        """Input steps, padding included, that are encoded at once where nothing is trained.

        Memory grows with frames, and behind a front end or convolutions that shorten time with samples as well.
        """
        return max(FRAMES_AT_ONCE, min(FRAMES_AT_ONCE * self.stride, SAMPLES_AT_ONCE))

    @property
    def own_pooling(self) -> OwnPooling | None:
        """How it pools frames by itself (`pooling: own`), with weights that are trained with it; None: it does not."""
        return None

    @property
    def frame_dropout(self) -> nn.Dropout | None:
        """The dropout that `forward` ends with and that acts nowhere else, so that one pass can serve several draws; None: none."""
        return None

    @abstractmethod
    def forward(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        keep: Bool[Tensor, "batch time *latent"] | None = None,
    ) -> Frames:
        """Frame features. `lengths=None` means that every sequence is whole."""

    def last(
        self, x: Float[Tensor, "batch time channel"], lengths: Int[Tensor, "batch"] | None = None
    ) -> Float[Tensor, "batch dim"]:
        """The feature of each sequence's last real frame; fast forms override this."""
        frames: Frames = self(x, lengths)
        index = (frames.lengths - 1).clamp(min=0)
        return frames.values[torch.arange(len(x), device=x.device), index]

    def last_of_windows(
        self, series: Float[Tensor, "time channel"], ends: Sequence[Ends], *, window: int
    ) -> Float[Tensor, "some dim"]:
        """`last` of the windows that end at some steps, a portion at a time; steps before the first are missing.

        Fast forms override this, too.
        """
        windows = with_steps_before(series, window - 1, torch.nan).unfold(0, window, 1).transpose(1, 2)
        return torch.cat([self.last(some.of(windows).contiguous()) for some in ends])


def is_loaded(module: nn.Module) -> bool:
    """Whether some encoder in a module has weights of a checkpoint."""
    return any(isinstance(one, Encoder) and one.loaded for one in module.modules())


def full_lengths(x: Float[Tensor, "batch time channel"]) -> Int[Tensor, "batch"]:
    """The lengths of a batch without padding."""
    return torch.full((x.shape[0],), x.shape[1], dtype=torch.int64, device=x.device)


def valid_steps(lengths: Int[Tensor, "batch"], time: int) -> Bool[Tensor, "batch time"]:
    """True before each sequence's length."""
    return torch.arange(time, device=lengths.device) < lengths[:, None]


def with_steps_before(steps: Float[Tensor, "time width"], count: int, value: float) -> Float[Tensor, "more width"]:
    """So many steps of one value, and then the given ones."""
    return torch.cat([steps.new_full((count, steps.shape[1]), value), steps])
