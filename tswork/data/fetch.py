"""Downloading the files of a card: checked by size and digest, and in place only when whole."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from tswork.data.places import Places
from tswork.data.spec import DataFile, DataSpec
from tswork.errors import DataInvalid, Location, Problem
from tswork.store import file_digest

CHUNK = 1 << 18
TIMEOUT_SECONDS = 30

Progress = Callable[[str, int, int | None], None]
"""Called with a file's name, the bytes that are there, and the bytes there will be (None: unknown)."""


def fetch_files(spec: DataSpec, places: Places, *, progress: Progress | None = None) -> list[Path]:
    """The card's files below the first data folder that is given (`--data-root`), else the user's cache.

    Files that are there with the right digest are left alone. Raises `DataInvalid` with every file that could not be
    fetched; those that could stay.
    """
    target = places.data_root or places.cache
    problems: list[Problem] = []
    written: list[Path] = []
    if not spec.options.files:
        raise DataInvalid([Problem("the card names no files to fetch", spec.options.name)])
    for file in spec.options.files:
        try:
            written.append(_fetch(file, target, progress or (lambda name, done, total: None)))
        except DataInvalid as fault:
            problems.extend(fault.problems)
    if problems:
        raise DataInvalid(problems)
    return written


def _fetch(file: DataFile, folder: Path, progress: Progress) -> Path:
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
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        digest = _download(file, draft, progress)
        if file.sha256 is not None and digest != file.sha256:
            text = f"has sha256 {digest}, the card says {file.sha256}"
            raise DataInvalid(
                [Problem(text, file.name, Location(file.url), "The file was changed at its source, or on the way.")]
            )
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def _is_there(path: Path, file: DataFile) -> bool:
    if not path.is_file():
        return False
    if file.sha256 is None:
        return file.bytes in (None, path.stat().st_size)
    return file_digest(path) == file.sha256


def _download(file: DataFile, draft: Path, progress: Progress) -> str:
    """Write the file beside its place and flush it to disk; gives its sha256."""
    assert file.url is not None
    digest = hashlib.sha256()
    done = 0
    try:
        with urllib.request.urlopen(file.url, timeout=TIMEOUT_SECONDS) as answer, draft.open("wb") as out:
            announced = answer.headers.get("Content-Length")
            total = int(announced) if announced else file.bytes
            while chunk := answer.read(CHUNK):
                out.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                progress(file.name, done, total)
            out.flush()
            os.fsync(out.fileno())
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise DataInvalid([Problem(f"could not be fetched: {reason}", file.name, Location(file.url))]) from error
    if total is not None and done != total:
        raise DataInvalid(
            [Problem(f"ended after {done} of {total} bytes", file.name, Location(file.url), "Try again.")]
        )
    return digest.hexdigest()
