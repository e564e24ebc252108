"""Folders of recordings as the Hugging Face `audiofolder` builder takes them: folders called after classes, or metadata files.

`set/train/LABEL/a.wav` or `set/LABEL/a.wav`; or a `metadata.csv` or `metadata.jsonl` with a column `file_name` in the folder of each
part or of the set, whose other columns describe the recordings. Folders called after parts give the official split. Recordings
that a metadata file does not name are left out. Nothing is decoded by the package `datasets`, which is not needed.
Layout: huggingface.co/docs/datasets, "Load audio data".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from pydantic import Field

from tswork.config import Many
from tswork.data.faults import each, fault, once, refuse
from tswork.data.places import Places
from tswork.data.readers.decoders.base import decoders_by_suffix, suffix_of
from tswork.data.readers.gathering import Gathered, chained
from tswork.data.readers.layouts import Layout, LayoutConfig, by_part
from tswork.data.readers.listing import Listing
from tswork.data.spec import DataSpec
from tswork.data.tables import Form, Table, read_json_lines, read_table
from tswork.errors import Location, Problem
from tswork.registry import register

METADATA = ("metadata.csv", "metadata.jsonl")
FILE_NAME = "file_name"


class AudiofolderConfig(LayoutConfig):
    folders: Many[str] = Field(
        default=("label",),
        description="columns that the names of folders below those of the parts become, such as [label, speaker]",
    )


@register("reader", "audiofolder", version=1, config=AudiofolderConfig)
class Audiofolder(Layout[AudiofolderConfig]):
    """Folders called after classes, or recordings beside a metadata.csv or .jsonl with file_name."""

    def listing(self, spec: DataSpec, places: Places) -> Listing:
        folder = spec.folder("path", places)
        inside = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        parts = {path: part for path, part in by_part(inside).items() if part is not None and _is_word(path)}
        found = {**parts, **({folder: None} if _metadata(folder) is not None or not parts else {})}
        tables = {path: table for path in found if (table := _metadata(path)) is not None}
        if not tables:
            return Listing(self._by_folder(folder, found, spec), self.root(spec, places, folder), ())
        pieces = [(table, _described(table, path, folder, found[path], spec)) for path, table in tables.items()]
        table = chained(folder, pieces)
        return Listing(table, self.root(spec, places, folder), tuple(one.path for one in tables.values()))

    def _by_folder(self, folder: Path, parts: dict[Path, str | None], spec: DataSpec) -> Table:
        """A row for every recording, with the names of the folders around it. Raises `DataInvalid` for other depths."""
        levels, rows, wrong = self.config.folders, Gathered(), []
        for top, part in parts.items():
            for file in _recordings(top):
                names = file.relative_to(top).parts[:-1]
                if len(names) != len(levels):
                    wrong.append(file)
                    continue
                row = {"path": str(file.relative_to(folder)), **dict(zip(levels, names, strict=True))}
                rows.add({**row, "split": part} if part else row, Location(str(file)))
        wanted = "/".join([*(f"<{name}>" for name in levels), "file"])
        remedy = (
            "Name the levels, outermost first, as `folders: [label, speaker]`, or describe the files in a metadata.csv."
        )

        def problem(file: Path) -> Problem:
            return Problem(f"does not lie as {wanted}", location=Location(str(file)), remedy=remedy)

        every = [] if rows.rows else once(list(map(problem, wrong)), of=len(wrong), what="files")
        refuse(every if len(every) == 1 else each(wrong, problem, rest="files at another depth"))
        return rows.table(folder, columns=spec.options.columns)


def _shown(file: Path, folder: Path) -> str:
    """A file from the folder of the set on, or as it is where it lies elsewhere."""
    return str(file.relative_to(folder) if file.is_relative_to(folder) else file)


def _is_word(path: Path) -> bool:
    """Whether a folder has the name of a part and nothing else: `train`, not `train_station`."""
    return by_part([path])[path] is not None and path.name.isalpha()


def _recordings(folder: Path) -> Iterator[Path]:
    known = decoders_by_suffix()
    yield from (
        file for file in sorted(folder.rglob("*")) if file.is_file() and suffix_of(file, known) in known
    )  # fmt: skip


def _metadata(folder: Path) -> Table | None:
    """The metadata of a folder, if there are any. Raises `DataInvalid` when they name no files."""
    path = next((folder / name for name in METADATA if (folder / name).is_file()), None)
    if path is None:
        return None
    table = read_json_lines(path) if path.suffix == ".jsonl" else read_table(path, Form(), text="all")
    if FILE_NAME not in table.columns:
        raise fault(path, f"has no column {FILE_NAME!r}", f"It has {', '.join(table.columns)}.", line=1)
    return table


def _described(table: Table, top: Path, folder: Path, part: str | None, spec: DataSpec) -> pd.DataFrame:
    """Metadata as canonical rows; where the parts have no metadata of their own, folders called after them tell the part."""
    paths = table.frame[FILE_NAME].map(lambda name: _shown(top / str(name), folder), na_action="ignore")
    others = table.frame.drop(columns=FILE_NAME)
    frame = others.rename(columns={theirs: ours for ours, theirs in spec.options.columns.items()}).assign(path=paths)
    if part is not None:
        return frame.assign(split=part)
    if "split" in frame.columns:
        return frame
    first = frame["path"].astype(str).str.split("/").str[0]
    known = {path.name: one for path, one in by_part(map(Path, first.unique())).items() if one and _is_word(path)}
    return frame.assign(split=first.map(known)) if set(known) == set(first) else frame
