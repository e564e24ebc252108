"""Numpy files that are not whole, or that hold no numbers."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tswork.data.faults import fault


@contextmanager
def whole_file(path: Path) -> Iterator[None]:
    """Turns what numpy says of a broken file into a fault of that file."""
    try:
        yield
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        text = f"is not a whole npy or npz file without pickles: {error}"
        raise fault(path, text, "Get the file again.") from error


def check_numbers(dtype: np.dtype[Any], path: Path) -> None:
    """Raises `DataInvalid` for text, objects, dates and complex numbers."""
    if dtype.kind not in "fiub":
        raise fault(path, f"holds {'text' if dtype.kind in 'SU' else dtype.name}, not numbers")
