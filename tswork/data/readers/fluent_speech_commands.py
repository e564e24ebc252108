"""Fluent Speech Commands as its archive unpacks: `data/train_data.csv`, `valid_data.csv`, `test_data.csv`, and a folder `wavs`.

Columns: an index without a name, `path` (below the folder of the set), `speakerId`, `transcription` (here `speaker` and `text`),
`action`, `object`, `location`. They are read by name, and a comma inside a quoted transcription is part of it; code that cuts
lines at commas loses the rest of such a sentence. `intent` is `action_object_location`, 31 of them in the whole set, in which an
absent object or location is called `none`. The three files are the official split.
Paper: Lugosch et al., Speech Model Pre-training for End-to-End Spoken Language Understanding, Interspeech 2019.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pandas as pd

from tswork.data.faults import each, refuse
from tswork.data.places import Places
from tswork.data.readers.gathering import chained, read_each
from tswork.data.readers.layouts import Layout, LayoutConfig, canonical
from tswork.data.readers.listing import PATH, Listing
from tswork.data.spec import DataSpec
from tswork.data.tables import Form, Table, read_table
from tswork.errors import Location, Problem
from tswork.registry import register

PARTS = {"train": "train", "valid": "validation", "test": "test"}
NAMES = {"speakerId": "speaker", "transcription": "text"}
INTENT = ("action", "object", "location")
NEEDED = {PATH: PATH, **{ours: theirs for theirs, ours in NAMES.items()}, **{name: name for name in INTENT}}
"""Columns that every row has, and how the files call them."""


class FluentSpeechCommandsConfig(LayoutConfig):
    pass


@register("reader", "fluent_speech_commands", version=1, config=FluentSpeechCommandsConfig)
class FluentSpeechCommands(Layout[FluentSpeechCommandsConfig]):
    """Fluent Speech Commands as its archive unpacks: three CSV files in data/, and wavs/."""

    def listing(self, spec: DataSpec, places: Places) -> Listing:
        folder = spec.folder("path", places)
        files = {folder / "data" / f"{name}_data.csv": part for name, part in PARTS.items()}
        refuse([_absent(path) for path in files if not path.is_file()])
        tables = read_each(files, lambda path: read_table(path, Form(), text="all", columns=spec.options.columns))
        pieces = [(table, canonical(table.frame, NAMES, part=files[path])) for path, table in tables.items()]
        refuse([problem for piece in pieces for problem in _faults(*piece)])
        whole = chained(folder, [(table, frame.assign(intent=_intents(frame))) for table, frame in pieces])
        return Listing(whole, self.root(spec, places, folder), tuple(files))


def _intents(frame: pd.DataFrame) -> pd.Series[str]:
    action, thing, place = (frame[name].astype(str) for name in INTENT)
    return action + "_" + thing + "_" + place


def _absent(path: Path) -> Problem:
    remedy = "Give the folder `fluent_speech_commands_dataset` of the archive as `path`, with its three files in data/."
    return Problem("there is no such file", location=Location(str(path)), remedy=remedy)


def _faults(table: Table, frame: pd.DataFrame) -> Iterator[Problem]:
    """Columns that are not there, and empty cells of those that are."""
    for ours, theirs in NEEDED.items():
        if ours not in frame.columns:
            remedy = f"Name it with `columns: {{{ours}: THEIRS}}`."
            yield Problem(f"has no column {theirs!r}", location=table.head, remedy=remedy)
            continue
        empty = frame.index[frame[ours].isna()].to_numpy()
        yield from each(empty, partial(_empty, table, theirs), rest=f"rows without {theirs!r}")


def _empty(table: Table, name: str, row: int) -> Problem:
    return Problem("the cell is empty", name, table.at(row), "Mend the row, or leave it out of the file.")
