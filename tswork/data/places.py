"""Where files are sought: the project's root, the file that names a path, and the folders of data sets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

SHIPPED = Path(__file__).resolve().parents[1] / "shipped"
CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Places:
    """Folders that a data block is read against.

    `root` holds `.tswork/`; `beside` is the folder of the file that names a path (a pipeline or a card).
    """

    root: Path
    beside: Path
    data_root: Path | None = None

    @staticmethod
    def here(root: Path | None = None, *, beside: Path | None = None, data_root: Path | None = None) -> Places:
        """`root`, else the nearest parent of the working directory with `.tswork/`, else the working directory."""
        chosen = root or next((folder for folder in _upwards(Path.cwd()) if (folder / ".tswork").is_dir()), Path.cwd())
        return Places(chosen.absolute(), (beside or Path.cwd()).absolute(), data_root)

    def moved(self, beside: Path) -> Places:
        """The same places seen from a file in another folder."""
        return replace(self, beside=beside)

    @property
    def store(self) -> Path:
        """The folder of the store."""
        return self.root / ".tswork" / "store"

    @property
    def data_folders(self) -> tuple[Path, ...]:
        """Folders of data sets in the order they are searched."""
        environment = os.environ.get("TSWORK_DATA")
        given = [self.data_root, Path(environment) if environment else None, self.cache]
        return tuple(folder for folder in given if folder is not None)

    @property
    def card_folders(self) -> tuple[Path, ...]:
        """Folders of data cards in the order they are searched; the shipped ones come last."""
        return (self.beside, self.beside / "data_cards", self.root / "data_cards", shipped("data_cards"))

    @property
    def cache(self) -> Path:
        """Where `tswork data fetch` puts files."""
        base = os.environ.get("XDG_CACHE_HOME")
        return (Path(base) if base else Path.home() / ".cache") / "tswork" / "data"


def shipped(folder: str) -> Path:
    """A folder that ships with tswork (`pipelines`, `data_cards`), from the wheel or from a checkout."""
    inside = SHIPPED / folder
    return inside if inside.is_dir() else CHECKOUT / folder


def _upwards(folder: Path) -> Iterator[Path]:
    yield folder
    yield from folder.parents
