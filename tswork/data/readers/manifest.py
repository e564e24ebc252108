"""Recordings in files of their own, named by a manifest: a CSV, JSON lines or a JSON array with one row a recording.

The column `path` is relative to the manifest's folder, then to the places of data files; the suffix of each file chooses its
decoder. All other columns become the collection's table; `id` (by default the path) is unique. Columns `start` and `duration`
(seconds), or with `cut` also `start` and `stop`, take a piece out of each recording, and pieces of one recording stay together in
a split. Readers of published layouts (`kaldi`, `audiofolder`, ...) come to the same table and share everything else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pydantic import Field

from tswork.config import ADDED_LATER, NOT_KEYED, FilePath, Folder
from tswork.data.cells import with_points
from tswork.data.places import Places
from tswork.data.readers.cutting import Unit
from tswork.data.readers.listing import PATH, Listing
from tswork.data.readers.recordings import Recordings, RecordingsConfig
from tswork.data.spec import DataSpec
from tswork.data.tables import Form, Table, read_json_lines, read_table
from tswork.errors import DataInvalid, Problem, did_you_mean
from tswork.registry import register

JSON = tuple(f"{name}{packed}" for name in (".jsonl", ".ndjson", ".json") for packed in ("", ".gz"))


class ManifestConfig(RecordingsConfig):
    path: FilePath = Field(
        description="the manifest: a CSV (.csv), JSON lines (.jsonl) or an array (.json), each also gzipped"
    )
    separator: str = Field(default=",", min_length=1, max_length=1, description="between cells of the manifest")
    decimal: Literal[".", ","] = Field(
        default=".",
        json_schema_extra=ADDED_LATER,
        description="decimal point or comma of the numbers in the manifest, such as degrees and seconds",
    )
    cut: Literal["seconds", "steps", "none"] | None = Field(
        default=None,
        description="unit of the columns start and stop or duration, which cut a piece out of each recording (`none`:"
        " whole recordings); without it seconds, where the manifest has both start and duration",
    )
    suffix: str = Field(
        default="",
        pattern=r"^(\.\w+)*$",
        description="added to every path, where the manifest leaves it out, such as .hea",
    )
    root: Folder | None = Field(
        default=None,
        json_schema_extra=NOT_KEYED,
        description="folder that relative paths start from, and that {root} stands for; none: that of the manifest",
    )


@register("reader", "manifest", version=2, config=ManifestConfig)
class Manifest(Recordings[ManifestConfig]):
    """Recordings in files of their own, one row of a manifest each; the suffix chooses the decoder."""

    def listing(self, spec: DataSpec, places: Places) -> Listing:
        path = spec.file("path", places)
        if path.name.endswith(JSON):
            table = read_json_lines(path, columns=spec.options.columns)
        else:
            table = read_table(path, Form(self.config.separator), text="all", columns=spec.options.columns)
            table = replace(table, frame=with_points(table.frame)) if self.config.decimal == "," else table
        if PATH not in table.columns:
            remedy = f"{did_you_mean(PATH, table.columns)} Name it with `columns: {{path: THEIRS}}`."
            raise DataInvalid([Problem("has no column 'path'", location=table.head, remedy=remedy)])
        folder = path.parent if self.config.root is None else spec.folder("root", places)
        return Listing(table, folder, (path,), suffix=self.config.suffix)

    def cut_unit(self, table: Table) -> Unit | None:
        if self.config.cut is None:
            return super().cut_unit(table)
        return None if self.config.cut == "none" else self.config.cut
