"""Trend and seasonal features over dilated convolutions: the encoder of CoST.

Paper: Woo et al., "CoST: Contrastive Learning of Disentangled Seasonal-Trend Representations for Time Series Forecasting",
ICLR 2022, section 3. Reference code: github.com/salesforce/CoST (BSD-3) at 7dfd571, read for its sizes, written anew.

On the frames of TS2Vec's dilated trunk stand two heads, each half as wide; a frame is both side by side. The trend head is the mean
of causal convolutions of growing kernels. The seasonal head transforms the frames along time, maps every frequency by complex
weights of its own, and transforms back; in training it has dropout.

The seasonal head has as many weights as a window of `length` steps has frequencies, so it belongs to windows of that length.
Here a shorter sequence is the end of such a window whose first steps are missing, as forecasting protocols fill windows that
begin before their series; a longer one is refused.

Departures
| published | here |
| --- | --- |
| padding, and sequences of another length, are not defined | a shorter sequence is the end of a window, see above |
| complex weights, fast transforms | pairs of real weights that start alike, transforms as matrices (`fourier`) |

Exact fast forms. Going to frequencies, mapping each and coming back is one circular convolution with the kernel that the inverse
transform makes of the weights, so the last step is one linear map of all frames (`SeasonalHead.last`); the trend at a step needs as
many frames as the longest kernel has taps. `last`, `last_of_windows` and the trend loss in training compute no more than these, and
the trunk's frames of many windows come from what windows share (`dilated_ends`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tswork.config import Many
from tswork.data.collection import DataInfo
from tswork.encoders.base import Encoder, Ends, Frames, full_lengths
from tswork.encoders.causal_mixture import KERNELS
from tswork.encoders.dilated_conv import DilatedConv, DilatedConvConfig
from tswork.encoders.dilated_ends import frames_at_end, frames_at_end_of_windows, last_block_and_sum
from tswork.encoders.fourier import complex_rows, waves, waves_back
from tswork.encoders.latent import project_series
from tswork.encoders.mean_of_convolutions import MeanOfConvolutions
from tswork.encoders.with_front_end import EncoderConfig
from tswork.errors import ModelUnfit
from tswork.precision import wide
from tswork.registry import register
from tswork.wording import counted


class TrendSeasonalConfig(EncoderConfig):
    dim: int = Field(default=320, ge=2, multiple_of=2, description="width of a frame, half trend and half seasonal")
    hidden: int = Field(default=64, ge=1, description="width of the trunk's hidden blocks")
    depth: int = Field(default=10, ge=1, le=20, description="hidden blocks of the trunk, as in `dilated_conv`")
    kernels: Many[Annotated[int, Field(ge=1)]] = Field(
        default=KERNELS, min_length=1, description="taps of each causal convolution of the trend head, in steps"
    )
    length: int = Field(default=201, ge=1, description="steps of the windows that the seasonal head belongs to")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="dropout on the seasonal half in training")


class Parts(NamedTuple):
    """What CoST's losses look at."""

    trend: Float[Tensor, "batch half"]
    """The trend feature at one step of each sequence."""
    seasonal: Float[Tensor, "batch window half"]
    """The seasonal features of all steps of the windows that end with each sequence."""


