"""WFDB records (PhysioNet): a header, and its signal files beside it.

Values are in the units of the header, samples marked as invalid and gaps between segments are NaN. Records of several signal files,
of several segments (fixed or variable layout), and with several samples a frame are read; annotation files are not values and
are left alone. Format: signal(5) and header(5) of the WFDB manual.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, Integer
from pydantic import Field

from tswork.data.faults import refuse
from tswork.data.readers.decoders.base import Decoder, Outline, Recording, called
from tswork.data.readers.decoders.signals import SignalConfig, chosen, factor, outlined
from tswork.data.readers.decoders.wfdb_headers import GAP, Header, Wave, companions, opened
from tswork.data.readers.decoders.wfdb_samples import stored_samples
from tswork.data.spec import DataOptions
from tswork.errors import Problem
from tswork.registry import register
from tswork.wording import counted

INVALID = {
    "8": None, "16": -(2**15), "24": -(2**23), "32": -(2**31), "80": -(2**7), "160": -(2**15),
    "212": -(2**11), "310": -(2**9), "311": -(2**9), "508": -(2**7), "516": -(2**15), "524": -(2**23),
}  # fmt: skip
"""The stored value of a missing sample in each format."""


class HeaConfig(SignalConfig):
    checksums: bool = Field(
        default=True, description="refuse signals whose samples do not add up to the checksum in the header"
    )


@register("decoder", "hea", version=1, config=HeaConfig)
class Hea(Decoder[HeaConfig]):
    """A WFDB record, named by its header."""

    suffixes = (".hea",)

    def companions(self, path: Path) -> Sequence[Path]:
        return companions(path)

    def outline(self, path: Path, options: DataOptions) -> Outline:
        return outlined(opened(path)[0].waves, path, options, self.config.unit)

    def read(self, path: Path, options: DataOptions) -> Recording:
        header, *segments = opened(path)
        places = chosen(header.waves, path, options, self.config.unit, all_there=True)
        waves = [header.waves[place] for place in places]
        values = np.full((waves[0].length, len(waves)), np.nan, np.float32)
        by_name = {Path(one.name).name: one for one in segments}
        parts = header.segments or ((GAP, header.frames),)
        start, faults = 0, list[Problem]()
        for name, frames in parts:
            stop = start + frames * waves[0].per_frame
            part = by_name[name] if name != GAP else header if not header.segments else None
            if part is not None and frames:
                faults += self._fill(values[start:stop], part, waves, frames)
            start = stop
        refuse(faults)
        names = called([wave.name for wave in waves], options)
        return Recording(values, names, waves[0].rate, units=tuple(self.config.unit or wave.unit for wave in waves))

    def _fill(
        self, values: Float32[np.ndarray, "time channel"], part: Header, wanted: Sequence[Wave], frames: int
    ) -> list[Problem]:
        """Writes the samples of one segment into its place; signals that it lacks stay missing."""
        title, names = Path(part.name).name, [wave.name for wave in part.waves]
        if part.frames != frames:
            return [Problem(f"{title} has {counted(part.frames, 'frame')}, the record says {frames}")]
        pairs = [(column, names.index(wave.name)) for column, wave in enumerate(wanted) if wave.name in names]
        faults = [
            Problem(
                f"{own.name!r} is in {own.unit} at {own.rate:g} in {title}, in the record in {one.unit} at {one.rate:g}"
            )
            for one, own in ((wanted[column], part.waves[place]) for column, place in pairs)
            if (own.rate, own.unit) != (one.rate, one.unit)
        ]
        if faults or not pairs:
            return faults
        for (column, place), codes in zip(pairs, stored_samples(part, [place for _, place in pairs]), strict=True):
            wave = part.waves[place]
            if self.config.checksums and wave.checksum is not None and not wave.skew:
                found = int(codes.sum(dtype=np.int64)) - wave.checksum
                if found % 2**16:
                    text = f"the samples of {wave.name!r} do not add up to the checksum in {part.path.name}"
                    remedy = "Get the record again, or give `decoders: [{uses: hea, checksums: false}]`."
                    faults.append(Problem(text, remedy=remedy))
            values[:, column] = _in_unit(codes, wave) * factor(wave, self.config.unit)
        return faults


def _in_unit(codes: Integer[np.ndarray, "time"], wave: Wave) -> Float64[np.ndarray, "time"]:
    """Values in the unit of the header; invalid samples are NaN."""
    values = (codes.astype(np.float64) - wave.baseline) / wave.gain
    invalid = INVALID[wave.form]
    return values if invalid is None else np.where(codes == invalid, np.nan, values)
