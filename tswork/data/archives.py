"""One file out of a zip archive: checked by its stated size, and never larger than that."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from tswork.data.faults import some
from tswork.data.spec import DataFile
from tswork.errors import DataInvalid, Location, Problem

CHUNK = 1 << 20


def unpack(archive: Path, file: DataFile, draft: Path, progress: Callable[[str, int, int | None], None]) -> str:
    """Write the file's `member` to a draft and flush it to disk; gives its sha256.

    Raises `DataInvalid` for what is no zip archive, a member that is not there, is not of the size that the card states, does
    not fit on the disk, or is damaged. The name of a member decides nothing about where it is written.
    """
    assert file.member is not None
    place = Location(file.url) if file.url else None
    try:
        with zipfile.ZipFile(archive) as packed:
            if file.member not in packed.namelist():
                remedy = f"It holds {some(sorted(packed.namelist()))}."
                raise DataInvalid([Problem(f"the archive has no member {file.member!r}", file.name, place, remedy)])
            info = packed.getinfo(file.member)
            _check_size(info.file_size, file, draft, place)
            return _write(packed, info, draft, lambda done: progress(file.name, done, info.file_size))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        text = f"could not be unpacked: {getattr(error, 'strerror', None) or error}"
        raise DataInvalid([Problem(text, file.name, place)]) from error


def _check_size(size: int, file: DataFile, draft: Path, place: Location | None) -> None:
    """Raises `DataInvalid` before anything is written, when the stated size is another or there is no room for it."""
    if file.bytes is not None and size != file.bytes:
        text = f"the archive states {size:,} bytes for {file.member!r}, the card says {file.bytes:,}"
        raise DataInvalid([Problem(text, file.name, place, "The file was changed at its source, or on the way.")])
    free = shutil.disk_usage(draft.parent).free
    if size > free:
        text = f"{file.member!r} needs {size:,} bytes, and {free:,} are free in {draft.parent}"
        raise DataInvalid([Problem(text, file.name, place, "Make room, or give another `--data-root`.")])


def _write(packed: zipfile.ZipFile, info: zipfile.ZipInfo, draft: Path, progress: Callable[[int], None]) -> str:
    """Reading ends at the stated size, and what does not have the archive's checksum then is refused by `zipfile`."""
    digest = hashlib.sha256()
    done = 0
    with packed.open(info) as source, draft.open("wb") as out:
        while chunk := source.read(CHUNK):
            out.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            progress(done)
        if done != info.file_size:
            raise EOFError(f"it ends after {done:,} of {info.file_size:,} bytes")
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()
