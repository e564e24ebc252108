"""Files that a person names with `--out`: looked at before the work begins, and written with the folders they lie in."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tswork.disk import make_folder
from tswork.errors import InvalidInput, Location, Problem

if TYPE_CHECKING:
    import pandas as pd


def check_out(out: Path | None) -> None:
    """Refuse a file that cannot be written, so that nothing is computed in vain; its folder is made. Raises `InvalidInput`."""
    if out is None:
        return
    with _told(out):
        make_folder(out.parent)
        if out.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        if not os.access(out if out.exists() else out.parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def write_text(text: str, out: Path) -> None:
    """Text as UTF-8. Raises `InvalidInput` when the disk refuses."""
    with _told(out):
        out.write_text(text, encoding="utf-8")


def write_frame(frame: pd.DataFrame, out: Path, *, digits: str | None = None) -> None:
    """A table, as Parquet where the file is called so, else as CSV. Raises `InvalidInput` when the disk refuses."""
    from tswork.data.stored import plain_columns

    with _told(out):
        if out.suffix == ".parquet":
            plain_columns(frame).to_parquet(out, index=False)
        else:
            frame.to_csv(out, index=False, float_format=digits)


@contextmanager
def _told(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        text = f"cannot be written: {error.strerror or error}"
        raise InvalidInput(
            [Problem(text, location=Location(str(out)), remedy="Name another file with --out.")]
        ) from error
