"""Energies of mel bands: how a stretch of sound is cut into frames, and what is computed of each.

A frame is a Hann window around the middle of `hop` samples, each hop following the one before, so `n` samples give `ceil(n / hop)`
frames. What a window reaches beyond its clip, on either side, is 0, in a batch as alone: padding cannot leak in. The power
spectrum (of a window filled up with zeros to a power of two) is summed in triangles that are even on O'Shaughnessy's mel scale
`2595 log10(1 + f / 700)`, of height 1 each, and `log(max(energy, floor))` is taken.

torchaudio's `MelSpectrogram` gives these energies too, where it is handed the same padded stretches (`center=False`); so does
librosa (`htk=True, norm=None`). The transform here is the one below both (`torch.stft`) and asks for neither package. `top_db` is
that of `librosa.power_to_db`, by clip.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from tswork.config import ADDED_LATER, Config
from tswork.encoders.front_ends.vocal_tract import read_at
from tswork.wording import counted, worded

DECIBEL = math.log(10) / 10
"""As a difference of natural logarithms of energies."""
PORTION = 512
"""Frames that a CPU transforms at once."""


class MelConfig(Config):
    mels: int = Field(default=80, ge=1, le=512, description="bands")
    window: float = Field(default=0.025, gt=0, description="length of the window a frame is computed from, in `unit`")
    hop: float = Field(default=0.01, gt=0, description="from one frame to the next, in `unit`; at most the window")
    unit: Literal["seconds", "samples"] = Field(
        default="seconds", description="of `window` and `hop`; seconds are rounded to whole samples"
    )
    low: float = Field(default=20.0, ge=0, description="lower edge of the lowest band, in Hz")
    high: float | None = Field(
        default=None, gt=0, description="upper edge of the highest band, in Hz; none: half of the rate"
    )
    floor: float = Field(
        default=1e-6, gt=0, description="energies below it count as this much; samples lie between -1 and 1"
    )
    top_db: float | None = Field(
        default=None,
        gt=0,
        description="decibels below the loudest band of a clip, under which all count as much; none: down to `floor`",
        json_schema_extra=ADDED_LATER,
    )
    normalise: Literal["utterance", "level", "none"] = Field(
        default="utterance",
        description="to mean 0 and variance 1 over a clip's own frames: each band, all bands together, or not at all",
    )

    @model_validator(mode="after")
    def _whole_samples(self) -> MelConfig:
        if self.unit == "samples" and not (self.window.is_integer() and self.hop.is_integer()):
            raise ValueError(f"`window` ({self.window:g}) and `hop` ({self.hop:g}) should be whole numbers of samples")
        if self.hop > self.window:
            raise ValueError(
                f"`hop` ({self.hop:g}) is longer than `window` ({self.window:g}), so samples would be left out"
            )
        if self.high is not None and self.low >= self.high:
            raise ValueError(f"`low` ({self.low:g} Hz) should be below `high` ({self.high:g} Hz)")
        return self

    def samples(self, length: float, rate: float) -> int:
        """A length of these options in samples."""
        return round(length if self.unit == "samples" else length * rate)


def rate_faults(config: MelConfig, rate: float) -> list[str]:
    """Why sound of this rate cannot be turned into these bands; nothing: it can."""
    window, hop, high = config.samples(config.window, rate), config.samples(config.hop, rate), config.high or rate / 2
    faults = []
    if hop < 1:
        faults.append(f"a hop of {config.hop:g} s is less than one of {rate:g} samples a second")
    if high > rate / 2:
        faults.append(f"`high` ({high:g} Hz) is above half of the {rate:g} samples a second")
    if config.low >= high:
        faults.append(f"`low` ({config.low:g} Hz) is not below {high:g} Hz")
    if faults:
        return faults
    empty = int((triangles(config, rate, transform_size(window)).sum(dim=0) == 0).sum())
    if empty:
        faults.append(
            f"{empty} of {counted(config.mels, 'band')} {worded(empty, 'is', 'are')} narrower than what a window"
            f" of {counted(window, 'sample')} tells apart, and would be empty"
        )
    return faults


def transform_size(window: int) -> int:
    """Samples of the Fourier transform: the next power of two."""
    return int(1 << (window - 1).bit_length())


def triangles(config: MelConfig, rate: float, size: int) -> Float[Tensor, "frequency mel"]:
    """The weight of each frequency of a transform of `size` samples in each band."""
    frequencies = torch.arange(size // 2 + 1, dtype=torch.float64) * (rate / size)
    ends = torch.tensor([config.low, config.high or rate / 2], dtype=torch.float64)
    low, high = (2595 * torch.log10(1 + ends / 700)).tolist()
    edges = 700 * (10 ** (torch.linspace(low, high, config.mels + 2, dtype=torch.float64) / 2595) - 1)
    rising = (frequencies[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies[:, None]) / (edges[2:] - edges[1:-1])
    return rising.minimum(falling).clamp(min=0).float()


class MelEnergies(nn.Module):
    """Samples of sound to the logarithms of the energies of mel bands."""

    def __init__(self, config: MelConfig, rate: float) -> None:
        super().__init__()
        self.hop, self.window = config.samples(config.hop, rate), config.samples(config.window, rate)
        self.size, self.floor = transform_size(self.window), config.floor
        self.hann: Tensor
        self.weights: Tensor
        self.register_buffer("hann", torch.hann_window(self.window), persistent=False)
        # A spectrum has the real and the imaginary part of each frequency in turn, whose squares add up to its power.
        weights = triangles(config, rate, self.size).repeat_interleave(2, dim=0)
        self.register_buffer("weights", weights, persistent=False)

    def forward(
        self,
        samples: Float[Tensor, "batch time"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        places: Float[Tensor, "batch frequency"] | None = None,
    ) -> Float[Tensor, "batch frame mel"]:
        """The frames of float32 or float64 samples, zeros beyond a sequence's end; `lengths` (in frames) may spare those behind them.

        `places` says where on its spectrum a sequence's frequencies are read, if not each at its own.
        """
        before = (self.size - self.hop) // 2
        behind = -samples.shape[1] % self.hop + self.size - self.hop - before
        filled = functional.pad(samples, (before, behind))
        with torch.autocast(samples.device.type, enabled=False):
            if samples.device.type != "cpu" or samples.requires_grad or torch.compiler.is_exporting():
                return self._energies(filled, places)
            return self._in_portions(filled, lengths, places)

    def _energies(
        self, filled: Float[Tensor, "batch time"], places: Float[Tensor, "batch frequency"] | None
    ) -> Float[Tensor, "batch frame mel"]:
        """Of every window that lies in these samples."""
        spectrum = torch.stft(
            filled, self.size, self.hop, self.window, self.hann.to(filled.dtype), center=False, return_complex=True
        )
        squares, weights = torch.view_as_real(spectrum.transpose(1, 2)).square(), self.weights.to(filled.dtype)
        energies = (
            squares.flatten(2) @ weights if places is None else read_at(squares.sum(dim=3), places) @ weights[::2]
        )
        return energies.clamp(min=self.floor).log()

    def _in_portions(
        self,
        filled: Float[Tensor, "batch time"],
        lengths: Int[Tensor, "batch"] | None,
        places: Float[Tensor, "batch frequency"] | None,
    ) -> Float[Tensor, "batch frame mel"]:
        """The same in stretches of time whose spectra stay in a processor's cache, without sequences that are over."""
        frames, step = (filled.shape[1] - self.size) // self.hop + 1, max(1, PORTION // max(1, len(filled)))
        found = filled.new_zeros(len(filled), frames, self.weights.shape[1])
        for first in range(0, frames, step):
            stop = min(first + step, frames)
            stretch = filled[:, first * self.hop : (stop - 1) * self.hop + self.size]
            if lengths is None:
                found[:, first:stop] = self._energies(stretch, places)
            else:
                rows = torch.nonzero(lengths > first).flatten()
                if not len(rows):  # a transform of nothing is an error; a view may leave padding behind every sequence
                    break
                found[rows, first:stop] = self._energies(stretch[rows], None if places is None else places[rows])
        return found


def no_quieter(
    bands: Float[Tensor, "batch frame band"], seen: Bool[Tensor, "batch frame"], *, below: float
) -> Float[Tensor, "batch frame band"]:
    """Bands of a logarithmic scale, raised to `below` under the loudest one that was seen of the sequence, where they are less."""
    loudest = bands.masked_fill(~seen[..., None], -torch.inf).amax(dim=(1, 2), keepdim=True)
    return bands.maximum(loudest - below)


def mel_names(channels: tuple[str, ...], mels: int) -> tuple[str, ...]:
    """`mel_00`, `mel_01`, ...; of several channels, behind the name of each."""
    digits = max(2, int(math.log10(max(mels - 1, 1))) + 1)
    prefixes = [""] if len(channels) == 1 else [f"{channel}_" for channel in channels]
    return tuple(f"{prefix}mel_{band:0{digits}d}" for prefix in prefixes for band in range(mels))
