"""Recordings in EDF, EDF+C and BDF files, read without any other package.

Values are in the units of the file. Signals that only hold annotations are left out; files with pauses (EDF+D) are refused.
Samples beyond the range in the header stay as they are, and a note of the collection counts them: amplifiers go a little over it,
and a range that many leave is a wrong one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Int32

from tswork.data.readers.decoders.base import Decoder, Outline, Recording, called
from tswork.data.readers.decoders.edf_headers import Header, Trace, read_header
from tswork.data.readers.decoders.signals import SignalConfig, chosen, factor, outlined
from tswork.data.spec import DataOptions
from tswork.registry import register

BEYOND = "samples beyond the range that their header tells"


class EdfConfig(SignalConfig):
    pass


@register("decoder", "edf", version=1, config=EdfConfig)
class Edf(Decoder[EdfConfig]):
    """An EDF, EDF+C or BDF file a recording."""

    suffixes = (".edf", ".bdf")

    def outline(self, path: Path, options: DataOptions) -> Outline:
        return outlined(read_header(path).traces, path, options, self.config.unit)

    def read(self, path: Path, options: DataOptions) -> Recording:
        header = read_header(path)
        places = chosen(header.traces, path, options, self.config.unit, all_there=True)
        traces = [header.traces[place] for place in places]
        values, beyond = np.empty((traces[0].length, len(traces)), np.float32), 0
        if len(values):
            shape = (header.records, header.size * header.width)
            stored = np.memmap(path, np.uint8, mode="r", offset=header.start, shape=shape)
            for column, trace in enumerate(traces):
                codes = _codes(stored, header, trace)
                beyond += int(((codes < trace.least) | (codes > trace.most)).sum())
                values[:, column] = (codes * trace.slope + trace.level) * factor(trace, self.config.unit)
        names = called([trace.name for trace in traces], options)
        units, notes = tuple(self.config.unit or one.unit for one in traces), {BEYOND: beyond} if beyond else {}
        return Recording(values, names, traces[0].rate, units=units, notes=notes)


def _codes(stored: np.ndarray, header: Header, trace: Trace) -> Int32[np.ndarray, "time"]:
    """Samples of one signal from all records, bytes `(record, byte)`: two's complement, low byte first."""
    span = slice(trace.first * header.width, (trace.first + trace.per_record) * header.width)
    parts = np.ascontiguousarray(stored[:, span]).reshape(-1, header.width)
    if header.width == 2:
        return parts.view("<i2")[:, 0].astype(np.int32)
    wide = np.zeros((len(parts), 4), np.uint8)
    wide[:, 1:] = parts
    return wide.view("<i4")[:, 0] >> 8
