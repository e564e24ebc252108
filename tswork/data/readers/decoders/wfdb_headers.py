"""Headers of WFDB records, read without their samples: signals, segments, and which files belong to a record.

Format: header(5) of the WFDB manual (physionet.org/physiotools/wag/header-5.htm).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tswork.data.cells import WHOLE_NUMBER
from tswork.data.faults import fault, refuse
from tswork.data.readers.decoders.signals import Signal, plain_unit
from tswork.errors import DataInvalid, Location, Problem
from tswork.wording import counted

GAP = "~"
"""The name of a segment without samples, and of the file of a signal that only a layout has."""
DEFAULT_RATE, DEFAULT_GAIN = 250.0, 200.0
BYTES = {
    "8": (1, 1), "16": (1, 2), "24": (1, 3), "32": (1, 4), "80": (1, 1), "160": (1, 2),
    "212": (2, 3), "310": (3, 4), "311": (3, 4),
}  # fmt: skip
"""Formats whose files have a size that follows from the number of samples: so many samples in so many bytes. The remaining
one of the manual, 61, is not read by wfdb 4.3."""
COMPRESSED = ("508", "516", "524")
FORMAT = re.compile(r"(\d+)(?:x(\d+))?(?::(\d+))?(?:\+(\d+))?")
GAIN = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?:\(([-+]?\d+)\))?(?:/(\S+))?")
RECORD = re.compile(r"([^\s/]+)(?:/(\d+))?\s+(\d+)(?:\s+([\d.eE+-]+)(?:/\S+)?(?:\s+(\d+))?)?")


@dataclass(frozen=True)
class Wave(Signal):
    """A signal and how its samples are stored; `length` counts them, `per_frame` in each frame of the record."""

    file: str
    form: str
    per_frame: int
    skew: int
    start: int
    gain: float
    baseline: int
    checksum: int | None


@dataclass(frozen=True)
class Header:
    """A record of one or of several segments (name, frames)."""

    path: Path
    frames: int
    waves: tuple[Wave, ...]
    segments: tuple[tuple[str, int], ...] = ()

    @property
    def name(self) -> str:
        """Path of the record without its suffix."""
        return str(self.path)[: -len(".hea")]

    @property
    def files(self) -> list[Path]:
        """The signal files, each once."""
        names = dict.fromkeys(wave.file for wave in self.waves if wave.file != GAP)
        return [self.path.parent / name for name in names]

    def segment(self, name: str) -> Path:
        """The header of a segment."""
        return self.path.parent / f"{name}.hea"


def read_header(path: Path, *, inside: bool = False) -> Header:
    """Raises `DataInvalid` with the lines that cannot be understood; `inside` a record stand segments, which have none themselves."""
    lines = _lines(path)
    if not lines:
        raise fault(path, "is empty", "Get the record again.", line=1)
    number, text = lines[0]
    match = RECORD.match(text)
    rate = _number(match[4] or str(DEFAULT_RATE)) if match else None
    if match is None or rate is None or not 0 < rate < math.inf:
        raise fault(path, f"{text!r} does not name a record, its signals and their rate", line=number)
    several, count, frames = match[2], int(match[3]), int(match[5]) if match[5] else 0
    if several is not None and inside:
        raise fault(path, "is a segment of a record, and has segments itself", "Get the record again.", line=number)
    if several is not None:
        return _in_segments(path, lines, int(several), count, frames)
    faults: list[Problem] = []
    waves = []
    for place, (line, text) in enumerate(lines[1 : count + 1]):
        wave = _wave(text, place, rate, frames)
        if isinstance(wave, str):
            faults.append(Problem(wave, location=Location(str(path), line)))
        else:
            waves.append(wave)
    if len(lines) - 1 < count:
        faults.append(
            Problem(
                f"tells of {counted(count, 'signal')} and describes {len(lines) - 1}", "", Location(str(path), number)
            )
        )
    faults += _stored_in_two_ways(path, waves)
    refuse(faults)
    return _of_true_length(Header(path, frames, tuple(waves)))


def opened(path: Path) -> list[Header]:
    """A record's header and those of its segments, whose files are all there and as long as the headers say.

    Raises `DataInvalid` with every file that is not.
    """
    header = read_header(path)
    faults: list[Problem] = []
    headers = [header]
    for name in dict.fromkeys(name for name, _ in header.segments if name != GAP):
        try:
            headers.append(read_header(header.segment(name), inside=True))
        except FileNotFoundError:
            text = f"the header {name}.hea of one of its segments is not there"
            faults.append(Problem(text, remedy="Put it beside the record's own."))
        except DataInvalid as other:
            faults += other.problems
    for one in headers:
        faults += _file_faults(one)
    refuse(faults)
    return [_in_units_of(headers[1:], header), *headers[1:]]


def companions(path: Path) -> list[Path]:
    """All files of a record beside its header, whether they are there or not."""
    header = read_header(path)
    below = [header.segment(name) for name in dict.fromkeys(name for name, _ in header.segments if name != GAP)]
    files = [file for one in below if one.is_file() for file in read_header(one, inside=True).files]
    return [*header.files, *below, *dict.fromkeys(files)]


def _lines(path: Path) -> list[tuple[int, str]]:
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    numbered = enumerate((line.strip() for line in text.splitlines()), start=1)
    return [(number, line) for number, line in numbered if line and not line.startswith("#")]


def _wave(text: str, place: int, rate: float, frames: int) -> Wave | str:
    """A signal from its line, or what is wrong with it."""
    cells = [*text.split(None, 8), *[""] * 9]
    form, gain = FORMAT.fullmatch(cells[1]), GAIN.fullmatch(cells[2] or "0")
    numbers = [_number(cell) if cell else 0.0 for cell in cells[3:8]]
    whole = all(WHOLE_NUMBER.fullmatch(cell or "0") for cell in (cells[4], cells[6]))  # the zero level and the checksum
    if form is None or form[2] == "0" or gain is None or math.isinf(float(gain[1])) or None in numbers or not whole:
        return f"{text!r} does not describe a signal"
    if "/" in cells[0] or "\\" in cells[0]:
        return f"its samples stand in {cells[0]!r}, and a signal file stands beside its header"
    if form[1] not in BYTES and form[1] not in COMPRESSED and cells[0] != GAP:
        return f"signals in the format {form[1]} cannot be read"
    per_frame = int(form[2] or 1)
    return Wave(
        name=cells[8] or f"channel_{place}",
        unit=plain_unit(gain[3] or "mV"),
        rate=rate * per_frame,
        length=frames * per_frame,
        file=cells[0],
        form=form[1],
        per_frame=per_frame,
        skew=int(form[3] or 0),
        start=int(form[4] or 0),
        gain=float(gain[1]) or DEFAULT_GAIN,
        baseline=int(gain[2] or cells[4] or 0),
        checksum=int(cells[6]) if cells[6] else None,
    )


def _stored_in_two_ways(path: Path, waves: Sequence[Wave]) -> Iterator[Problem]:
    """Signals of one file lie in it frame by frame, so that they have one format."""
    first: dict[str, Wave] = {}
    for wave in waves:
        one = first.setdefault(wave.file, wave)
        if wave.file != GAP and one.form != wave.form:
            ways = f"{one.form} ({one.name!r}) and {wave.form} ({wave.name!r})"
            yield Problem(f"{wave.file} is said to be in the formats {ways}", "", Location(str(path)))


def _in_segments(path: Path, lines: list[tuple[int, str]], several: int, count: int, frames: int) -> Header:
    """A record of segments; its signals are those of its layout or of its first segment."""
    place = Location(str(path), lines[0][0])
    cells = [text.split() for _, text in lines[1 : several + 1]]
    if len(cells) != several or not all(len(one) == 2 and one[1].isdigit() for one in cells):
        raise DataInvalid([Problem(f"tells of {counted(several, 'segment')} and describes others", "", place)])
    segments = tuple((name, int(length)) for name, length in cells)
    told = sum(length for _, length in segments)
    if frames and told != frames:
        raise DataInvalid([Problem(f"tells of {counted(frames, 'frame')}, its segments of {told}", "", place)])
    header = Header(path, told, (), segments)
    first = next((header.segment(name) for name, _ in segments if name != GAP), None)
    if first is None or not first.is_file():
        return header
    waves = read_header(first, inside=True).waves
    if len(waves) != count and segments[0][1]:
        raise DataInvalid(
            [Problem(f"tells of {counted(count, 'signal')}, its segment {segments[0][0]} of {len(waves)}", "", place)]
        )
    lengthened = (Wave(**{**vars(wave), "length": told * wave.per_frame, "file": GAP}) for wave in waves)
    return Header(path, told, tuple(lengthened), segments)


def _of_true_length(header: Header) -> Header:
    """A header that does not tell its length, with the one that its first file has."""
    first = next((wave for wave in header.waves if wave.file != GAP), None)
    if header.frames or first is None or first.form not in BYTES or not header.files[0].is_file():
        return header
    samples, size = BYTES[first.form]
    width = sum(wave.per_frame for wave in header.waves if wave.file == first.file)
    frames = (header.files[0].stat().st_size - first.start) * samples // size // width
    waves = tuple(Wave(**{**vars(wave), "length": frames * wave.per_frame}) for wave in header.waves)
    return Header(header.path, frames, waves)


def _in_units_of(segments: list[Header], header: Header) -> Header:
    """A record whose layout tells no true units, with those of the first segment that has each signal."""
    units = {wave.name: wave.unit for one in reversed(segments) for wave in one.waves if wave.file != GAP}
    waves = (Wave(**{**vars(wave), "unit": units.get(wave.name, wave.unit)}) for wave in header.waves)
    return Header(header.path, header.frames, tuple(waves), header.segments) if segments else header


def _file_faults(header: Header) -> Iterator[Problem]:
    for file in header.files:
        waves = [wave for wave in header.waves if wave.file == file.name]
        if not file.is_file():
            yield Problem(f"its signal file {file.name} is not there", remedy="Put it beside the header.")
        elif waves[0].form in BYTES:
            samples, size = BYTES[waves[0].form]
            wanted = waves[0].start + math.ceil(sum(wave.length for wave in waves) * size / samples)
            found = file.stat().st_size
            # Unfilled blocks of packed formats are padded to whole ones by some writers.
            if not wanted <= found < wanted + max(size, 2):
                least = "too few" if found < wanted else "too many"
                text = f"{file.name} has {counted(found, 'byte')}, {least} for {counted(header.frames, 'frame')}"
                yield Problem(
                    f"{text} as its header says ({wanted})", remedy="Get the record again, or mend its header."
                )


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
