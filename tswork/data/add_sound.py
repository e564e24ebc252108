"""What a card for recordings of sound should say, guessed: the layout of a folder, the rate, the speakers, the label, the split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tswork.data.checking_groups import PERSONS, PLACES
from tswork.data.part_words import parts_by_word
from tswork.data.places import Places
from tswork.data.readers.audiofolder import METADATA
from tswork.data.readers.base import Reader
from tswork.data.readers.decoders.base import decoders_by_suffix, suffix_of
from tswork.data.readers.lhotse import SUFFIXES
from tswork.data.readers.lhotse_cuts import CUTS
from tswork.data.readers.recordings import table_alone
from tswork.data.spec import DataSpec
from tswork.errors import DataInvalid

LABELS = ("label", "region", "dialect", "variety", "accent", "language", "intent")
COMMON_RATE = 16000
"""Samples a second that sets with several rates are brought to."""
SHARES = [0.8, 0.1, 0.1]
FEWEST = 3
TABLES = {"speechbrain": {"ID", "wav"}, "s3prl": {"id", "wav_path"}}
"""Columns by which a table tells its layout."""


def layout_of(path: Path) -> str | None:
    """The reader of the layout that a folder, or a table of SpeechBrain, S3PRL or Lhotse, has; None: none that is known."""
    if path.is_file():
        return _layout_of_table(path) if path.suffix == ".csv" else "lhotse" if _holds_cuts(path) else None
    if any(path.glob("wav.scp")) or any(path.glob("*/wav.scp")):
        return "kaldi"
    pairs = any(path.glob("*supervisions*.jsonl*")) and any(path.glob("*recordings*.jsonl*"))
    if pairs or any(map(_holds_cuts, path.iterdir())):
        return "lhotse"
    if (path / "clips").is_dir() and any(path.glob("*.tsv")):
        return "common_voice"
    if any(path.rglob("*hard_speaker*.json*")):
        return "italic"
    tables = [one for one in path.glob("*.csv") if one.name not in METADATA]
    if (layout := next(filter(None, map(_layout_of_table, tables)), None)) is not None:
        return layout
    return "audiofolder" if _has_metadata(path) or _has_sound(path) else None


def describe_sound(block: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """Rate, label, groups and split for a block that reads sound, where it does not say them; nothing for other recordings."""
    spec = DataSpec.parse({**block, "label": None, "groups": [], "split": None})
    reader: Reader[Any] = spec.reader.build()
    try:
        told = [one.outline for one in reader.outlines(spec, places)]
    except DataInvalid:
        return {}  # the card is looked at as a whole afterwards, which tells the faults
    rates = {one.file_rate for one in told if one is not None and one.file_rate is not None}
    table = table_alone(spec, places)
    if not rates or table is None:
        return {}
    columns = list(map(str, table.table.columns))
    label = block.get("label") or next((name for name in LABELS if name in columns), None)
    several = [name for name in (*PLACES, *PERSONS) if name in columns and name != label]
    groups = list(block.get("groups") or [name for name in several if table.table[name].nunique() > 1])
    guessed = {"rate": COMMON_RATE} if len(rates) > 1 else {}
    words = set(table.table["split"].dropna().astype(str)) if "split" in columns else set()
    parts = parts_by_word(words)
    if words and words == set(parts) and {"train", "test"} <= set(parts.values()):
        split: dict[str, Any] = {"by": "official"}
    else:
        split = _split(table.table, label, groups)
    described = {**({"label": label} if label else {}), **({"groups": groups} if groups else {})}
    return {**guessed, **described, "split": split}


def _split(table: Any, label: str | None, groups: Sequence[str]) -> dict[str, Any]:
    """By groups of each label where every label has enough of them, else by groups, else by sequences."""
    if not groups:
        return {"by": "sequences", "fractions": SHARES}
    whole = {"by": "groups", "fractions": SHARES}
    if label is None:
        return whole
    one_label = all((table.groupby(column)[label].nunique() <= 1).all() for column in groups)
    enough = all((table.groupby(label)[column].nunique() >= FEWEST).all() for column in groups)
    return {"by": "groups", "rule": "per_label", "fractions": SHARES} if one_label and enough else whole


def _layout_of_table(path: Path) -> str | None:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        names = {cell.strip() for cell in file.readline().split(",")}
    return next((layout for layout, own in TABLES.items() if own <= names), None)


def _holds_cuts(path: Path) -> bool:
    return CUTS in path.name and path.name.endswith(SUFFIXES)


def _has_metadata(path: Path) -> bool:
    return any((folder / name).is_file() for folder in (path, *path.glob("*/")) for name in METADATA)


def _has_sound(path: Path) -> bool:
    known = {suffix: one for suffix, one in decoders_by_suffix().items() if one.name == "sound"}
    return any(suffix_of(file, known) in known for file in path.rglob("*") if file.is_file())