@register("encoder", "trend_seasonal", version=1, config=TrendSeasonalConfig)
class TrendSeasonal(Encoder):
    """Dilated convolutions with a head of causal convolutions beside one in the frequency domain (CoST)."""

    masks = "latent"
    why_not_exportable = "its seasonal head belongs to windows of one length"

    def __init__(self, config: TrendSeasonalConfig, info: DataInfo) -> None:
        super().__init__()
        self.dim, self.half_dim = config.dim, config.dim // 2
        self.length = self.max_length = config.length
        self.taps = max(config.kernels)
        trunk = DilatedConvConfig(dim=config.dim, hidden=config.hidden, depth=config.depth, dropout=0.0)
        self.trunk = DilatedConv(trunk, info)
        self.trend = MeanOfConvolutions(config.dim, self.half_dim, kernels=config.kernels)
        self.seasonal = SeasonalHead(config.dim, self.half_dim, length=config.length)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        keep: Bool[Tensor, "batch time"] | None = None,
    ) -> Frames:
        frames = self._frames_of_windows(x, lengths, keep)
        both = torch.cat([self.trend(frames), self.dropout(self.seasonal(frames))], dim=2)
        known = full_lengths(x) if lengths is None else lengths
        if x.shape[1] == self.length and lengths is None:
            return Frames(both, known)
        steps = torch.arange(x.shape[1], device=x.device) + (self.length - known)[:, None]
        index = steps.clamp(max=self.length - 1)[..., None].expand(-1, -1, self.dim)
        return Frames(both.gather(1, index), known)

    def parts(
        self,
        x: Float[Tensor, "batch time channel"],
        at: Int[Tensor, "batch"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        keep: Bool[Tensor, "batch time"] | None = None,
    ) -> Parts:
        """The trend features at one step of each sequence alone, and the seasonal ones of all steps."""
        frames = self._frames_of_windows(x, lengths, keep)
        known = full_lengths(x) if lengths is None else lengths
        before = torch.arange(1 - self.taps, 1, device=x.device)
        steps = (at + self.length - known)[:, None] + before
        seen = frames.gather(1, steps.clamp(min=0)[..., None].expand(-1, -1, self.dim))
        seen = torch.where((steps >= 0)[..., None], seen, 0.0)
        return Parts(self._last_trend()(seen), self.dropout(self.seasonal(frames)))

    def last(
        self, x: Float[Tensor, "batch time channel"], lengths: Int[Tensor, "batch"] | None = None
    ) -> Float[Tensor, "batch dim"]:
        if self.training:
            return super().last(x, lengths)  # dropout belongs to whole sequences
        with torch.autocast(x.device.type, enabled=False):
            return self._last_step()(self._frames_of_windows(x, lengths, None))

    def last_of_windows(
        self, series: Float[Tensor, "time channel"], ends: Sequence[Ends], *, window: int
    ) -> Float[Tensor, "some dim"]:
        if self.training:
            return super().last_of_windows(series, ends, window=window)
        self._check_length(window)
        blocks = self.trunk.stack
        features = []
        with torch.autocast(series.device.type, enabled=False):
            step, finish = self._last_step(), None
            if blocks[-1].dilation >= self.length and sum(some.number for some in ends) > self.dim:
                finish = last_block_and_sum(blocks.pop(), *step)
            latent = project_series(self.trunk.project, series, before=self.length - 1)
            for some in ends:
                if window == self.length:
                    hidden = frames_at_end_of_windows(blocks, latent, some, window=window, count=window)
                else:
                    windows = (
                        some.of(latent.unfold(0, self.length, 1))
                        .permute(2, 0, 1)
                        .clone(memory_format=torch.contiguous_format)
                    )
                    windows[: self.length - window] = 0
                    hidden = frames_at_end(blocks, windows, self.length)
                features.append(step(hidden.transpose(0, 1)) if finish is None else finish(hidden))
        return torch.cat(features)

    def _last_step(self) -> LastStep:
        """The last frame: both heads as one sum over the trunk's frames."""
        (trend, trend_bias), (seasonal, seasonal_bias) = self._last_trend(), self.seasonal.last()
        trend = functional.pad(trend, (0, 0, 0, 0, self.length - len(trend), 0))  # cut where kernels are longer
        return LastStep(torch.cat([trend, seasonal], dim=2), torch.cat([trend_bias, seasonal_bias]))

    def _last_trend(self) -> LastStep:
        return LastStep(self.trend.kernel().flip(0), self.trend.bias())

    def _frames_of_windows(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None,
        keep: Bool[Tensor, "batch time"] | None,
    ) -> Float[Tensor, "batch window dim"]:
        """The trunk's frames of windows of the encoder's length that end with each sequence; steps before it are missing."""
        time = x.shape[1]
        self._check_length(time)
        if time < self.length or lengths is not None:
            known = full_lengths(x) if lengths is None else lengths
            steps = torch.arange(self.length, device=x.device) - (self.length - known)[:, None]
            index, visible = steps.clamp(min=0), steps >= 0
            x = x.gather(1, index[..., None].expand(-1, -1, x.shape[2]))
            keep = visible if keep is None else visible & keep.gather(1, index)
        frames: Frames = self.trunk(x, None, keep=keep)
        return frames.values

    def _check_length(self, time: int) -> None:
        if time > self.length:
            raise ModelUnfit(
                "trend_seasonal",
                f"its seasonal head belongs to windows of {counted(self.length, 'step')}, and {time} were given",
                "Set its `length:` to the longest window of training and evaluation.",
            )


class SeasonalHead(nn.Module):
    """Frames to frequencies, a complex linear map of each, and back to frames."""

    def __init__(self, wide_in: int, wide_out: int, *, length: int) -> None:
        super().__init__()
        self.length = length
        frequencies, bound = length // 2 + 1, (wide_in * wide_out) ** -0.5
        self.weight = nn.Parameter(torch.empty(frequencies, 2, wide_in, wide_out).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(frequencies, 2, wide_out).uniform_(-bound, bound))

    def forward(self, frames: Float[Tensor, "batch window wide_in"]) -> Float[Tensor, "batch window wide_out"]:
        """In float32 or wider."""
        with torch.autocast(frames.device.type, enabled=False):
            steps = wide(frames).transpose(0, 1)
            weight, bias = self.weight.to(steps.dtype), self.bias.to(steps.dtype)
            (count, _, wide_in, wide_out), batch = weight.shape, len(frames)
            spectrum = waves(self.length, self.length, like=steps) @ steps.flatten(1)
            rows = complex_rows(spectrum.view(count, 2, batch, wide_in))
            mapped = torch.bmm(rows, weight.flatten(1, 2)).view(count, 2, batch, wide_out) + bias[:, :, None]
            back = waves_back(self.length, 0, self.length, like=steps).T @ mapped.view(2 * count, -1)
            return back.view(self.length, batch, wide_out).transpose(0, 1)

    def last(self) -> LastStep:
        """The last step alone: the circular convolution with the kernel that the transform back makes of the weights."""
        back = waves_back(self.length, 0, self.length, like=self.weight).T
        kernel = (back @ self.weight.flatten(0, 1).flatten(1)).view(self.length, *self.weight.shape[2:])
        return LastStep(kernel.flip(0), back[-1] @ self.bias.flatten(0, 1))


class LastStep(NamedTuple):
    """A linear map from the last frames of a window, the newest last, to one vector."""

    weight: Float[Tensor, "step wide_in wide_out"]
    bias: Float[Tensor, "wide_out"]

    def __call__(self, frames: Float[Tensor, "batch time wide_in"]) -> Float[Tensor, "batch wide_out"]:
        """What it makes of the last frames; before the first there are zeros."""
        steps = min(frames.shape[1], len(self.weight))
        return torch.addmm(self.bias, frames[:, -steps:].flatten(1), self.weight[-steps:].flatten(0, 1))
