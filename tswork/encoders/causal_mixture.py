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

The mixture is causal and padding comes after what is real, so lengths need nothing here beyond what the trunk does.
"""

from __future__ import annotations

from typing import Annotated

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tswork.config import Config, Many
from tswork.data.collection import DataInfo
from tswork.encoders.base import Encoder, Frames
from tswork.encoders.causal_convolution import causal_convolution
from tswork.encoders.dilated_conv import DilatedConv, DilatedConvConfig
from tswork.registry import register

KERNELS = (1, 2, 4, 8, 16, 32, 64, 128)


class CausalMixtureConfig(Config):
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
        self.dim = config.dim
        trunk = DilatedConvConfig(dim=config.dim, hidden=config.hidden, depth=config.depth, dropout=0.0)
        self.trunk_encoder = DilatedConv(trunk, info)
        self.mixture = MeanOfConvolutions(config.dim, config.dim, kernels=config.kernels)
        self.dropout = nn.Dropout(config.dropout)

    def trunk(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        keep: Bool[Tensor, "batch time"] | None = None,
    ) -> Frames:
        """The frames that the mixture works on; as wide as its own."""
        frames: Frames = self.trunk_encoder(x, lengths, keep=keep)
        return frames

    def forward(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        keep: Bool[Tensor, "batch time"] | None = None,
    ) -> Frames:
        frames = self.trunk(x, lengths, keep=keep)
        return Frames(self.dropout(self.mixture(frames.values)), frames.lengths)


class MeanOfConvolutions(nn.Module):
    """The mean of causal convolutions, `(batch, time, wide_in)` to `(batch, time, wide_out)`, computed as a single one."""

    def __init__(self, wide_in: int, wide_out: int, *, kernels: tuple[int, ...]) -> None:
        super().__init__()
        taps = sorted(kernels)
        self.weights = nn.ParameterList(torch.empty(count, wide_in, wide_out) for count in taps)
        self.biases = nn.ParameterList(torch.empty(wide_out) for _ in taps)
        for count, weight, bias in zip(taps, self.weights, self.biases, strict=True):
            bound = (wide_in * count) ** -0.5  # as torch's own convolutions begin
            nn.init.uniform_(weight, -bound, bound)
            nn.init.uniform_(bias, -bound, bound)

    def forward(self, frames: Float[Tensor, "batch time wide_in"]) -> Float[Tensor, "batch time wide_out"]:
        return causal_convolution(frames, self.kernel()) + self.bias()

    def kernel(self) -> Float[Tensor, "tap wide_in wide_out"]:
        """The single convolution's kernel; its first tap meets the present step, and all convolutions have that one."""
        share = 1 / len(self.weights)
        folded: Tensor = self.weights[0][:0]
        for weight in self.weights:  # from the shortest to the longest
            folded = torch.add(functional.pad(folded, (0, 0, 0, 0, 0, len(weight) - len(folded))), weight, alpha=share)
        return folded

    def bias(self) -> Float[Tensor, "wide_out"]:
        """The single convolution's bias."""
        return torch.stack(list(self.biases)).mean(dim=0)
