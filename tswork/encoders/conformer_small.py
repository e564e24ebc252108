"""A small conformer on log-mel frames, trained from scratch: attention over the whole clip beside convolutions close by.

Gulati et al., "Conformer: Convolution-augmented Transformer for Speech Recognition", Interspeech 2020. Convolutions of stride 2 thin
out the frames, then every layer is half a feed-forward part, attention, a depthwise convolution behind a gate, the other half, and a
layer norm. Padding is zeroed before every convolution and masked as keys; `n` frames become `ceil(n / subsampling)`.

| published | here |
| --- | --- |
| 256 to 512 wide, 16 or 17 layers, depthwise kernel 31 | 144, 4 layers, kernel 15 |
| relative positions | sinusoidal ones, added once, so any length is taken |
| batch norm behind the depthwise convolution | layer norm over the channels of each frame: padding takes no part, in training either |
| convolutions over time and frequency thin out the frames | a map of each frame, then convolutions over time |
"""

from __future__ import annotations

from typing import Annotated, Literal

from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tswork.config import Configured, Uses, configure
from tswork.data.collection import DataInfo
from tswork.encoders.base import Encoder, Frames, full_lengths, valid_steps
from tswork.encoders.latent import project_visible
from tswork.encoders.transformer import AttentionDropout, attended, positions
from tswork.encoders.with_front_end import EncoderConfig
from tswork.errors import ModelUnfit
from tswork.registry import register
from tswork.wording import counted


class ConformerSmallConfig(EncoderConfig):
    front_end: Annotated[Configured, Uses("front_end")] = Field(
        default_factory=lambda: configure("front_end", "log_mel"),
        description="what the encoder reads in place of its input; `none`: the channels as they are",
    )
    dim: int = Field(default=144, ge=2, description="width of a frame; even, and a multiple of `heads`")
    layers: int = Field(default=4, ge=1, description="layers")
    heads: int = Field(default=4, ge=1, description="attention heads")
    widening: int = Field(default=4, ge=1, description="width of the feed-forward parts as a multiple of `dim`")
    kernel: int = Field(default=15, ge=1, description="taps of the depthwise convolutions; odd")
    subsampling: Literal[1, 2, 4, 8] = Field(default=4, description="frames of the front end for one of the encoder")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="dropout in training")
    attention_dropout: AttentionDropout = 0.0


@register("encoder", "conformer_small", version=2, config=ConformerSmallConfig)
class ConformerSmall(Encoder):
    """A small conformer: attention and convolution in every layer."""

    masks = "latent"
    exportable = True

    def __init__(self, config: ConformerSmallConfig, info: DataInfo) -> None:
        super().__init__()
        if config.dim % config.heads or config.dim % 2:
            reason = f"a width of {config.dim} does not fit {config.heads} heads"
            raise ModelUnfit("conformer_small", reason, "Choose an even multiple.")
        if config.kernel % 2 == 0:
            reason = f"a convolution of {counted(config.kernel, 'tap')} has no middle"
            raise ModelUnfit("conformer_small", reason, "Choose an odd `kernel`.")
        self.dim, self.stride = config.dim, config.subsampling
        self.project = nn.Linear(len(info.channels), config.dim)
        self.thinning = nn.ModuleList(
            nn.Conv1d(config.dim, config.dim, 3, stride=2, padding=1)
            for _ in range(config.subsampling.bit_length() - 1)
        )
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
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
        for convolution in self.thinning:
            hidden = functional.silu(convolution(hidden.transpose(1, 2)).transpose(1, 2))
            known = (known + 1) // 2
            if lengths is not None:
                hidden = hidden * valid_steps(known, hidden.shape[1])[..., None]
        hidden = self.dropout(hidden + positions(hidden))
        # A sequence of no frames may look at its first padding frame, so that no softmax is over nothing.
        inside = None if lengths is None else valid_steps(known.clamp(min=1), hidden.shape[1])
        for layer in self.layers:
            hidden = layer(hidden, inside)
        return Frames(hidden, known)


class Layer(nn.Module):
    """Half a feed-forward part, attention, convolution, the other half, each beside a skip; a norm at the end."""

    def __init__(self, config: ConformerSmallConfig) -> None:
        super().__init__()
        self.heads, self.attention_dropout = config.heads, config.attention_dropout
        self.first, self.second = FeedForward(config), FeedForward(config)
        self.before, self.after = nn.LayerNorm(config.dim), nn.LayerNorm(config.dim)
        self.queries_keys_values = nn.Linear(config.dim, 3 * config.dim)
        self.out = nn.Linear(config.dim, config.dim)
        self.convolution = Convolution(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, hidden: Float[Tensor, "batch frame dim"], inside: Bool[Tensor, "batch frame"] | None
    ) -> Float[Tensor, "batch frame dim"]:
        hidden = hidden + 0.5 * self.first(hidden)
        mixed = attended(
            self.queries_keys_values(self.before(hidden)),
            heads=self.heads,
            seen=None if inside is None else inside[:, None, None, :],
            dropout=self.attention_dropout if self.training else 0.0,
        )
        hidden = hidden + self.dropout(self.out(mixed))
        hidden = hidden + self.convolution(hidden, inside)
        result: Tensor = self.after(hidden + 0.5 * self.second(hidden))
        return result


class FeedForward(nn.Module):
    """A norm and two maps with a SiLU between them."""

    def __init__(self, config: ConformerSmallConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.dim)
        self.widen = nn.Linear(config.dim, config.widening * config.dim)
        self.narrow = nn.Linear(config.widening * config.dim, config.dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden: Float[Tensor, "batch frame dim"]) -> Float[Tensor, "batch frame dim"]:
        result: Tensor = self.dropout(self.narrow(self.dropout(functional.silu(self.widen(self.norm(hidden))))))
        return result


class Convolution(nn.Module):
    """A gated map, a depthwise convolution in which padding is zero, and a map."""

    def __init__(self, config: ConformerSmallConfig) -> None:
        super().__init__()
        dim = config.dim
        self.norm, self.inner = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.gate, self.out = nn.Linear(dim, 2 * dim), nn.Linear(dim, dim)
        self.depthwise = nn.Conv1d(dim, dim, config.kernel, padding=config.kernel // 2, groups=dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, hidden: Float[Tensor, "batch frame dim"], inside: Bool[Tensor, "batch frame"] | None
    ) -> Float[Tensor, "batch frame dim"]:
        gated = functional.glu(self.gate(self.norm(hidden)), dim=2)
        if inside is not None:
            gated = gated * inside[..., None]
        mixed = self.inner(self.depthwise(gated.transpose(1, 2)).transpose(1, 2))
        result: Tensor = self.dropout(self.out(functional.silu(mixed)))
        return result
