"""What readers of published layouts share: a layout becomes the canonical table of a listing, and all else is the manifest's.

A layout is a folder, or one file of it, with names of its own for what the canonical table calls `path`, `id`, `speaker` and
`text`. Files or folders that are called after parts (`train`, `dev`, ...) give the column `split`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import pandas as pd
from pydantic import Field

from tswork.config import NOT_KEYED, FilePath, Folder
from tswork.data.part_words import parts_by_word
from tswork.data.places import Places
from tswork.data.readers.listing import PATH
from tswork.data.readers.recordings import Recordings, RecordingsConfig
from tswork.data.spec import DataSpec
from tswork.errors import DataInvalid


class LayoutConfig(RecordingsConfig):
    path: FilePath = Field(description="the folder of the set, or one file of it")
    root: Folder | None = Field(
        default=None,
        json_schema_extra=NOT_KEYED,
        description="folder that relative paths of recordings start from; none: as the layout has it",
    )


L = TypeVar("L", bound=LayoutConfig)


class Layout(Recordings[L]):
    """Recordings of a published layout."""

    def beginning(self, spec: DataSpec, places: Places) -> Path:
        """The folder or the file that the block names. Raises `DataInvalid` when there is neither."""
        try:
            return spec.folder("path", places)
        except DataInvalid:
            return spec.file("path", places)

    def told(self, spec: DataSpec, places: Places) -> object:
        """The table without its paths: names of files and folders became labels and parts."""
        frame = self.listing(spec, places).table.frame
        return frame.drop(columns=PATH).astype(str).to_dict("split")

    def root(self, spec: DataSpec, places: Places, usual: Path) -> Path:
        """The folder that paths start from."""
        return usual if self.config.root is None else spec.folder("root", places)


def by_part(paths: Iterable[Path]) -> dict[Path, str | None]:
    """The part that each path is called after (`train.csv`, `cv_train.jsonl.gz`, a folder `train`); None: after none."""
    words = {path: re.split(r"[_\-. ]", path.name.lower()) for path in paths}
    known = parts_by_word(word for found in words.values() for word in found)
    return {path: next((known[word] for word in found if word in known), None) for path, found in words.items()}


def canonical(frame: pd.DataFrame, names: Mapping[str, str], *, part: str | None) -> pd.DataFrame:
    """A table of a layout with the names of the canonical one (`theirs: ours`), where these are free, and the column `split`."""
    renamed = {theirs: ours for theirs, ours in names.items() if theirs in frame.columns and ours not in frame.columns}
    frame = frame.rename(columns=renamed)
    return frame if part is None else frame.assign(split=part)
