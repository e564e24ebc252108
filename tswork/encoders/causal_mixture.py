"""A dilated trunk and a mixture of causal convolutions: the encoder of AutoTCL.

Papers: Zheng et al., "Parametric Augmentation for Time Series Contrastive Learning", ICLR 2024; trunk and mixture come from
Woo et al., "CoST: Contrastive Learning of Disentangled Seasonal-Trend Representations", ICLR 2022, section 3.2 (trend features).
The trunk is TS2Vec's stack of dilated convolutions, which sees both ways (`dilated_conv`). On its frames work causal convolutions
of 1, 2, 4, ... 128 taps, each with its own bias, and a frame is the mean of what they give. That mean is linear, hence a single
convolution, whose kernel is the mean of theirs.

Departures
| published | here |
| --- | --- |
| the convolutions run one by one, and what they give is averaged | they are trained as they are and folded on the fly into one |
| the frames of the trunk are computed to their end for each window | `last` computes those that the last frame needs |
| rows with missing values spread them | a missing or hidden step is the zero vector after the projection |

The mixture is causal and padding comes after what is real, so lengths need nothing here beyond what the trunk does. Whole
sequences go through the mixture in `causal_convolution`'s cheaper form. `last` and `last_of_windows` compute of the trunk what
the last frame depends on (`dilated_ends`), and of the mixture one step, which is a single product of 128 frames with the kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn

from tswork.config import Many
from tswork.data.collection import DataInfo
from tswork.encoders.base import Encoder, Ends, Frames
from tswork.encoders.dilated_conv import Block, DilatedConv, DilatedConvConfig
from tswork.encoders.dilated_ends import frames_at_end, frames_at_end_of_windows, last_block_and_sum
from tswork.encoders.latent import project_series
from tswork.encoders.mean_of_convolutions import MeanOfConvolutions
from tswork.encoders.with_front_end import EncoderConfig
from tswork.registry import register

KERNELS = (1, 2, 4, 8, 16, 32, 64, 128)


class CausalMixtureConfig(EncoderConfig):
    dim: int = Field(default=320, ge=1, description="width of a frame")
    hidden: int = Field(default=64, ge=1, description="width of the trunk's hidden blocks")
    depth: int = Field(
        default=10,
        ge=1,
        le=20,
        description="hidden blocks of the trunk; block i has dilation 2^i, one wider block follows",
    )
    kernels: Many[Annotated[int, Field(ge=1)]] = Field(
        default=KERNELS, min_length=1, description="taps of each causal convolution, in steps"
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="dropout on the frames in training")


@register("encoder", "causal_mixture", version=1, config=CausalMixtureConfig)
class CausalMixture(Encoder):
    """Dilated convolutions, then the mean of causal convolutions of growing length (AutoTCL, CoST's trend features)."""

    masks = "latent"
    exportable = True

    def __init__(self, config: CausalMixtureConfig, info: DataInfo) -> None:
        super().__init__()
        self.dim, self.latent_dim = config.dim, config.hidden
        trunk = DilatedConvConfig(dim=config.dim, hidden=config.hidden, depth=config.depth, dropout=0.0)
        self.trunk_encoder = DilatedConv(trunk, info)
        self.mixture = MeanOfConvolutions(config.dim, config.dim, kernels=config.kernels)
        self.dropout = nn.Dropout(config.dropout)

    @property
    def frame_dropout(self) -> nn.Dropout:
        return self.dropout

    def trunk(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        keep: Bool[Tensor, "batch time *latent"] | None = None,
    ) -> Frames:
        """The frames that the mixture works on; as wide as its own."""
        frames: Frames = self.trunk_encoder(x, lengths, keep=keep)
        return frames

    def forward(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        keep: Bool[Tensor, "batch time *latent"] | None = None,
    ) -> Frames:
        frames = self.trunk(x, lengths, keep=keep)
        return Frames(self.dropout(self.mixture(frames.values)), frames.lengths)

    def last(
        self, x: Float[Tensor, "batch time channel"], lengths: Int[Tensor, "batch"] | None = None
    ) -> Float[Tensor, "batch dim"]:
        if self.training:
            return super().last(x, lengths)  # dropout belongs to whole sequences
        count = min(self.mixture.taps, x.shape[1])
        with torch.autocast(x.device.type, enabled=False):
            latent, visible = self.trunk_encoder.latent_that_ends_together(x, lengths)
            inside = None if visible is None else visible.T[..., None]
            frames = frames_at_end(self.trunk_encoder.stack, latent.transpose(0, 1), count, inside=inside)
            return self.mixture.at_end(count)(frames)

    def last_of_windows(
        self, series: Float[Tensor, "time channel"], ends: Sequence[Ends], *, window: int
    ) -> Float[Tensor, "some dim"]:
        if self.training:
            return super().last_of_windows(series, ends, window=window)
        blocks, count = self.trunk_encoder.stack, min(self.mixture.taps, window)
        with torch.autocast(series.device.type, enabled=False):
            latent = project_series(self.trunk_encoder.project, series, before=window - 1)
            if blocks[-1].dilation >= window and sum(some.number for some in ends) > self.dim:
                finish = last_block_and_mixture(blocks.pop(), self.mixture, count)
            else:
                finish = self.mixture.at_end(count)
            return torch.cat(
                [finish(frames_at_end_of_windows(blocks, latent, some, window=window, count=count)) for some in ends]
            )


def last_block_and_mixture(
    block: Block, mixture: MeanOfConvolutions, count: int
) -> Callable[[Float[Tensor, "count window hidden"]], Float[Tensor, "window dim"]]:
    """The last block, of whose convolutions only centre taps see data, and the mixture at the last of `count` steps."""
    return last_block_and_sum(block, mixture.kernel()[:count].flip(0), mixture.bias())
