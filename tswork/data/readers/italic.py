"""ITALIC, Italian commands by speakers of many regions: a JSON file for each part of its divisions, and a folder of recordings.

Fields: `utt` (here `text`), `audio`, `intent`, `speaker`, `age`, `is_native`, `gender`, `region`, `nationality`, `lisp`, `education`,
`environment`, `device`, one object a line or all in one array. Each division (`massive`, `hard_speaker`, `hard_noisy`) has a file for
each part, whose name or folder tells both (`hard_speaker_train.json`). The names of the archive's files and of its folder of recordings
were not verified: any that tell division and part are taken, and recordings are sought beside the files and in `recordings/`, `audio/`
or `wavs/`.
Fields: github.com/RiTA-nlp/ITALIC, its README. Paper: Koudounas et al., Interspeech 2023.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import Field

from tswork.data.faults import fault
from tswork.data.places import Places
from tswork.data.readers.gathering import chained, read_each
from tswork.data.readers.layouts import Layout, LayoutConfig, by_part, canonical
from tswork.data.readers.listing import PATH, ROOT, Listing
from tswork.data.spec import DataSpec
from tswork.data.tables import Table, read_json_lines
from tswork.registry import register

NAMES = {"audio": PATH, "utt": "text"}
FOLDERS = ("", "recordings/", "audio/", "wavs/")


class ItalicConfig(LayoutConfig):
    division: Literal["massive", "hard_speaker", "hard_noisy"] = Field(
        default="hard_speaker", description="which of the three divisions into parts; hard_speaker shares no speaker"
    )


@register("reader", "italic", version=1, config=ItalicConfig)
class Italic(Layout[ItalicConfig]):
    """ITALIC as its archive unpacks: JSON lines or arrays of one division, and recordings."""

    def listing(self, spec: DataSpec, places: Places) -> Listing:
        folder = spec.folder("path", places)
        found = sorted(
            path for path in folder.rglob("*.json*") if self.config.division in str(path.relative_to(folder))
        )
        files = {path: part for path, part in by_part(found).items() if part is not None}
        if not files:
            raise fault(folder, f"holds no JSON of {self.config.division!r} that are called after a part")
        tables = read_each(files, lambda path: read_json_lines(path, columns=spec.options.columns))
        root = self.root(spec, places, folder)
        pieces = [(table, _frame(table, files[path], root)) for path, table in tables.items()]
        return Listing(chained(folder, pieces), root, tuple(files))


def _frame(table: Table, part: str | None, root: Path) -> pd.DataFrame:
    frame = canonical(table.frame.replace("", None), NAMES, part=part)
    if PATH not in frame.columns and "id" not in frame.columns:
        raise fault(table.path, "has neither a field 'audio' nor 'id'", line=1)
    names = [_name(cell) for cell in frame[PATH]] if PATH in frame.columns else [f"{name}.wav" for name in frame["id"]]
    first = str(next(filter(None, names), ""))
    inside = next((folder for folder in FOLDERS if (root / folder / first).is_file()), "")
    paths = [name if name is None or str(name).startswith(ROOT) else inside + str(name) for name in names]
    return frame.assign(**{PATH: pd.Series(paths, frame.index, dtype=object)})


def _name(cell: Any) -> str | None:
    """The file of a recording: text, or a block with its path."""
    text = None if pd.isna(cell) else str(cell)
    if text is None or not text.startswith("{") or text.startswith(ROOT):
        return text
    path = json.loads(text).get(PATH)
    return None if path is None else str(path)
