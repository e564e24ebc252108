"""A pre-norm transformer over projected steps or patches.

Vaswani et al., "Attention Is All You Need", NeurIPS 2017; pre-norm as in Xiong et al., "On Layer Normalization in the
Transformer Architecture", ICML 2020; sinusoidal positions, so any length is taken. With `patch` above 1 a frame is a linear
map of that many projected steps; a last patch that is not full counts as a frame. Padding frames are masked as keys. Hidden
and missing steps are zero vectors after the projection.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tswork.data.collection import DataInfo
from tswork.encoders.base import Encoder, Frames, full_lengths, valid_steps
from tswork.encoders.latent import project_visible
from tswork.encoders.with_front_end import EncoderConfig
from tswork.errors import ModelUnfit
from tswork.registry import register

AttentionDropout = Annotated[
    float,
    Field(
        ge=0,
        lt=1,
        description="dropout on the weights of attention in training; with 0 their matrix is never made, which is several times as fast",
    ),
]


class TransformerConfig(EncoderConfig):
    dim: int = Field(default=128, ge=2, description="width of a frame; even, and a multiple of `heads`")
    layers: int = Field(default=3, ge=1, description="layers")
    heads: int = Field(default=4, ge=1, description="attention heads")
    widening: int = Field(default=4, ge=1, description="width of the feed-forward part as a multiple of `dim`")
    patch: int = Field(default=1, ge=1, description="steps a frame")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="dropout in training")
    attention_dropout: AttentionDropout = 0.0


@register("encoder", "transformer", version=2, config=TransformerConfig)
class Transformer(Encoder):
    """A pre-norm transformer over steps or patches."""

    masks = "latent"
    exportable = True

    def __init__(self, config: TransformerConfig, info: DataInfo) -> None:
        super().__init__()
        if config.dim % config.heads or config.dim % 2:
            raise ModelUnfit(
                "transformer", f"a width of {config.dim} does not fit {config.heads} heads", "Choose an even multiple."
            )
        self.dim, self.stride = config.dim, config.patch
        self.project = nn.Linear(len(info.channels), config.dim)
        self.join = nn.Conv1d(config.dim, config.dim, config.patch, stride=config.patch) if config.patch > 1 else None
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        keep: Bool[Tensor, "batch time"] | None = None,
    ) -> Frames:
        hidden = project_visible(self.project, x, lengths, keep)
        known = full_lengths(x) if lengths is None else lengths
        if self.join is not None:
            filled = functional.pad(hidden.transpose(1, 2), (0, self.stride - 1))  # up to the end of a last patch
            hidden = self.join(filled).transpose(1, 2)
            known = (known + self.stride - 1) // self.stride
        hidden = self.dropout(hidden + positions(hidden))
        # A sequence of no frames may look at its first padding frame, so that no softmax is over nothing.
        seen = None if lengths is None else valid_steps(known.clamp(min=1), hidden.shape[1])[:, None, None, :]
        for layer in self.layers:
            hidden = layer(hidden, seen)
        return Frames(self.norm(hidden), known)


class Layer(nn.Module):
    """Attention and feed-forward, each behind a layer norm and beside a skip."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.heads, self.attention_dropout = config.heads, config.attention_dropout
        self.first, self.second = nn.LayerNorm(config.dim), nn.LayerNorm(config.dim)
        self.queries_keys_values = nn.Linear(config.dim, 3 * config.dim)
        self.out = nn.Linear(config.dim, config.dim)
        self.widen = nn.Linear(config.dim, config.widening * config.dim)
        self.narrow = nn.Linear(config.widening * config.dim, config.dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, hidden: Float[Tensor, "batch frame dim"], seen: Bool[Tensor, "batch 1 1 frame"] | None
    ) -> Float[Tensor, "batch frame dim"]:
        mixed = attended(
            self.queries_keys_values(self.first(hidden)),
            heads=self.heads,
            seen=seen,
            dropout=self.attention_dropout if self.training else 0.0,
        )
        hidden = hidden + self.dropout(self.out(mixed))
        result: Tensor = hidden + self.dropout(self.narrow(functional.gelu(self.widen(self.second(hidden)))))
        return result


def attended(
    joined: Float[Tensor, "batch frame three_dim"],
    *,
    heads: int,
    seen: Bool[Tensor, "batch 1 1 frame"] | None,
    dropout: float,
) -> Float[Tensor, "batch frame dim"]:
    """Values mixed by attention, from queries, keys and values side by side; frames that are not seen are no keys."""
    batch, frames, three = joined.shape
    parts = joined.reshape(batch, frames, 3, heads, three // 3 // heads)
    queries, keys, values = parts.permute(2, 0, 3, 1, 4)
    mixed = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=seen, dropout_p=dropout)
    return mixed.transpose(1, 2).reshape(batch, frames, three // 3)


def positions(hidden: Float[Tensor, "batch frame dim"]) -> Float[Tensor, "frame dim"]:
    """Sines and cosines of geometrically growing wavelength."""
    frames, dim = hidden.shape[1:]
    rate = torch.exp(torch.arange(0, dim, 2, device=hidden.device, dtype=torch.float32) * (-math.log(10_000.0) / dim))
    angle = torch.arange(frames, device=hidden.device, dtype=torch.float32)[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], dim=-1).reshape(frames, dim).to(hidden.dtype)
