"""Recordings of sound: WAV, FLAC, Ogg (Opus, Vorbis), MP3, AIFF, AU, CAF, W64 and SPHERE files, read by soundfile.

A recording becomes one channel, `sound`, of int16 samples (full scale 32768). Where the data block has a `rate`, all recordings
are brought to it as they are decoded, whatever their own rates. Nobody can learn from what cannot be heard, so a recording is
refused that is empty, broken off, shorter than an analysis frame, silent, clipped for the most part, or that holds NaN.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float32, Int16
from pydantic import Field

from tswork.config import Config
from tswork.data.faults import fault
from tswork.data.readers.decoders.base import Decoder, Outline, Recording, called
from tswork.data.readers.decoders.samples import FULL_SCALE, as_int16, resampled, resampled_length
from tswork.data.readers.decoders.sound_files import Header, opened, read_header, told_length
from tswork.data.spec import DataOptions
from tswork.registry import register
from tswork.wording import counted

CLIPPED_SHARE = 0.5
"""A recording is refused when more of its samples than this are at full scale."""
CANCELLED = 0.1
"""Channels nearly cancel each other when the mix has less than this share of their amplitude."""
STEREO = 2


class SoundConfig(Config):
    channel: Literal["mix", "left", "right"] | Annotated[int, Field(ge=0)] | None = Field(
        default=None,
        description="what becomes the one channel: the mean of all (mix), left, right, or a number counted from 0;"
        " none: the mean of one or two channels, and files with more are refused",
    )
    shortest: float = Field(
        default=0.025, ge=0, description="seconds that a recording needs (an analysis frame: 400 samples at 16 kHz)"
    )
    cut_off: Literal["refuse", "keep"] = Field(
        default="refuse",
        description="what to do with a file that ends before it should: refuse it, or keep what is there",
    )


@register("decoder", "sound", version=1, config=SoundConfig)
class Sound(Decoder[SoundConfig]):
    """A sound file a recording: one channel of int16 samples at the rate of the data block, or at its own."""

    suffixes = (
        ".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".aifc", ".au", ".caf", ".w64", ".sph",
    )  # fmt: skip
    kept = ("rate",)

    def names(self, options: DataOptions) -> tuple[str, ...]:
        return called(("sound",), options)

    def outline(self, path: Path, options: DataOptions) -> Outline:
        """Rate and length are those that `read` gives; the header is not believed to be true."""
        header = read_header(path)
        self._check_header(header, path)
        rate = options.rate or header.rate
        length = None if header.length is None else resampled_length(header.length, header.rate, rate)
        if length is not None:
            self._check_length(length, rate, path)
        return Outline(
            self.names(options),
            rate,
            length,
            file_rate=header.rate,
            file_channels=header.channels,
            shortest=self._shortest(rate),
        )

    def read(self, path: Path, options: DataOptions) -> Recording:
        with opened(path) as (header, blocks):
            self._check_header(header, path)
            samples, quieter = self._one_channel(blocks, path)
        self._check_whole(header, len(samples), path)
        rate = options.rate or header.rate
        self._check_length(resampled_length(len(samples), header.rate, rate), rate, path)
        values, clipped = as_int16(resampled(samples, header.rate, rate))
        _check_audible(values, path, cancelled=quieter < CANCELLED**2)
        return Recording(
            values[:, None],
            self.names(options),
            rate,
            notes=_notes(clipped, quieter),
            file_rate=header.rate,
            file_channels=header.channels,
            shortest=self._shortest(rate),
        )

    def _shortest(self, rate: float) -> int:
        """Samples that a recording needs."""
        return round(self.config.shortest * rate)

    def _one_channel(
        self, blocks: Iterator[Float32[np.ndarray, "_ channel"]], path: Path
    ) -> tuple[Float32[np.ndarray, "time"], float]:
        """The samples of one channel, and the power of a mix as a share of the channels' mean power (1: nothing is mixed)."""
        parts: list[Float32[np.ndarray, "block"]] = []
        power, mixed, steps = 0.0, 0.0, 0
        for block in blocks:
            wrong = np.argwhere(~np.isfinite(block))
            if len(wrong):
                first = f"the first is {block[tuple(wrong[0])]} at sample {steps + wrong[0, 0]}"
                raise fault(path, f"{counted(len(wrong), 'sample is', 'samples are')} not finite ({first})")
            parts.append(self._chosen(block))
            if self._place is None and block.shape[1] > 1:
                power += float(np.square(block, dtype=np.float64).mean(axis=1).sum())
                mixed += float(np.square(parts[-1], dtype=np.float64).sum())
            steps += len(block)
        share = mixed / power if power else 1.0
        return np.concatenate(parts) if parts else np.zeros(0, np.float32), share

    def _chosen(self, block: Float32[np.ndarray, "block channel"]) -> Float32[np.ndarray, "block"]:
        place = self._place
        mean: Float32[np.ndarray, "block"] = block.mean(axis=1) if block.shape[1] > 1 else block[:, 0]
        return mean if place is None else block[:, place]

    @property
    def _place(self) -> int | None:
        """The one channel that is read; None: the mean of all."""
        names = {None: None, "mix": None, "left": 0, "right": 1}
        return self.config.channel if isinstance(self.config.channel, int) else names[self.config.channel]

    def _check_header(self, header: Header, path: Path) -> None:
        place, width = self._place, header.channels
        if place is not None and place >= width:
            has = "one channel" if width == 1 else f"{width} channels"
            remedy = "Leave `channel` out of the options of the decoder 'sound', or name one that is there."
            raise fault(path, f"has {has}, and `channel: {self.config.channel}` is asked for", remedy)
        if self.config.channel is None and width > STEREO:
            remedy = "Mix them with `decoders: [{uses: sound, channel: mix}]`, or choose one by its number from 0."
            raise fault(path, f"has {width} channels, and only one or two are mixed without being asked for", remedy)
        if header.cut_off and self.config.cut_off == "refuse":
            raise _broken(path, header.cut_off)

    def _check_whole(self, header: Header, found: int, path: Path) -> None:
        contradiction = told_length(path, header, found)
        if contradiction and self.config.cut_off == "refuse":
            raise _broken(path, contradiction)

    def _check_length(self, length: int, rate: float, path: Path) -> None:
        if length == 0:
            raise fault(path, "holds no samples")
        needed = self._shortest(rate)
        if length < needed:
            remedy = "Leave it out, or give the decoder 'sound' a smaller `shortest`."
            text = f"has {counted(length, 'sample')} at {rate:g} Hz, and an analysis frame of {self.config.shortest:g} s needs {needed}"
            raise fault(path, text, remedy)


