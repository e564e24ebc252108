"""The layers of ECAPA-TDNN as SpeechBrain has them, told where each clip of a padded batch ends.

Desplanques, Thienpondt and Demuynck, "ECAPA-TDNN", Interspeech 2020, with padding by reflection and a norm behind each activation, as in
speechbrain/lobes/models/ECAPA_TDNN.py (128b2f3). Modules are named so that each weight's published name follows from its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from tswork.config import Config, Many
from tswork.encoders.base import Frames, OwnPooling, valid_steps
from tswork.precision import wide

SMALL = 1e-12
"""The least variance before its root."""

Size = Annotated[int, Field(ge=1)]


class EcapaSizes(Config):
    """Sizes of all layers."""

    mels: int = Field(default=60, ge=1, description="mel bands")
    channels: Many[Size] = Field(
        default=(1024, 1024, 1024, 1024, 3072), min_length=3, description="width of each layer, the last one joins them"
    )
    kernels: Many[Size] = Field(default=(5, 3, 3, 3, 1), description="kernel of each layer, odd")
    dilations: Many[Size] = Field(default=(1, 2, 3, 4, 1), description="dilation of each layer")
    attention: int = Field(default=128, ge=1, description="width of the hidden layer of the attention")
    embedding: int = Field(default=256, ge=1, description="numbers that its own pooling gives")
    squeeze: int = Field(default=128, ge=1, description="width of the gates' hidden layer")
    groups: int = Field(default=8, ge=2, description="groups of channels within a block")

    @model_validator(mode="after")
    def _layers_agree(self) -> EcapaSizes:
        if not len(self.channels) == len(self.kernels) == len(self.dilations):
            raise ValueError("`channels`, `kernels` and `dilations` need one entry a layer each")
        if any(kernel % 2 == 0 for kernel in self.kernels):
            raise ValueError("kernels should be odd, so that a frame has as many neighbours on either side")
        if any(width % self.groups for width in self.channels[1:-1]):
            raise ValueError(f"the widths of the blocks should be multiples of `groups` ({self.groups})")
        return self


class Real:
    """Which frames of a batch are real, and where convolutions look beyond the ends of each clip."""

    def __init__(self, lengths: Int[Tensor, "batch"] | None, frames: int) -> None:
        self.lengths = lengths
        self.inside = None if lengths is None else valid_steps(lengths, frames)
        self._frames = frames
        self._reflected: dict[int, Tensor] = {}

    def around(self, x: Float[Tensor, "batch channel frame"], reach: int) -> Float[Tensor, "batch channel more"]:
        """Frames with so many more on either side, reflected at the ends of each clip."""
        if reach == 0:
            return x
        if self.lengths is None and reach < self._frames:
            return functional.pad(x, (reach, reach), mode="reflect")
        if reach not in self._reflected:
            lengths = torch.tensor([self._frames], device=x.device) if self.lengths is None else self.lengths
            self._reflected[reach] = reflected(lengths.clamp(min=1), self._frames, reach)
        index = self._reflected[reach][:, None].expand(len(x), x.shape[1], -1)
        return x.gather(2, index)

    def only(self, x: Float[Tensor, "batch channel frame"]) -> Float[Tensor, "batch channel frame"]:
        """Zeros in padding."""
        return x if self.inside is None else x.masked_fill(~self.inside[:, None], 0.0)

    def shares(self, x: Float[Tensor, "batch channel frame"]) -> Float[Tensor, "batch 1 frame"]:
        """What each frame counts in a mean over its clip."""
        if self.inside is None or self.lengths is None:
            return torch.full_like(x[:, :1], 1 / self._frames)
        return (self.inside / self.lengths.clamp(min=1)[:, None])[:, None].to(x.dtype)


def reflected(lengths: Int[Tensor, "batch"], frames: int, reach: int) -> Int[Tensor, "batch more"]:
    """The frame that stands at each place from `-reach` on: beyond the ends it is the mirror image, again and again."""
    period = (2 * (lengths - 1)).clamp(min=1)[:, None]
    place = torch.arange(-reach, frames + reach, device=lengths.device).remainder(period)
    return torch.where(place < lengths[:, None], place, period - place)


class Unit(nn.Module):
    """A convolution, its activation, and a norm behind it."""

    def __init__(self, given: int, made: int, kernel: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(given, made, kernel, dilation=dilation)
        self.norm = nn.BatchNorm1d(made)
        self.reach = dilation * (kernel - 1) // 2

    def forward(self, x: Float[Tensor, "batch given frame"], real: Real) -> Float[Tensor, "batch made frame"]:
        found: Tensor = functional.relu(self.conv(real.around(x, self.reach)))
        if not self.norm.training or real.inside is None:
            normed: Tensor = self.norm(found)
            return normed
        packed = found.transpose(1, 2)
        return (
            torch.zeros_like(packed)
            .masked_scatter(real.inside[..., None], self.norm(packed[real.inside]))
            .transpose(1, 2)
        )


class Groups(nn.Module):
    """Groups of channels of which each hands its result to the next (Res2Net)."""

    def __init__(self, width: int, kernel: int, dilation: int, groups: int) -> None:
        super().__init__()
        narrow = width // groups
        self.blocks = nn.ModuleList(Unit(narrow, narrow, kernel, dilation) for _ in range(groups - 1))

    def forward(self, x: Float[Tensor, "batch wide frame"], real: Real) -> Float[Tensor, "batch wide frame"]:
        first, *others = x.chunk(len(self.blocks) + 1, dim=1)
        results = [first]
        for group, unit in zip(others, self.blocks, strict=True):
            results.append(unit(group if len(results) == 1 else group + results[-1], real))
        return torch.cat(results, dim=1)


class Gate(nn.Module):
    """A gate on each channel that hears the whole clip (squeeze and excitation)."""

    def __init__(self, width: int, squeeze: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv1d(width, squeeze, 1), nn.Conv1d(squeeze, width, 1)

    def forward(self, x: Float[Tensor, "batch wide frame"], real: Real) -> Float[Tensor, "batch wide frame"]:
        mean = (real.only(x) * real.shares(x)).sum(dim=2, keepdim=True)
        gate: Tensor = torch.sigmoid(self.conv2(functional.relu(self.conv1(mean))))
        return x * gate


class Block(nn.Module):
    """A map, groups of convolutions, a map and a gate, beside a skip."""

    def __init__(self, given: int, made: int, kernel: int, dilation: int, config: EcapaSizes) -> None:
        super().__init__()
        self.tdnn1 = Unit(given, made)
        self.res2net_block = Groups(made, kernel, dilation, config.groups)
        self.tdnn2 = Unit(made, made)
        self.se_block = Gate(made, config.squeeze)
        self.shortcut = nn.Conv1d(given, made, 1) if given != made else None

    def forward(self, x: Float[Tensor, "batch given frame"], real: Real) -> Float[Tensor, "batch made frame"]:
        found: Tensor = self.se_block(self.tdnn2(self.res2net_block(self.tdnn1(x, real), real), real), real)
        return found + (x if self.shortcut is None else self.shortcut(x))


class Network(nn.Module):
    """From mel bands to frames."""

    def __init__(self, config: EcapaSizes) -> None:
        super().__init__()
        widths, kernels, dilations = config.channels, config.kernels, config.dilations
        first = Unit(config.mels, widths[0], kernels[0], dilations[0])
        places = range(1, len(widths) - 1)
        blocks = [Block(widths[at - 1], widths[at], kernels[at], dilations[at], config) for at in places]
        self.blocks = nn.ModuleList([first, *blocks])
        self.mfa = Unit(sum(widths[1:-1]), widths[-1], kernels[-1], dilations[-1])

    def forward(
        self, x: Float[Tensor, "batch mel frame"], lengths: Int[Tensor, "batch"] | None
    ) -> Float[Tensor, "batch wide frame"]:
        real, outputs = Real(lengths, x.shape[2]), []
        for block in self.blocks:
            x = block(x, real)
            outputs.append(x)
        return real.only(self.mfa(torch.cat(outputs[1:], dim=1), real))


class Attention(nn.Module):
    """What each number of each frame weighs, from the frame and the clip's mean and deviation."""

    def __init__(self, width: int, attention: int) -> None:
        super().__init__()
        self.tdnn, self.conv = Unit(3 * width, attention), nn.Conv1d(attention, width, 1)

    def forward(self, x: Float[Tensor, "batch wide frame"], real: Real) -> Float[Tensor, "batch twice_wide 1"]:
        whole = _moments(x, real.shares(x).expand_as(x))
        beside = whole.expand(-1, -1, x.shape[2])
        scores = self.conv(torch.tanh(self.tdnn(torch.cat([x, beside], dim=1), real)))
        if real.inside is not None:
            # A clip without any frame looks at its first one, so that no softmax is over nothing.
            first = torch.arange(x.shape[2], device=x.device) == 0
            scores = scores.masked_fill(~(real.inside | first)[:, None], -torch.inf)
        return _moments(x, wide(scores).softmax(dim=2))


