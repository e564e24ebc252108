"""LSTM and GRU over projected steps.

Hochreiter & Schmidhuber, "Long Short-Term Memory", Neural Computation 1997; Cho et al., "Learning Phrase Representations using
RNN Encoder-Decoder", EMNLP 2014. Forward layers read from the left, so padding at the end cannot reach a real frame; backward
layers read every sequence reversed inside its own length. Hidden and missing steps are zero vectors after the projection.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn

from tswork.data.collection import DataInfo
from tswork.encoders.base import Encoder, Frames, full_lengths
from tswork.encoders.latent import project_visible
from tswork.encoders.with_front_end import EncoderConfig
from tswork.registry import register


class RecurrentConfig(EncoderConfig):
    cell: Literal["lstm", "gru"] = Field(default="lstm", description="kind of recurrent cell")
    dim: int = Field(default=128, ge=2, description="width of a frame")
    layers: int = Field(default=2, ge=1, description="layers")
    bidirectional: bool = Field(default=False, description="read both ways; each way has half of `dim`")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="dropout between layers and on the frames in training")


@register("encoder", "recurrent", version=1, config=RecurrentConfig)
class Recurrent(Encoder):
    """LSTM or GRU, one way or both ways."""

    masks = "latent"
    why_not_exportable = "computes step after step, and an exported program would hold those of one length"

    def __init__(self, config: RecurrentConfig, info: DataInfo) -> None:
        super().__init__()
        ways = 2 if config.bidirectional else 1
        width = config.dim // ways
        self.dim = width * ways
        self.latent_dim = width
        self.bidirectional = config.bidirectional
        self.project = nn.Linear(len(info.channels), width)
        cell = nn.LSTM if config.cell == "lstm" else nn.GRU
        wide = [width] + [self.dim] * (config.layers - 1)
        self.forwards = nn.ModuleList(cell(size, width, batch_first=True) for size in wide)
        self.backwards = (
            nn.ModuleList(cell(size, width, batch_first=True) for size in wide) if config.bidirectional else None
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        keep: Bool[Tensor, "batch time *latent"] | None = None,
    ) -> Frames:
        known = full_lengths(x) if lengths is None else lengths
        hidden = project_visible(self.project, x, lengths, keep)
        mirror = _mirrored(known, x.shape[1]) if self.bidirectional else None
        for index, layer in enumerate(self.forwards):
            ahead = layer(hidden)[0]
            if self.backwards is None or mirror is None:
                hidden = self.dropout(ahead)
                continue
            back = self.backwards[index](_reordered(hidden, mirror))[0]
            hidden = self.dropout(torch.cat([ahead, _reordered(back, mirror)], dim=-1))
        return Frames(hidden, known)


def _mirrored(lengths: Int[Tensor, "batch"], time: int) -> Int[Tensor, "batch time"]:
    """Positions that reverse every sequence inside its length and leave padding where it is; its own inverse."""
    steps = torch.arange(time, device=lengths.device)
    return torch.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)


def _reordered(
    values: Float[Tensor, "batch time dim"], index: Int[Tensor, "batch time"]
) -> Float[Tensor, "batch time dim"]:
    return values.gather(1, index[..., None].expand_as(values))
