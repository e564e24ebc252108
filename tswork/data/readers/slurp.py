"""SLURP, spoken commands to an assistant at home: sentences as JSON lines, and FLAC recordings of each by several people.

The path is the folder of the repository (`dataset/slurp/*.jsonl`, `audio/slurp_real/*.flac`, `audio/slurp_synth/*.flac`), or one in
which the JSON lines lie, with the recordings in `slurp_real` and `slurp_synth`, in `audio`, or beside them. There is a row for each
recording, with the columns of its sentence (`tswork.data.readers.slurp_texts`). `slurp_id` is the sentence: several people recorded
it, most with two microphones at once, so files of one sentence belong into one part, as in the official split.

| column | is |
| --- | --- |
| `text`, `scenario`, `action`, `intent` | the sentence; `intent` is `scenario_action` |
| `slots` | a JSON list of `[type, filler]` |
| `microphone` | `headset` or `other`, from the name of the file; `synthetic` of the table `train_synthetic` |
| `speaker` | `usrid` of `metadata.json`, where that file lies beside the JSON lines |
| `wer` | word error rate of a recogniser on the recording, as published |

A recording that is named again is read once, where it is named first. Layout: github.com/pswietojanski/slurp, its README and
scripts/download_audio.sh. Paper: Bastianelli et al., SLURP: A Spoken Language Understanding Resource Package, EMNLP 2020.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import Field

from tswork.config import Many
from tswork.data.faults import fault, refuse
from tswork.data.places import Places
from tswork.data.readers.decoders.sound_files import read_header
from tswork.data.readers.gathering import chained, read_each
from tswork.data.readers.layouts import Layout, LayoutConfig
from tswork.data.readers.listing import PATH, Listing
from tswork.data.readers.slurp_texts import read_sentences, recordings_of
from tswork.data.spec import DataSpec
from tswork.data.tables import Table, read_json_lines
from tswork.errors import DataInvalid, Location, Problem
from tswork.registry import register
from tswork.wording import worded

PARTS = {"devel": "validation", "test": "test", "train": "train", "train_synthetic": "train"}
"""The part of each table. Those that judge stand first, so that a recording that is named again is not trained on."""
SYNTHETIC = "train_synthetic"
TEXTS = "dataset/slurp"
METADATA = "metadata.json"
REAL_FOLDERS = ("audio/slurp_real/", "slurp_real/", "audio/", "")
SYNTHETIC_FOLDERS = ("audio/slurp_synth/", "slurp_synth/", "audio/", "")
RECORDING = ".flac"


class SlurpConfig(LayoutConfig):
    tables: Many[Literal["train", "train_synthetic", "devel", "test"]] = Field(
        default=("train", "devel", "test"),
        min_length=1,
        description="files of sentences that are read; train_synthetic adds recordings by synthetic voices to training",
    )
    microphone: Literal["all", "headset", "other"] = Field(
        default="all", description="recordings of which microphone are read; synthetic ones have none and stay"
    )
    longest_seconds: float | None = Field(
        default=None,
        gt=0,
        description="longer recordings, by what their headers tell, are left out (some studies: 7); none: all stay",
    )
    longest_characters: int | None = Field(
        default=None,
        ge=1,
        description="recordings of longer sentences are left out (some studies: 130); none: all stay",
    )


@register("reader", "slurp", version=1, config=SlurpConfig)
class Slurp(Layout[SlurpConfig]):
    """SLURP: JSON lines of sentences, and a folder of recordings of them."""

    def listing(self, spec: DataSpec, places: Places) -> Listing:
        folder = spec.folder("path", places)
        root = self.root(spec, places, folder)
        files = self._files(folder)
        metadata = next(iter(files)).parent / METADATA
        users = _users(metadata) if metadata.is_file() else None
        read = read_each(files, _sentences)
        pieces = [(table, _frame(rows, files[path], root, users)) for path, (table, rows) in read.items()]
        whole = chained(folder, pieces)
        kept, notes = self._kept(whole.frame, root)
        if kept.empty:
            raise fault(folder, "no recording is left", " ".join(notes))
        ours = {theirs: our for our, theirs in spec.options.columns.items()}
        table = replace(whole, frame=whole.frame.rename(columns=ours)).only(kept.index.tolist())
        return Listing(table, root, (*files, *([metadata] if users is not None else [])), notes=notes)

    def _files(self, folder: Path) -> dict[Path, str]:
        """The file of each table that is read. Raises `DataInvalid` with all that are not there."""
        inside = folder / TEXTS
        texts = inside if inside.is_dir() else folder
        known: dict[str, Path] = {name: _plain_or_gzipped(texts / f"{name}.jsonl") for name in PARTS}
        there = ", ".join(name for name, path in known.items() if path.is_file()) or "none"
        remedy = f"Name others with `tables: [...]`; there are {there}."
        chosen: dict[Path, str] = {path: name for name, path in known.items() if name in self.config.tables}
        gone = [path for path in chosen if not path.is_file()]
        refuse([Problem("there is no such table", location=Location(str(path)), remedy=remedy) for path in gone])
        return chosen

    def _kept(self, frame: pd.DataFrame, root: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
        """The recordings that are read, and a note for each reason that leaves some out."""
        notes = []
        for reason, wrong in self._reasons(root):
            out = wrong(frame)
            if out.any():
                count = int(out.sum())
                of = f"{count:,} of {len(frame):,} {worded(len(frame), 'recording')}"
                notes.append(f"{of} {worded(count, 'is', 'are')} left out: {reason}")
                frame = frame[~out]
        return frame, tuple(notes)

    def _reasons(self, root: Path) -> Iterator[tuple[str, Callable[[pd.DataFrame], pd.Series[bool]]]]:
        """Why recordings are left out, and which of a table are. Headers are read last, of those that are still there."""
        options = self.config
        yield "they are named already, and each is read once", lambda frame: frame[PATH].duplicated()
        if options.microphone != "all":
            wanted = [options.microphone, "synthetic"]
            yield f"`microphone: {options.microphone}`", lambda frame: ~frame["microphone"].isin(wanted)
        if (characters := options.longest_characters) is not None:
            yield f"`longest_characters: {characters}`", lambda frame: frame["text"].map(len) > characters
        if (seconds := options.longest_seconds) is not None:
            yield f"`longest_seconds: {seconds:g}`", lambda frame: _seconds_of(frame, root) > seconds


def _sentences(path: Path) -> tuple[Table, pd.DataFrame]:
    table = read_json_lines(path)
    return table, read_sentences(table)


def _frame(sentences: pd.DataFrame, name: str, root: Path, users: Mapping[str, str] | None) -> pd.DataFrame:
    """The recordings of a table with their files below the root, part and speaker."""
    frame = recordings_of(sentences)
    if frame.empty:
        return frame
    speakers = {} if users is None else {"speaker": frame[PATH].map(users)}
    inside = _folder(root, SYNTHETIC_FOLDERS if name == SYNTHETIC else REAL_FOLDERS)
    microphone = {"microphone": "synthetic"} if name == SYNTHETIC else {}
    return frame.assign(**{PATH: inside + frame[PATH]}, split=PARTS[name], **microphone, **speakers)


def _folder(root: Path, folders: tuple[str, ...]) -> str:
    """The first of some folders that holds a recording; the usual one where none does."""
    return next((name for name in folders if _holds_recordings(root / name)), folders[0])


def _holds_recordings(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        return any(entry.name.endswith(RECORDING) for entry in entries)


def _plain_or_gzipped(path: Path) -> Path:
    zipped = path.with_name(f"{path.name}.gz")
    return zipped if zipped.is_file() and not path.is_file() else path


def _seconds_of(frame: pd.DataFrame, root: Path) -> pd.Series[float]:
    return frame[PATH].map(lambda path: _seconds(root / path))


def _seconds(path: Path) -> float:
    """How long a recording is by its header; NaN where that cannot be told, which is told elsewhere."""
    try:
        header = read_header(path)
    except (DataInvalid, OSError):
        return float("nan")
    return float("nan") if header.length is None else header.length / header.rate


def _users(path: Path) -> dict[str, str]:
    """Who speaks in each recording, by `metadata.json`. Raises `DataInvalid`."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        entries = [pair for entry in found.values() for pair in entry["recordings"].items()]
        return {file: str(told["usrid"]) for file, told in entries if told.get("usrid") is not None}
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        text = "should be JSON, `{slurp_id: {recordings: {file: {usrid: ...}}}}`"
        raise fault(path, text, "Get the file again, or remove it: recordings then have no speaker.") from error
