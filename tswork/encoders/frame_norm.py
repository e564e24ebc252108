"""Any encoder with frames of one size: what it says of a step lies in the direction of its frame alone.

Contrast by the cosine, as of AutoTCL, InfoTS, SimCLR and their like, leaves the size of frames free, and training lets it grow: a few
dimensions come to outweigh all others, and what reads distances afterwards (a support vector machine, neighbours, a ridge with
one penalty) hardly sees the rest. Layer normalisation is that of Ba, Kiros and Hinton, "Layer Normalization", 2016, without a gain
and a bias of its own.

| `by` | a frame of `dim` numbers becomes |
| --- | --- |
| `layer` | itself less its mean, over its standard deviation: its length is the square root of `dim` |
| `length` | itself over its length, which is then 1 |

Each frame is normalised by itself, so masks, padding and the fast forms of the encoder inside stay what they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from tswork.config import Configured, Uses, configure
from tswork.data.collection import DataInfo
from tswork.encoders.base import Encoder, Ends, Frames
from tswork.encoders.with_front_end import EncoderConfig
from tswork.registry import register


class FrameNormConfig(EncoderConfig):
    encoder: Annotated[Configured, Uses("encoder")] = Field(
        default_factory=lambda: configure("encoder", "dilated_conv"), description="whose frames are normalised"
    )
    by: Literal["layer", "length"] = Field(
        default="layer", description="to mean 0 and variance 1 over the dimensions of a frame, or to length 1"
    )


@register("encoder", "frame_norm", version=1, config=FrameNormConfig)
class FrameNorm(Encoder):
    """Another encoder, each of whose frames is normalised over its dimensions."""

    def __init__(self, config: FrameNormConfig, info: DataInfo) -> None:
        super().__init__()
        inner: Encoder = config.encoder.build(info)
        self.inner, self.by = inner, config.by
        self.takes_after(inner)
        self.latent_dim = inner.latent_dim

    def forward(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        keep: Bool[Tensor, "batch time *latent"] | None = None,
    ) -> Frames:
        frames: Frames = self.inner(x, lengths, keep=keep)
        return Frames(self._normalised(frames.values), frames.lengths)

    def last(
        self, x: Float[Tensor, "batch time channel"], lengths: Int[Tensor, "batch"] | None = None
    ) -> Float[Tensor, "batch dim"]:
        return self._normalised(self.inner.last(x, lengths))

    def last_of_windows(
        self, series: Float[Tensor, "time channel"], ends: Sequence[Ends], *, window: int
    ) -> Float[Tensor, "some dim"]:
        return self._normalised(self.inner.last_of_windows(series, ends, window=window))

    def _normalised(self, frames: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        if self.by == "layer":
            return functional.layer_norm(frames, (self.dim,))
        return functional.normalize(frames, dim=-1)
