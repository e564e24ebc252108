"""A language of Mozilla Common Voice as its archive unpacks: tables `train.tsv`, `dev.tsv`, ... and a folder `clips`.

`client_id`, `sentence` and `accents` (in older releases `accent`) are called `speaker`, `text` and `accent` here. Accents are free text
of the speakers: `accents` gathers spellings under names, and clips with none of them are left out. The tables hold no quotation
marks around cells. Speakers of the published parts are disjoint, those of `validated.tsv` are not divided at all.
Layout: commonvoice.mozilla.org, its releases.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from pydantic import Field

from tswork.config import Many
from tswork.data.faults import fault
from tswork.data.places import Places
from tswork.data.readers.gathering import chained
from tswork.data.readers.layouts import Layout, LayoutConfig, by_part, canonical
from tswork.data.readers.listing import PATH, Listing
from tswork.data.spec import DataSpec
from tswork.data.tables import Form, Table, read_table
from tswork.errors import DataInvalid, Problem
from tswork.registry import register

NAMES = {"client_id": "speaker", "sentence": "text", "accents": "accent"}
CLIPS = "clips"
SUFFIX = ".mp3"


class CommonVoiceConfig(LayoutConfig):
    tables: Many[str] = Field(
        default=("train", "dev", "test"), min_length=1, description="tables that are read, such as [validated]"
    )
    accents: dict[str, Many[str]] = Field(
        default_factory=dict,
        description="name: spellings of an accent; clips with none of them are left out. Without it all clips stay",
    )


@register("reader", "common_voice", version=1, config=CommonVoiceConfig)
class CommonVoice(Layout[CommonVoiceConfig]):
    """A language of Common Voice: TSV tables beside clips/, accents under chosen names."""

    def listing(self, spec: DataSpec, places: Places) -> Listing:
        folder = spec.folder("path", places)
        files = by_part(folder / f"{name}.tsv" for name in self.config.tables)
        for path in files:
            if not path.is_file():
                there = ", ".join(sorted(one.stem for one in folder.glob("*.tsv"))) or "none"
                raise fault(path, "there is no such table", f"Name others with `tables: [...]`; there are {there}.")
        form = Form("\t", quotes=False)
        tables = {path: read_table(path, form, text="all", columns=spec.options.columns) for path in files}
        pieces = [(table, self._frame(table, files[path])) for path, table in tables.items()]
        return Listing(chained(folder, pieces), self.root(spec, places, folder / CLIPS), tuple(files))

    def _frame(self, table: Table, part: str | None) -> pd.DataFrame:
        frame = canonical(table.frame, NAMES, part=part)
        if PATH not in frame.columns:
            raise fault(table.path, "has no column 'path'", line=1)
        if self.config.accents:
            if "accent" not in frame.columns:
                raise DataInvalid([Problem("has no column 'accents' or 'accent'", location=table.head)])
            names = {_plain(text): name for name, texts in self.config.accents.items() for text in texts}
            named = frame["accent"].map(lambda text: names.get(_plain(text)))
            frame = frame.assign(accents=frame["accent"], accent=named)
            frame = frame[frame["accent"].notna()]
        paths = frame[PATH].map(lambda path: path if Path(path).suffix else f"{path}{SUFFIX}", na_action="ignore")
        return frame.assign(**{PATH: paths})


def _plain(text: object) -> str:
    """A spelling without capitals and doubled or missing spaces after commas."""
    return ", ".join(part.strip() for part in " ".join(str(text).casefold().split()).split(","))
