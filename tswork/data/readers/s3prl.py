"""Tables of S3PRL's recipes: CSV with `id`, `wav_path`, `label` (or `label_0`, `label_1`, ... or `transcription`).

The path is one such file, or a folder with files called after parts (`train.csv`, `valid.csv`, `test.csv`). `start_sec` and `end_sec` are
seconds of the file, empty ones its beginning and its end. `wav_path` and `transcription` are called `path` and `text` here.
Layout: github.com/s3prl/s3prl, its problems `superb_sid`, `superb_ic` and `superb_asr`.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from tswork.data.faults import fault
from tswork.data.places import Places
from tswork.data.readers.cutting import Unit
from tswork.data.readers.gathering import chained, read_each
from tswork.data.readers.layouts import Layout, LayoutConfig, by_part, canonical
from tswork.data.readers.listing import PATH, Listing
from tswork.data.spec import DataSpec
from tswork.data.tables import Form, Table, read_table
from tswork.errors import DataInvalid, Problem
from tswork.registry import register

NAMES = {"wav_path": PATH, "transcription": "text", "start_sec": "start", "end_sec": "stop"}


class S3prlConfig(LayoutConfig):
    pass


@register("reader", "s3prl", version=1, config=S3prlConfig)
class S3prl(Layout[S3prlConfig]):
    """S3PRL's CSV (id, wav_path, label or transcription), one file or train, valid, test."""

    def listing(self, spec: DataSpec, places: Places) -> Listing:
        beginning = self.beginning(spec, places)
        files: dict[Path, str | None] = {beginning: None}
        if beginning.is_dir():
            files = {path: part for path, part in by_part(sorted(beginning.glob("*.csv"))).items() if part is not None}
            if not files:
                raise fault(beginning, "holds no train.csv, valid.csv or test.csv")
        tables = read_each(files, lambda path: read_table(path, Form(), text="all", columns=spec.options.columns))
        frames = read_each(files, lambda path: _frame(tables[path], files[path]))
        folder = beginning if beginning.is_dir() else beginning.parent
        pieces = [(table, frames[path]) for path, table in tables.items()]
        return Listing(chained(beginning, pieces), self.root(spec, places, folder), tuple(files))

    def cut_unit(self, table: Table) -> Unit | None:
        return "seconds" if {"start", "stop"} & set(table.columns) else None


def _frame(table: Table, part: str | None) -> pd.DataFrame:
    frame = canonical(table.frame, NAMES, part=part)
    if PATH not in frame.columns:
        remedy = "Name it with `columns: {path: THEIRS}`."
        raise DataInvalid([Problem("has no column 'wav_path'", location=table.head, remedy=remedy)])
    return frame
