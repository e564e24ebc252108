"""Downloading the files of a card: checked by size and digest, and in place only when whole.

A file may be the `member` of a zip archive. The archive is downloaded once for all members that are asked of it, beside the
files, and removed again; members are unpacked to the names that the card gives them, never to their own.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from tswork.data.archives import unpack
from tswork.data.faults import refuse
from tswork.data.places import Places
from tswork.data.spec import DataFile, DataSpec
from tswork.disk import make_folder
from tswork.errors import DataInvalid, Location, Problem
from tswork.store import file_digest

CHUNK = 1 << 18
TIMEOUT_SECONDS = 30

Progress = Callable[[str, int, int | None], None]
"""Called with a file's name, the bytes that are there, and the bytes there will be (None: unknown); for the member of an
archive first with the archive's bytes, then with its own."""


def fetch_files(spec: DataSpec, places: Places, *, progress: Progress | None = None) -> list[Path]:
    """The card's files below the first data folder that is given (`--data-root`), else the user's cache.

    Files that are there with the right digest are left alone. Raises `DataInvalid` with every file that could not be
    fetched; those that could stay.
    """
    target = places.data_root or places.cache
    problems: list[Problem] = []
    written: list[Path] = []
    archives: dict[str, Path] = {}
    if not spec.options.files:
        raise DataInvalid([Problem("the card names no files to fetch", spec.options.name)])
    try:
        for file in spec.options.files:
            try:
                written.append(_fetch(file, target, archives, progress or (lambda name, done, total: None)))
            except DataInvalid as fault:
                problems.extend(fault.problems)
    finally:
        for archive in archives.values():
            archive.unlink(missing_ok=True)
    refuse(problems)
    return written


def _fetch(file: DataFile, folder: Path, archives: dict[str, Path], progress: Progress) -> Path:
    relative = PurePosixPath(file.name)
    if relative.is_absolute() or ".." in relative.parts:
        raise DataInvalid([Problem("leads out of the data root", file.name)])
    path = folder / relative
    if _is_there(path, file):
        return path
    if file.url is None:
        raise DataInvalid(
            [Problem("has no address to be fetched from", file.name, remedy="Get it from the card's source.")]
        )
    make_folder(path.parent)
    draft = _draft(path)
    try:
        if file.member is None:
            digest = _download(file, file.url, draft, file.bytes, progress)
        else:
            if file.url not in archives:
                archives[file.url] = _archive(file, file.url, path, progress)
            digest = unpack(archives[file.url], file, draft, progress)
        if file.sha256 is not None and digest != file.sha256:
            text = f"has sha256 {digest}, the card says {file.sha256}"
            raise DataInvalid(
                [Problem(text, file.name, Location(file.url), "The file was changed at its source, or on the way.")]
            )
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def _archive(file: DataFile, url: str, path: Path, progress: Progress) -> Path:
    """The archive that a file is a member of, beside the file's place."""
    archive = _draft(path)
    try:
        _download(file, url, archive, None, progress)
    except BaseException:
        archive.unlink(missing_ok=True)
        raise
    return archive


def _draft(path: Path) -> Path:
    """A name beside a file's place under which it is written until it is whole."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")


def _is_there(path: Path, file: DataFile) -> bool:
    if not path.is_file():
        return False
    if file.sha256 is None:
        return file.bytes in (None, path.stat().st_size)
    return file_digest(path) == file.sha256


def _download(file: DataFile, url: str, draft: Path, size: int | None, progress: Progress) -> str:
    """Write what the address gives (`size` bytes, where that is known) to a draft and flush it to disk; gives its sha256."""
    digest = hashlib.sha256()
    done = 0
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer, draft.open("wb") as out:
            announced = answer.headers.get("Content-Length")
            total = int(announced) if announced else size
            while chunk := answer.read(CHUNK):
                out.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                progress(file.name, done, total)
            out.flush()
            os.fsync(out.fileno())
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise DataInvalid([Problem(f"could not be fetched: {reason}", file.name, Location(url))]) from error
    if total is not None and done != total:
        raise DataInvalid([Problem(f"ended after {done} of {total} bytes", file.name, Location(url), "Try again.")])
    return digest.hexdigest()
