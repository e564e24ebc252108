"""Stored samples of WFDB signal files: the common formats straight from their bytes, all others through the package wfdb.

Formats as in signal(5) of the WFDB manual. Setting up a record costs wfdb tens of milliseconds, more than reading ten seconds of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer

from tswork.data.faults import fault
from tswork.data.readers.decoders.wfdb_headers import Header, Wave
from tswork.errors import PackageMissing

ALIGNED = {"16": ("<i2", 0), "32": ("<i4", 0), "80": ("u1", 2**7), "160": ("<u2", 2**15)}
"""Formats of one sample in whole bytes: their type, and what is taken off."""
PAIRS = "212"
"""Two samples of 12 bits in three bytes."""


def stored_samples(header: Header, places: Sequence[int]) -> list[Integer[np.ndarray, "time"]]:
    """Samples of some signals of a record of one segment, as they are stored.

    Raises `PackageMissing` where wfdb is needed and not there, and `DataInvalid` when it cannot read them.
    """
    direct = {file.name: _frames(file, waves, header.frames) for file, waves in _by_file(header) if _is_direct(waves)}
    others = [place for place in places if header.waves[place].file not in direct]
    through = dict(zip(others, with_wfdb(header, others), strict=True)) if others else {}
    return [
        through[place] if place in through else _signal(direct[header.waves[place].file], header, place)
        for place in places
    ]


def with_wfdb(header: Header, places: Sequence[int]) -> list[Integer[np.ndarray, "time"]]:
    """The same through the package, for every format that it reads."""
    try:
        import wfdb
    except ImportError as error:
        reason = f"signals in the format {header.waves[places[0]].form}"
        raise PackageMissing(
            "wfdb", f"the decoder 'hea' for {reason}", "pip install 'tswork[medical]'", str(error)
        ) from error
    try:
        read: Any = wfdb.rdrecord(header.name, physical=False, smooth_frames=False, channels=list(places))
    except (OSError, ValueError, IndexError, EOFError, RuntimeError) as error:
        raise fault(header.path, f"its samples cannot be read: {error}", "Get the record again.") from error
    return list(read.e_d_signal)


def _by_file(header: Header) -> list[tuple[Path, list[Wave]]]:
    return [(file, [wave for wave in header.waves if wave.file == file.name]) for file in header.files]


def _is_direct(waves: Sequence[Wave]) -> bool:
    return waves[0].form in (*ALIGNED, PAIRS) and not any(wave.skew for wave in waves)


def _frames(file: Path, waves: Sequence[Wave], frames: int) -> Integer[np.ndarray, "frame sample"]:
    """Samples of all signals of a file, a row a frame."""
    width = sum(wave.per_frame for wave in waves)
    count = frames * width
    if waves[0].form == PAIRS:
        return _unpaired(np.fromfile(file, np.uint8, -(-count * 3 // 2), offset=waves[0].start), count).reshape(
            -1, width
        )
    kind, shift = ALIGNED[waves[0].form]
    stored = np.fromfile(file, kind, count, offset=waves[0].start).reshape(frames, width)
    return stored.astype(np.int32) - shift if shift else stored


def _unpaired(stored: Integer[np.ndarray, "byte"], count: int) -> Integer[np.ndarray, "sample"]:
    """Samples of 12 bits: a low byte each, and their high halves in the byte between."""
    low, both, other = np.pad(stored, (0, -len(stored) % 3)).reshape(-1, 3).astype(np.int32).T
    samples = np.stack([low | (both & 15) << 8, other | (both >> 4) << 8], axis=1).reshape(-1)[:count]
    return (samples ^ 0x800) - 0x800


def _signal(frames: Integer[np.ndarray, "frame sample"], header: Header, place: int) -> Integer[np.ndarray, "time"]:
    """One signal out of all those of its file."""
    wave = header.waves[place]
    first = sum(one.per_frame for one in header.waves[:place] if one.file == wave.file)
    return frames[:, first : first + wave.per_frame].reshape(-1)
