"""Disk errors by one name, as libraries that write for us report a full disk in words of their own; and what must not be lost."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EPERM, errno.EFBIG, errno.ENOTDIR)
"""What a disk says that cannot take a file; ENOTDIR where a folder on the way is a file."""


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what safetensors and torch raise when a file cannot be written into the `OSError` it came from."""
    from safetensors import SafetensorError

    try:
        yield
    except (SafetensorError, RuntimeError) as error:
        found = re.search(r"os error (\d+)", str(error))
        # torch tells no number; what its writer stumbles over is the disk.
        if found is None and "inline_container" not in str(error) and "PytorchStreamWriter" not in str(error):
            raise
        number = int(found[1]) if found else errno.ENOSPC
        raise OSError(number, os.strerror(number), str(path)) from error


def make_folder(folder: Path) -> None:
    """A folder and those above it. Raises `NotADirectoryError` where a file stands in its place, or in that of one above."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), error.filename) from error


def flush(path: Path) -> None:
    """Wait until a file, or what a folder lists, lies on the disk and not in the system's memory alone."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
