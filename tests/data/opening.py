"""Short ways to read a data block in a folder, and to list what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tswork.data.collection import Collection
from tswork.data.places import Places
from tswork.data.reading import read_collection
from tswork.data.spec import DataSpec
from tswork.errors import InvalidInput


def places(folder: Path) -> Places:
    """The folder as root and as the place of the file that names paths."""
    return Places.here(folder, beside=folder)


def read(folder: Path, **block: Any) -> Collection:
    """The collection of a data block whose paths are relative to the folder."""
    return read_collection(DataSpec.parse(block), places(folder))


def inspect(folder: Path, **block: Any) -> None:
    """What can be seen without reading values."""
    spec = DataSpec.parse(block)
    spec.reader.build().inspect(spec, places(folder))


def faults(folder: Path, look: Callable[..., object] = read, **block: Any) -> list[str]:
    """Everything that is wrong, with the folder's own path cut away."""
    with pytest.raises(InvalidInput) as refused:
        look(folder, **block)
    assert refused.value.exit_code == 2
    return [str(problem).replace(f"{folder}/", "") for problem in refused.value.problems]