class Pooling(OwnPooling):
    """Attentive statistics of the frames, and a map to the embedding."""

    def __init__(self, config: EcapaSizes) -> None:
        super().__init__()
        width, self.dim = config.channels[-1], config.embedding
        self.asp = Attention(width, config.attention)
        self.asp_bn = nn.BatchNorm1d(2 * width)
        self.fc = nn.Conv1d(2 * width, config.embedding, 1)

    def forward(self, frames: Frames) -> Float[Tensor, "batch dim"]:
        values, lengths = frames
        real = Real(lengths, values.shape[1])
        pooled: Tensor = self.fc(self.asp_bn(self.asp(values.transpose(1, 2), real).to(values.dtype)))[..., 0]
        return pooled.masked_fill(lengths[:, None] == 0, 0.0)


def _moments(
    x: Float[Tensor, "batch wide frame"], weights: Float[Tensor, "batch wide frame"]
) -> Float[Tensor, "batch twice_wide 1"]:
    """Mean and deviation under weights that add up to 1."""
    x = wide(x)
    mean = (weights * x).sum(dim=2, keepdim=True)
    variance = (weights * (x - mean).square()).sum(dim=2, keepdim=True)
    return torch.cat([mean, variance.clamp(min=SMALL).sqrt()], dim=1)


def published_names(module: nn.Module) -> Mapping[str, str]:
    """Our name of each weight, and SpeechBrain's: each convolution and each norm there is wrapped in a module of its own."""
    return dict(_names(module))


def _names(module: nn.Module) -> Iterator[tuple[str, str]]:
    for place, one in module.named_modules():
        inner = "conv" if isinstance(one, nn.Conv1d) else "norm" if isinstance(one, nn.BatchNorm1d) else None
        for name in one.state_dict() if inner else ():
            yield f"{place}.{name}", f"{place}.{inner}.{name}"
