"""Files of sound through soundfile (libsndfile): their header, and their samples block by block.

Headers are not believed. Samples are read until there are no more, so that a header that tells too many asks for no memory, and
a file that breaks off is seen. libsndfile itself shortens a WAV or AIFF file that was cut off to what is there and says so in
its log alone. A stream of Ogg has no length in its header; where it is whole its last page is marked as the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from tswork.data.faults import fault
from tswork.errors import PackageMissing

BLOCK = 1 << 20
"""Samples of each channel that are read at once."""
LONGEST = 1 << 40
"""A header that tells more samples does not know their number."""
UNKNOWN_BYTES = 0x7FFFFF00
"""A chunk of this size or more was written to a pipe: its size was not known when its head was written."""
MP3_SLACK = 2 * 1152
"""An mp3 file without a table of its frames tells a length that is guessed from its size: it may be two frames out."""
PAGE_SEARCH = 1 << 17
"""Bytes at the end of an Ogg file that hold its last page for certain (a page has 65,307 at most)."""
PAGE_HEAD = 27

SHORTENED = re.compile(r"^\s*(?:data|SSND)\s*:\s*(\d+) \(should be (\d+)\)", re.MULTILINE)


@dataclass(frozen=True)
class Header:
    """What a file says of itself: samples a second, channels, and samples of each channel (None: not told)."""

    rate: float
    channels: int
    length: int | None
    cut_off: str
    """How it can be seen that the file is not whole; empty: it cannot be seen from outside."""


def read_header(path: Path) -> Header:
    """The header alone. Raises `DataInvalid` for what is no sound."""
    with opened(path) as (header, _):
        return header


@contextmanager
def opened(path: Path) -> Iterator[tuple[Header, Iterator[Float32[np.ndarray, "block channel"]]]]:
    """The header, and all samples block by block, in -1..1 where the file holds whole numbers.

    Raises `DataInvalid` for what is no sound, and, as blocks are read, where they cannot be decoded.
    """
    with _file(path) as file:
        yield _header(file, path), _blocks(file)


def _blocks(file: Any) -> Iterator[Float32[np.ndarray, "block channel"]]:
    while len(block := file.read(BLOCK, dtype="float32", always_2d=True)):
        yield block


def told_length(path: Path, header: Header, found: int) -> str:
    """How the number of samples that were found contradicts the header; empty: it does not."""
    slack = MP3_SLACK if path.name.lower().endswith(".mp3") else 0
    if header.length is None or abs(found - header.length) <= slack:
        return ""
    return f"its header tells {header.length:,} samples and it holds {found:,}"


def soundfile_package() -> Any:
    """The package soundfile. Raises `PackageMissing` when it or its library does not load."""
    try:
        import soundfile
    except (ImportError, OSError) as error:
        raise PackageMissing("soundfile", "the decoder 'sound'", "pip install soundfile", str(error)) from error
    return soundfile


@contextmanager
def _file(path: Path) -> Iterator[Any]:
    """The open sound; what soundfile says of it when it cannot go on becomes a fault of the file."""
    soundfile = soundfile_package()
    if not path.stat().st_size:
        raise fault(path, "is empty (0 bytes)")
    try:
        with soundfile.SoundFile(path) as file:
            yield file
    except soundfile.LibsndfileError as error:
        reason = str(error.error_string).removeprefix("Error : ").strip().rstrip(".")
        raise fault(path, f"is no sound that can be decoded, or is not whole ({reason})") from error
    except (OSError, MemoryError) as error:
        raise fault(path, f"cannot be read: {error}") from error


def _header(file: Any, path: Path) -> Header:
    known = 0 <= file.frames < LONGEST
    return Header(
        float(file.samplerate), int(file.channels), int(file.frames) if known else None, _seen_cut_off(file, path)
    )


def _seen_cut_off(file: Any, path: Path) -> str:
    found = SHORTENED.search(file.extra_info)
    if found is not None and int(found[2]) < int(found[1]) < UNKNOWN_BYTES:
        return f"its header tells {int(found[1]):,} bytes of samples and it holds {int(found[2]):,}"
    if file.format == "OGG" and not _has_last_page(path):
        return "its stream has no last page"
    return ""


def _has_last_page(path: Path) -> bool:
    """Whether an Ogg file ends with a whole page that carries the mark of the end of its stream.

    A page has 27 bytes, of which the sixth holds its marks and the last the number of lacing values that follow; these add up
    to the bytes of its content.
    """
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - PAGE_SEARCH))
        tail = file.read()
    page = tail[max(0, tail.rfind(b"OggS")) :]
    if len(page) < PAGE_HEAD or not page[5] & 4:
        return False
    lacing = page[PAGE_HEAD : PAGE_HEAD + page[PAGE_HEAD - 1]]
    return len(page) >= PAGE_HEAD + len(lacing) + sum(lacing)
