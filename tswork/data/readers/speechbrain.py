"""Manifests of SpeechBrain's recipes: CSV with `ID`, `wav`, `duration` and what a recipe adds, or JSON `{id: {wav: ..., ...}}`.

The path is one such file, or a folder with files called after parts (`train.csv`, `dev.csv`, `test.csv`). `$data_root` (CSV) and
`{data_root}` (JSON) at the beginning of a path stand for `root`, by default the folder of the manifests. Columns `start` and `stop`
are samples of the file. `ID`, `wav`, `spk_id` and `wrd` are called `id`, `path`, `speaker` and `text` here.
Layout: SpeechBrain's recipes CommonLanguage and CommonAccent, and its data-loading tutorial.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from tswork.data.faults import fault
from tswork.data.places import Places
from tswork.data.readers.cutting import Unit
from tswork.data.readers.gathering import Gathered, chained
from tswork.data.readers.layouts import Layout, LayoutConfig, by_part, canonical
from tswork.data.readers.listing import PATH, Listing
from tswork.data.spec import DataSpec
from tswork.data.tables import Form, Table, read_table
from tswork.errors import DataInvalid, Location, Problem
from tswork.registry import register

NAMES = {"ID": "id", "wav": PATH, "spk_id": "speaker", "wrd": "text"}
ROOTS = ("$data_root/", "{data_root}/")


class SpeechbrainConfig(LayoutConfig):
    pass


@register("reader", "speechbrain", version=1, config=SpeechbrainConfig)
class Speechbrain(Layout[SpeechbrainConfig]):
    """SpeechBrain's CSV (ID, wav, duration, ...) or JSON manifests; `root` is what $data_root stands for."""

    def listing(self, spec: DataSpec, places: Places) -> Listing:
        beginning = self.beginning(spec, places)
        files: dict[Path, str | None] = {beginning: None}
        if beginning.is_dir():
            found = sorted([*beginning.glob("*.csv"), *beginning.glob("*.json")])
            files = {path: part for path, part in by_part(found).items() if part is not None}
            if not files:
                raise fault(beginning, "holds no train.csv, dev.csv or test.csv, and no such JSON")
        tables = {path: _table(path, spec) for path in files}
        table = chained(beginning, [(table, _frame(table, files[path])) for path, table in tables.items()])
        folder = beginning if beginning.is_dir() else beginning.parent
        return Listing(table, self.root(spec, places, folder), tuple(files))

    def cut_unit(self, table: Table) -> Unit | None:
        return "steps" if {"start", "stop"} <= set(table.columns) else None


def _frame(table: Table, part: str | None) -> pd.DataFrame:
    frame = canonical(table.frame, NAMES, part=part)
    if PATH not in frame.columns:
        remedy = "Name it with `columns: {path: THEIRS}`."
        raise DataInvalid([Problem("has no column 'wav'", location=table.head, remedy=remedy)])
    paths = frame[PATH].astype(object)
    for root in ROOTS:
        paths = paths.str.replace(root, "", n=1, regex=False)
    return frame.assign(**{PATH: paths})


def _table(path: Path, spec: DataSpec) -> Table:
    if path.suffix != ".json":
        return read_table(path, Form(), text="all", columns=spec.options.columns)
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise fault(path, f"is not JSON: {error}") from error
    rows = Gathered()
    if not isinstance(found, dict) or not all(isinstance(row, dict) for row in found.values()):
        raise fault(path, "should be `{id: {wav: ..., ...}, ...}`")
    for name, row in found.items():
        rows.add({"ID": name, **_flat(row)}, Location(str(path)))
    return rows.table(path, columns=spec.options.columns)


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a JSON manifest; `wav: {file, start, stop}` is written out, other nested values become JSON text."""
    wav = row.get("wav")
    own = {key: json.dumps(value) if isinstance(value, (dict, list)) else value for key, value in row.items()}
    if isinstance(wav, dict):
        own |= {"wav": wav.get("file"), **{key: wav[key] for key in ("start", "stop") if key in wav}}
    return own
