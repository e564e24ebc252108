"""Digests of data files, remembered by (path, size, time of change, inode), so that a plan reads no file twice."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tswork.data.faults import refuse
from tswork.data.places import Places
from tswork.data.readers.base import Reader
from tswork.data.spec import DataSpec
from tswork.errors import Location, Problem
from tswork.store import file_digest

MEMORY = "digests.json"


def source_digest(spec: DataSpec, places: Places, *, verify: bool = False) -> str:
    """One digest over the contents of all files the reader would read, in its order; names and places do not count.

    Decoders that the files ask for count with their version, as components that are named in a block do in stage keys.
    `verify` reads every file again. Raises `DataInvalid` when a file is missing.
    """
    reader: Reader[Any] = spec.reader.build()
    files: Sequence[Path] = reader.files(spec, places)
    known = file_digests(files, places, verify=verify)
    digest = hashlib.sha256()
    for file in files:
        digest.update(known[file].encode())
    for component in sorted(reader.used(spec, places), key=lambda one: one.name):
        digest.update(f"{component.kind} {component.name} {component.version}".encode())
    told = reader.told(spec, places)
    if told is not None:
        digest.update(json.dumps(told, sort_keys=True, default=str).encode())
    return digest.hexdigest()


def file_digests(files: Sequence[Path], places: Places, *, verify: bool = False) -> dict[Path, str]:
    """The digest of the content of every file. `verify` reads every file again. Raises `DataInvalid` where that is not allowed."""
    memory = DigestMemory(places.root)
    digests: dict[Path, str] = {}
    faults: list[Problem] = []
    for file in dict.fromkeys(files):
        try:
            digests[file] = memory.digest(file, verify=verify)
        except OSError as error:
            faults.append(Problem(f"cannot be read: {error.strerror or error}", location=Location(str(file))))
    memory.save()
    refuse(faults)
    return digests


class DigestMemory:
    """Digests of files that were read before; a file that changed since is read again."""

    def __init__(self, root: Path) -> None:
        self._path = path = root / ".tswork" / MEMORY
        self._known: dict[str, list[str | int]] = {}
        self._changed = False
        with suppress(OSError, ValueError):
            self._known = json.loads(path.read_text())

    def digest(self, file: Path, *, verify: bool = False) -> str:
        """sha256 of a file's content; `verify` reads it again in any case."""
        status = file.stat()
        mark = [status.st_size, status.st_mtime_ns, status.st_ino]
        known = self._known.get(str(file))
        if not verify and known is not None and known[:3] == mark:
            return str(known[3])
        digest = file_digest(file)
        self._known[str(file)] = [*mark, digest]
        self._changed = True
        return digest

    def save(self) -> None:
        """Losing this file costs time only, so a failure to write it stops nothing."""
        if not self._changed:
            return
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            draft = self._path.with_name(f"{self._path.name}.{os.getpid()}")
            draft.write_text(json.dumps(self._known))
            os.replace(draft, self._path)
