"""A small ECAPA-TDNN on log-mel frames, trained from scratch: an encoder of speech that needs no download.

Desplanques, Thienpondt and Demuynck, "ECAPA-TDNN: Emphasized Channel Attention, Propagation and Aggregation in TDNN Based Speaker
Verification", Interspeech 2020. A convolution of kernel 5, then blocks of dilated convolutions in which groups of channels hand
their result to the next group (Res2Net), with a gate on each channel that hears the whole clip (squeeze and excitation); each block
adds to the sum of all before it; the outputs of all blocks, side by side, make a frame. Its own pooling (`pooling: own`) is
attentive statistics (`attentive_statistics`) and a linear map to `embedding` numbers; any other pooling works on its frames too.

| published | here |
| --- | --- |
| 512 or 1024 channels, 1536 wide frames, groups of 8 | 128, 256, groups of 4 |
| batch norm | layer norm over the channels of each frame: neither padding nor other clips take part, in training either |
| norms behind the activations, an activation at the end | norms before them, so that none is over zeros alone; a norm at the end |
| clips of one length | padding is zeroed before every convolution and left out of gates and pooling |
"""

from __future__ import annotations

from typing import Annotated

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tswork.config import Configured, Many, Uses, configure
from tswork.data.collection import DataInfo
from tswork.encoders.attentive_statistics import AttentiveStatistics
from tswork.encoders.base import Encoder, Frames, full_lengths, valid_steps
from tswork.encoders.with_front_end import EncoderConfig
from tswork.errors import ModelUnfit
from tswork.registry import register
from tswork.wording import counted


class EcapaSmallConfig(EncoderConfig):
    front_end: Annotated[Configured, Uses("front_end")] = Field(
        default_factory=lambda: configure("front_end", "log_mel"),
        description="what the encoder reads in place of its input; `none`: the channels as they are",
    )
    dim: int = Field(default=256, ge=1, description="width of a frame")
    channels: int = Field(default=128, ge=2, description="width of the blocks; a multiple of `groups`")
    groups: int = Field(default=4, ge=2, description="groups of channels within a block, one computed after another")
    dilations: Many[Annotated[int, Field(ge=1)]] = Field(
        default=(2, 3, 4), min_length=1, description="dilation of each block's convolutions of kernel 3"
    )
    squeeze: int = Field(default=32, ge=1, description="width of the gates' hidden layer")
    attention: int = Field(default=64, ge=1, description="width of the hidden layer of its own pooling's attention")
    embedding: int = Field(default=192, ge=1, description="numbers that its own pooling gives")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="dropout on the frames in training")


@register("encoder", "ecapa_small", version=1, config=EcapaSmallConfig)
class EcapaSmall(Encoder):
    """A small ECAPA-TDNN with attentive statistics as its own pooling."""

    masks = "input"
    exportable = True

    def __init__(self, config: EcapaSmallConfig, info: DataInfo) -> None:
        super().__init__()
        wide = config.channels
        if wide % config.groups:
            reason = f"{counted(wide, 'channel does', 'channels do')} not fall into {counted(config.groups, 'group')} of one size"
            raise ModelUnfit("ecapa_small", reason, "Choose a multiple of `groups`.")
        self.dim = config.dim
        self.first = nn.Conv1d(len(info.channels), wide, 5, padding=2)
        self.norm = nn.LayerNorm(wide)
        self.blocks = nn.ModuleList(Block(config, dilation) for dilation in config.dilations)
        self.join = nn.Linear(wide * len(config.dilations), config.dim)
        self.last_norm = nn.LayerNorm(config.dim)
        self.dropout = nn.Dropout(config.dropout)
        self.attentive = AttentiveStatistics(config.dim, attention=config.attention, out=config.embedding)

    @property
    def own_pooling(self) -> AttentiveStatistics:
        return self.attentive

    @property
    def frame_dropout(self) -> nn.Dropout:
        return self.dropout

    def forward(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        keep: Bool[Tensor, "batch time"] | None = None,
    ) -> Frames:
        seen = ~torch.isnan(x)
        if keep is not None:
            seen = seen & keep[..., None]
        known = full_lengths(x) if lengths is None else lengths
        inside = None if lengths is None else valid_steps(lengths, x.shape[1])[..., None]
        visible = only(torch.where(seen, x, 0.0), inside)
        total = functional.relu(self.norm(convolved(self.first, visible)))
        outputs = []
        for block in self.blocks:
            outputs.append(block(total, inside, known))
            total = total + outputs[-1]
        frames = self.last_norm(self.join(torch.cat(outputs, dim=2)))
        return Frames(self.dropout(frames), known)


class Block(nn.Module):
    """A map, convolutions group after group, a map, and a gate on each channel."""

    def __init__(self, config: EcapaSmallConfig, dilation: int) -> None:
        super().__init__()
        wide, self.groups = config.channels, config.groups
        narrow = wide // config.groups
        self.before, self.after = nn.Linear(wide, wide), nn.Linear(wide, wide)
        self.norms = nn.ModuleList(nn.LayerNorm(wide) for _ in range(2))
        self.convolutions = nn.ModuleList(
            nn.Conv1d(narrow, narrow, 3, padding=dilation, dilation=dilation) for _ in range(config.groups - 1)
        )
        self.inner = nn.ModuleList(nn.LayerNorm(narrow) for _ in range(config.groups - 1))
        self.squeeze, self.excite = nn.Linear(wide, config.squeeze), nn.Linear(config.squeeze, wide)

    def forward(
        self,
        hidden: Float[Tensor, "batch frame wide"],
        inside: Bool[Tensor, "batch frame 1"] | None,
        lengths: Int[Tensor, "batch"],
    ) -> Float[Tensor, "batch frame wide"]:
        groups = only(functional.relu(self.norms[0](self.before(hidden))), inside).chunk(self.groups, dim=2)
        results = [groups[0]]
        for group, convolution, norm in zip(groups[1:], self.convolutions, self.inner, strict=True):
            given = group if len(results) == 1 else group + results[-1]
            results.append(only(functional.relu(norm(convolved(convolution, given))), inside))
        found = only(functional.relu(self.norms[1](self.after(torch.cat(results, dim=2)))), inside)
        mean = found.sum(dim=1) / lengths.clamp(min=1)[:, None]
        gate = torch.sigmoid(self.excite(functional.relu(self.squeeze(mean))))
        result: Tensor = found * gate[:, None]
        return result


def only(
    frames: Float[Tensor, "batch frame wide"], inside: Bool[Tensor, "batch frame 1"] | None
) -> Float[Tensor, "batch frame wide"]:
    """Frames, all finite, with zeros in padding (None: there is none).

    A product is a tenth of the work of `masked_fill` on a processor, whose mask is spread over the width element by element.
    """
    return frames if inside is None else frames * inside


def convolved(convolution: nn.Module, frames: Float[Tensor, "batch frame wide"]) -> Float[Tensor, "batch frame wider"]:
    """A convolution along the frames."""
    result: Tensor = convolution(frames.transpose(1, 2)).transpose(1, 2)
    return result
