"""Finding the files of a data set."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from tswork.data.places import Places
from tswork.errors import DataInvalid, Location, Problem

VARIABLE = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")


def expand(path: Path) -> Path:
    """`${env:NAME}` and `~` in a path. Raises `DataInvalid` when a variable is not set."""
    missing = [name for name in VARIABLE.findall(str(path)) if name not in os.environ]
    if missing:
        raise DataInvalid(
            [Problem(f"the environment variable {name} is not set", location=Location(str(path))) for name in missing]
        )
    return Path(VARIABLE.sub(lambda match: os.environ[match[1]], str(path))).expanduser()


def find_file(path: Path, places: Places, *, card: str = "") -> Path:
    """A data file: beside the file that names it, or below a data root (there also in a folder of the card's name).

    `.gz` may be added. Raises `DataInvalid` with every place that was looked at.
    """
    tried = _candidates(path, places, card)
    for candidate in tried:
        for file in (candidate, candidate.with_name(candidate.name + ".gz")):
            if os.path.isfile(file):  # which is no error for a name that no file can have
                return file
    folder = next((candidate for candidate in tried if os.path.isdir(candidate)), None)
    if folder is not None:
        raise DataInvalid([Problem("is a folder, not a file", location=Location(str(folder)))])
    raise _absent("file", path, tried)


def find_folder(path: Path, places: Places, *, card: str = "") -> Path:
    """A folder of data, sought where `find_file` seeks files. Raises `DataInvalid` with every place that was looked at."""
    tried = _candidates(path, places, card)
    found = next((candidate for candidate in tried if os.path.isdir(candidate)), None)
    if found is None:
        raise _absent("folder", path, tried)
    return found


def _candidates(path: Path, places: Places, card: str) -> list[Path]:
    """Beside the file that names the path, then below the data roots, there also in a folder of the card's name."""
    expanded = expand(path)
    if expanded.is_absolute():
        return [expanded]
    below = [folder / name for folder in places.data_folders for name in dict.fromkeys((".", card or "."))]
    return [base / expanded for base in (places.beside, *below)]


def _absent(what: str, path: Path, tried: Sequence[Path]) -> DataInvalid:
    looked = ", ".join(dict.fromkeys(map(str, tried)))
    remedy = "Mend the path, set $TSWORK_DATA or --data-root, or get the set with `tswork data fetch`."
    return DataInvalid(
        [Problem(f"there is no such {what} (looked at {looked})", location=Location(str(path)), remedy=remedy)]
    )
