"""Numpy files that are not whole, or that hold no numbers."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tswork.data.faults import fault


@contextmanager
def numpy_file(path: Path) -> Iterator[BinaryIO]:
    """The open file; what numpy says of it when it is not whole becomes a fault of that file."""
    try:
        with path.open("rb") as file:
            yield file
    except PermissionError as error:
        raise fault(path, f"cannot be read: {error.strerror}") from error
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        text = f"is not a whole npy or npz file without pickles: {error}"
        raise fault(path, text, "Get the file again.") from error


def array_header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of an array in npy form, from its head alone."""
    form: Any = np.lib.format
    read = form.read_array_header_1_0 if form.read_magic(file) == (1, 0) else form.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def check_numbers(dtype: np.dtype[Any], path: Path) -> None:
    """Raises `DataInvalid` for text, objects, dates and complex numbers."""
    if dtype.kind not in "fiub":
        raise fault(path, f"holds {'text' if dtype.kind in 'SU' else dtype.name}, not numbers")
