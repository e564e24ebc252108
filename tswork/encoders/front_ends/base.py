"""The interface of front ends: what an encoder reads in place of its input, computed in batch on its device.

A front end turns samples into frames of channels, and the encoder behind it sees these frames alone. One rule counts frames:
`n` samples give `ceil(n / stride)`, frame `t` is about the samples `t * stride` to `(t + 1) * stride`, and the last frame may
be about fewer. So lengths of encoders that shorten time, one behind another, are those of one with the product of their strides.

What an encoder must not see, it does not hear of: padding, missing samples and hidden ones (`keep=False`) are read as 0, take no
part in any mean, and a frame of whose own samples none was seen is missing (NaN), which an encoder treats as a hidden step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from tswork.data.collection import DataInfo
from tswork.encoders.base import Frames, valid_steps


class InTraining(nn.modules.dropout._DropoutNd):
    """What a front end draws in training alone. A kind of dropout, so that what turns dropouts off or looks for them finds it."""

    def __init__(self) -> None:
        super().__init__(p=0.5)  # which is looked at for being above 0, and not used


class FrontEnd(nn.Module, ABC):
    """Base of all front ends; built with its config and the data's `DataInfo`."""

    stride: int = 1
    """Samples a frame."""
    channels: tuple[str, ...]
    """Names of the channels of a frame."""
    exportable: bool = True
    why_not_exportable: str = "does not declare itself exportable"

    @abstractmethod
    def forward(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        keep: Bool[Tensor, "batch time"] | None = None,
    ) -> Frames:
        """What the encoder reads: zeros in padding, NaN in frames that saw nothing. x is not modified."""

    def info(self, info: DataInfo) -> DataInfo:
        """What the encoder behind it is told of its data."""
        rate = None if info.rate is None else info.rate / self.stride
        longest = frames_of(info.max_length, self.stride)
        return replace(info, channels=self.channels, targets=(), max_length=longest, rate=rate)


def frames_of(samples: int, stride: int) -> int:
    """Frames of so many samples."""
    return -(-samples // stride)


def seen_samples(
    x: Float[Tensor, "batch time channel"],
    lengths: Int[Tensor, "batch"] | None,
    keep: Bool[Tensor, "batch time"] | None,
) -> Bool[Tensor, "batch time channel"]:
    """Which samples an encoder may see: those that are there, not missing and not hidden."""
    seen = ~torch.isnan(x)
    if lengths is not None:
        seen = seen & valid_steps(lengths, x.shape[1])[..., None]
    return seen if keep is None else seen & keep[..., None]


def seen_frames(seen: Bool[Tensor, "batch time"], stride: int) -> Bool[Tensor, "batch frame"]:
    """Whether one of a frame's own samples was seen."""
    filled = functional.pad(seen.to(torch.uint8), (0, -seen.shape[1] % stride))
    found: Tensor = filled.unflatten(1, (-1, stride)).amax(dim=2) > 0
    return found


def normalised(
    values: Float[Tensor, "batch frame channel"],
    seen: Bool[Tensor, "batch frame #channel"],
    *,
    floor: float,
    over: tuple[int, ...] = (1,),
) -> Float[Tensor, "batch frame channel"]:
    """Mean 0 and variance 1 of each sequence over what was seen of it (population variance, `floor` added); the rest is 0.

    Of values in float32 or wider, all finite.
    """
    weights = seen.to(values.dtype)
    bands = values.shape[2] // seen.shape[2] if 2 in over else 1
    count = (weights.sum(dim=over, keepdim=True) * bands).clamp(min=1)
    centred = values * weights
    for _ in range(2):  # the second time takes away what rounding left of a mean that is large beside the deviation
        mean = centred.sum(dim=over, keepdim=True) / count
        centred = torch.addcmul(centred, weights, mean, value=-1)
    variance = torch.linalg.vector_norm(centred, dim=over, keepdim=True).square() / count
    return centred * torch.rsqrt(variance + floor)


def marked(
    values: Float[Tensor, "batch frame channel"],
    lengths: Int[Tensor, "batch"] | None,
    seen: Bool[Tensor, "batch frame"],
) -> Float[Tensor, "batch frame channel"]:
    """Frames with NaN in those that saw nothing and 0 in padding."""
    instead = values.new_full((), torch.nan)
    if lengths is not None:
        inside = valid_steps(lengths, values.shape[1])
        seen, instead = seen & inside, torch.where(inside, instead, 0.0)[..., None]
    return torch.where(seen[..., None], values, instead)