def _broken(path: Path, why: str) -> Exception:
    remedy = "Get it again, or keep what is there with `decoders: [{uses: sound, cut_off: keep}]`."
    return fault(path, f"is not whole: {why}", remedy)


def _check_audible(values: Int16[np.ndarray, "time"], path: Path, *, cancelled: bool) -> None:
    """Raises `DataInvalid` for silence (one value throughout) and for sound that is clipped for the most part."""
    low, high = int(values.min()), int(values.max())
    if low == high and cancelled:
        remedy = "Choose one with `decoders: [{uses: sound, channel: left}]`."
        raise fault(path, "is silent when it is mixed: its channels cancel each other", remedy)
    if low == high:
        raise fault(path, f"is silent: all samples are {low}")
    full = np.count_nonzero((values >= FULL_SCALE - 1) | (values <= 1 - FULL_SCALE)) / len(values)
    if full > CLIPPED_SHARE:
        raise fault(path, f"is clipped: {full:.0%} of its samples are at full scale")


def _notes(clipped: int, mixed: float) -> Mapping[str, int]:
    notes = {"samples beyond full scale were clipped": clipped} if clipped else {}
    if mixed < CANCELLED**2:
        notes["mix is far quieter than its channels, which nearly cancel each other"] = 1
    return notes
