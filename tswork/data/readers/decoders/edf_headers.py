"""Headers of EDF, EDF+ and BDF files: a text of fixed layout in front of the samples.

Format: Kemp et al., A simple format for exchange of digitized polygraphic recordings, 1992 (EDF); Kemp and Olivan, European data
format 'plus', 2003 (EDF+); BioSemi (BDF: the same with samples of 24 bits).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tswork.data.faults import fault, refuse
from tswork.data.readers.decoders.signals import Signal, plain_unit
from tswork.errors import Location, Problem
from tswork.wording import counted

FIXED, EACH = 256, 256
"""Bytes in front of the signals' own descriptions, and of each of those."""
WIDTHS = {
    "name": 16, "transducer": 80, "unit": 8, "physical_low": 8, "physical_high": 8, "digital_low": 8, "digital_high": 8,
    "filters": 80, "samples": 8, "reserved": 32,
}  # fmt: skip
ANNOTATIONS = ("EDF Annotations", "BDF Annotations")
AGAIN = "Get the file again, or export it again."


@dataclass(frozen=True)
class Trace(Signal):
    """A signal, where its samples stand in each record of the file, and what they mean: `value = code * slope + level`.

    `least` and `most` are the codes between which the header says that all samples are.
    """

    first: int
    per_record: int
    slope: float
    level: float
    least: float
    most: float


@dataclass(frozen=True)
class Header:
    """What stands before the samples; `width` bytes hold one sample, `size` samples one record, from byte `start` on."""

    traces: tuple[Trace, ...]
    records: int
    size: int
    width: int
    start: int


def read_header(path: Path) -> Header:
    """Raises `DataInvalid` for a file that is none, whose length is not what its header says, or that has pauses."""
    with path.open("rb") as file:
        head = file.read(FIXED)
        text = head.decode("latin-1")
        binary = head[:8] == b"\xffBIOSEMI"
        if len(head) < FIXED or not (binary or text[:8].strip() == "0"):
            raise fault(path, "is no EDF or BDF file: its first bytes are others", AGAIN)
        count = _whole(path, text[252:256], "number of signals")
        start = _whole(path, text[184:192], "number of bytes")
        if start != FIXED + EACH * count:
            told = f"its header has {counted(start, 'byte')} by its own account, and {FIXED + EACH * count:,}"
            raise fault(path, f"{told} with {counted(count, 'signal')}", AGAIN)
        body = file.read(EACH * count).decode("latin-1")
    if len(body) < EACH * count:
        raise fault(path, f"ends inside its header, which tells of {counted(count, 'signal')}", AGAIN)
    records = _whole(path, text[236:244], "number of records", least=-1)
    seconds = _number(path, text[244:252], "record length")
    if text[192:197] in ("EDF+D", "BDF+D"):
        raise fault(path, "has pauses between its records (EDF+D)", "Export it as continuous, a file for each piece.")
    fields = _fields(body, count)
    samples = [_whole(path, cell, "number of samples") for cell in fields["samples"]]
    size, width = sum(samples), 3 if binary else 2
    traces = _traces(path, fields, samples, records, seconds, width)
    header = Header(traces, records, size, width, start)
    _check_length(path, header)
    return header


def _traces(
    path: Path, fields: dict[str, list[str]], samples: list[int], records: int, seconds: float, width: int
) -> tuple[Trace, ...]:
    """The signals other than annotations. Raises `DataInvalid` with all whose codes have no meaning."""
    traces, faults, first = [], list[Problem](), 0
    for place, name in enumerate(fields["name"]):
        if name not in ANNOTATIONS and samples[place]:
            keys = ("physical_low", "physical_high", "digital_low", "digital_high")
            low, high, least, most = (_number(path, fields[key][place], f"range of {name!r}") for key in keys)
            reach = 2 ** (8 * width - 1)
            if low == high or least >= most or least < -reach or most >= reach:
                stand = f"{low:g} .. {high:g} stand for {least:.8g} .. {most:.8g}"
                text = f"the range of {name!r} is none of samples of {8 * width} bits: {stand}"
                faults.append(Problem(text, location=Location(str(path)), remedy=AGAIN))
                continue
            if seconds <= 0:
                raise fault(path, f"its records last {seconds:g} seconds", AGAIN)
            slope = (high - low) / (most - least)
            unit, count = plain_unit(fields["unit"][place]), samples[place]
            level = low - slope * least
            traces.append(Trace(name, unit, count / seconds, count * records, first, count, slope, level, least, most))
        first += samples[place]
    refuse(faults)
    return tuple(traces)


def _check_length(path: Path, header: Header) -> None:
    """Raises `DataInvalid` when the file has another number of records than its header says."""
    size = header.size * header.width
    found = path.stat().st_size - header.start
    if header.records < 0:
        raise fault(path, f"its recording was never finished: the number of records is {header.records}", AGAIN)
    if found != header.records * size:
        held = (
            f"{found // size} and {counted(found % size, 'byte')}"
            if size and found % size
            else f"{found // size if size else 0}"
        )
        raise fault(path, f"its header tells of {counted(header.records, 'record')}, the file holds {held}", AGAIN)


def _fields(body: str, count: int) -> dict[str, list[str]]:
    fields, start = {}, 0
    for key, width in WIDTHS.items():
        cells = [body[start + place * width :][:width] for place in range(count)]
        fields[key] = [cell.strip("\0 ") for cell in cells]
        start += width * count
    return fields


def _whole(path: Path, cell: str, what: str, *, least: int = 0) -> int:
    try:
        found = int(cell) if "_" not in cell else None
    except ValueError:
        found = None
    if found is None or found < least:
        raise fault(path, f"the {what} in its header is {cell.strip()!r}", AGAIN)
    return found


def _number(path: Path, cell: str, what: str) -> float:
    try:
        found = float(cell.replace(",", "."))
    except ValueError:
        found = float("nan")
    if not abs(found) < float("inf"):
        raise fault(path, f"the {what} in its header is {cell.strip()!r}", AGAIN)
    return found
