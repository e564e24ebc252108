"""Finding the files of a data set."""

from __future__ import annotations

import os
import re
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
    """A data file: as it stands, beside the file that names it, or below a data root (also gzipped, also in a folder of the
    card's name).

    Raises `DataInvalid` with every place that was looked at.
    """
    expanded = expand(path)
    bases = [places.beside, *places.data_folders] if not expanded.is_absolute() else [Path("/")]
    tried = []
    for base in bases:
        for candidate in (base / expanded, base / card / expanded if card else base / expanded):
            for file in (candidate, candidate.with_name(candidate.name + ".gz")):
                if file.exists():
                    return file
                tried.append(str(file))
    looked = ", ".join(dict.fromkeys(name for name in tried if not name.endswith(".gz")))
    remedy = "Mend the path, set $TSWORK_DATA or --data-root, or get the set with `tswork data fetch`."
    raise DataInvalid(
        [Problem(f"there is no such file (looked at {looked})", location=Location(str(path)), remedy=remedy)]
    )
