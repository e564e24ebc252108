"""Log-mel frames of sound, computed in batch on the device of the encoder that reads them.

Davis and Mermelstein, "Comparison of Parametric Representations for Monosyllabic Word Recognition in Continuously Spoken
Sentences", IEEE Transactions on Acoustics, Speech, and Signal Processing 1980, for bands on the mel scale. `mel` says what a
frame is. Normalisation is over the frames of a clip that saw a sample, and over nothing else: mean and population variance of
each band (`utterance`), or of all bands together, which keeps the shape of the spectrum (`level`). What lies more than `top_db`
under the loudest band of a clip is raised to that before: noise of a room or of a format, which tells recordings apart and not words.

| what | convention |
| --- | --- |
| frames of `n` samples | `ceil(n / hop)`, so never none |
| frame `t` | a Hann window around the middle of the samples `t * hop` to `(t + 1) * hop` |
| beyond both ends of a clip | zeros |
| missing (NaN) or hidden samples | read as 0; a frame that has none but such among its own `hop` samples is missing |
| several channels | the bands of each, one channel after another |
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from tswork.augment.spec_augment import SpecAugmentConfig, wiped
from tswork.config import ADDED_LATER
from tswork.data.collection import DataInfo
from tswork.encoders.base import Frames, full_lengths
from tswork.encoders.front_ends.base import FrontEnd, InTraining, marked, normalised, seen_frames, seen_samples
from tswork.encoders.front_ends.mel import DECIBEL, MelConfig, MelEnergies, mel_names, no_quieter, rate_faults
from tswork.encoders.front_ends.vocal_tract import VocalTract, VocalTractConfig
from tswork.errors import ModelUnfit
from tswork.precision import wide
from tswork.registry import register

VARIANCE_FLOOR = 1e-5


class LogMelConfig(MelConfig):
    spec_augment: SpecAugmentConfig | None = Field(
        default=None,
        description="options of the view `spec_augment`, by which frames are changed in training; none: they are not",
    )
    vocal_tract: VocalTractConfig | None = Field(
        default=None,
        description="factors by which the frequencies of a clip are stretched in training; none: they are not",
        json_schema_extra=ADDED_LATER,
    )


@register("front_end", "log_mel", version=1, config=LogMelConfig)
class LogMel(FrontEnd):
    """Logarithms of the energies of mel bands, frame by frame."""

    def __init__(self, config: LogMelConfig, info: DataInfo) -> None:
        super().__init__()
        rate = _rate(config, info)
        self.energies = MelEnergies(config, rate)
        self.stride, self.normalise, self.top_db = self.energies.hop, config.normalise, config.top_db
        self.channels = mel_names(info.channels, config.mels)
        self.wipe = None if config.spec_augment is None else Wipe(config.spec_augment)
        stretch = config.vocal_tract
        self.stretch = None if stretch is None else VocalTract(stretch, rate=rate, size=self.energies.size)

    def forward(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        keep: Bool[Tensor, "batch time"] | None = None,
    ) -> Frames:
        seen = seen_samples(x, lengths, keep)
        known = ((full_lengths(x) if lengths is None else lengths) + self.stride - 1) // self.stride
        bands = self.bands(wide(torch.where(seen, x, 0.0)), None if lengths is None else known)
        shown = seen_frames(seen.any(dim=2), self.stride)
        if self.top_db is not None:
            bands = no_quieter(bands, shown, below=self.top_db * DECIBEL)
        bands = normalised_bands(bands, shown, self.normalise)
        if self.wipe is not None:
            bands = self.wipe(bands, known)
        return Frames(marked(bands, None if lengths is None else known, shown), known)

    def bands(
        self, x: Float[Tensor, "batch time channel"], lengths: Int[Tensor, "batch"] | None
    ) -> Float[Tensor, "batch frame band"]:
        """The bands of every channel, one channel after another."""
        batch, time, channels = x.shape
        of_channels = None if lengths is None else lengths.repeat_interleave(channels)
        places = None if self.stretch is None else self.stretch(x)
        if places is not None:
            places = places.repeat_interleave(channels, dim=0)
        frames: Tensor = self.energies(x.transpose(1, 2).reshape(batch * channels, time), of_channels, places=places)
        return frames.reshape(batch, channels, -1, frames.shape[2]).transpose(1, 2).flatten(2)


class Wipe(InTraining):
    """SpecAugment in training."""

    def __init__(self, config: SpecAugmentConfig) -> None:
        super().__init__()
        self.config = config

    def forward(
        self, frames: Float[Tensor, "batch frame band"], lengths: Int[Tensor, "batch"]
    ) -> Float[Tensor, "batch frame band"]:
        return wiped(frames, lengths, self.config) if self.training else frames


def normalised_bands(
    bands: Float[Tensor, "batch frame band"], shown: Bool[Tensor, "batch frame"], normalise: str
) -> Float[Tensor, "batch frame band"]:
    """Bands as `normalise` says, over the frames that are shown."""
    if normalise == "none":
        return bands
    over = (1,) if normalise == "utterance" else (1, 2)
    return normalised(bands, shown[..., None], floor=VARIANCE_FLOOR, over=over)


def _rate(config: LogMelConfig, info: DataInfo) -> float:
    """Samples a second. Raises `ModelUnfit` where the data have no rate, or one that does not suit."""
    if info.rate is None:
        reason = "needs to know how many samples a second there are, and the data have no rate"
        raise ModelUnfit("the front end log_mel", reason, "Give `rate:` in the data block.")
    if faults := rate_faults(config, info.rate):
        raise ModelUnfit("the front end log_mel", "; ".join(faults), "Change `mels`, `low`, `high`, `window` or `hop`.")
    boundary = None if config.vocal_tract is None else config.vocal_tract.boundary
    if boundary is not None and boundary >= info.rate / 2:
        reason = f"`vocal_tract.boundary` ({boundary:g} Hz) is not below half of the {info.rate:g} samples a second"
        raise ModelUnfit("the front end log_mel", reason, "Leave it out, or give a lower frequency.")
    return info.rate
