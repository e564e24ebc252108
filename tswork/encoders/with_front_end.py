"""The option `front_end` of every encoder, and an encoder behind its front end.

    encoder: {uses: dilated_conv, front_end: log_mel}
    encoder: {uses: transformer, front_end: {uses: log_mel, mels: 40}, patch: 4}

The encoder that is built takes samples and their lengths, and its `stride` and `max_length` count samples. Its masks are those of
samples: a frame is hidden when all samples of its own (as many as the front end's stride) are hidden, and what a window hears of
hidden samples beside it is silence. Masks that hide single samples here and there therefore hide few frames; spans do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn

from tswork.config import ADDED_LATER, Config, Configured, Uses, configure
from tswork.encoders.base import Encoder, Frames, OwnPooling
from tswork.encoders.front_ends.base import FrontEnd


class EncoderConfig(Config):
    """Options that every encoder has."""

    front_end: Annotated[Configured, Uses("front_end")] = Field(
        default_factory=lambda: configure("front_end", "none"),
        description="what the encoder reads in place of its input: `none` (channels as they are), `log_mel`, `waveform`",
        json_schema_extra=ADDED_LATER,
    )

    def built(self, target: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
        """The encoder, behind its front end where it has one."""
        if self.front_end.name == "none":
            return target(self, *args, **keywords)
        (info,) = args
        front: FrontEnd = self.front_end.build(info)
        return EncoderWithFrontEnd(front, target(self, front.info(info), **keywords))


class EncoderWithFrontEnd(Encoder):
    """An encoder that reads what its front end makes of samples."""

    def __init__(self, front: FrontEnd, inner: Encoder) -> None:
        super().__init__()
        self.front, self.inner = front, inner
        self.dim, self.masks, self.stride = inner.dim, inner.masks, front.stride * inner.stride
        self.max_length = None if inner.max_length is None else inner.max_length * front.stride
        self.min_length, self.padding_invariant = (inner.min_length - 1) * front.stride + 1, inner.padding_invariant
        self.exportable = front.exportable and inner.exportable
        self.why_not_exportable = inner.why_not_exportable if front.exportable else front.why_not_exportable

    @property
    def own_pooling(self) -> OwnPooling | None:
        return self.inner.own_pooling

    @property
    def frame_dropout(self) -> nn.Dropout | None:
        return self.inner.frame_dropout

    def forward(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        keep: Bool[Tensor, "batch time"] | None = None,
    ) -> Frames:
        frames: Frames = self.front(x, lengths, keep=keep)
        found: Frames = self.inner(frames.values, None if lengths is None else frames.lengths)
        return found

    def last(
        self, x: Float[Tensor, "batch time channel"], lengths: Int[Tensor, "batch"] | None = None
    ) -> Float[Tensor, "batch dim"]:
        frames: Frames = self.front(x, lengths)
        return self.inner.last(frames.values, None if lengths is None else frames.lengths)
