"""A data card for files of one's own, with reader and columns guessed from what the file looks like."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from ruamel.yaml import YAML

from tswork.data.spec import read_spec
from tswork.errors import DataInvalid, Location, Problem, did_you_mean
from tswork.source import Source

TIME_NAMES = ("date", "time", "timestamp", "datetime", "stamp", "ds")
PATH_NAMES = ("path", "file", "filename", "audio", "recording")
SAMPLE_ROWS = 200


def write_card(name: str, path: Path, *, label: str | None = None, groups: Sequence[str] = (), root: Path) -> Path:
    """Write `<root>/data_cards/NAME.yaml` and give its path.

    Raises `DataInvalid` when the file is not understood, a named column is not there, or the card exists already.
    """
    target = root / "data_cards" / f"{name}.yaml"
    problems = []
    if not re.fullmatch(r"[\w-]+", name):
        problems.append(Problem(f"{name!r} is not a name for a card", remedy="Use letters, digits, '_' and '-'."))
    if target.exists():
        problems.append(
            Problem("there is a card already", location=Location(str(target)), remedy="Choose another name.")
        )
    if not path.is_file():
        problems.append(Problem("there is no such file", location=Location(str(path))))
    if problems:
        raise DataInvalid(problems)
    card: dict[str, Any] = {"title": f"{name}, from {path.name}", **guess(path, label=label, groups=groups)}
    if label:
        card["label"] = label
    if groups:
        card["groups"] = list(groups)
    card["split"] = _split(card, label)
    _, faults = read_spec(Source(card))
    if faults:
        raise DataInvalid(faults)
    target.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = YAML()
    writer.default_flow_style = None
    writer.dump(card, text)
    target.write_text(text.getvalue())
    return target


def guess(path: Path, *, label: str | None, groups: Sequence[str]) -> dict[str, Any]:
    """Reader and options for a file. Raises `DataInvalid` when it is none that is known."""
    whole = str(path.absolute())
    if path.suffix in (".npz", ".npy"):
        return {"reader": "arrays", "path": whole}
    if path.suffix == ".jsonl" or path.name.endswith(".jsonl.gz"):
        return {"reader": "manifest", "path": whole}
    if not re.search(r"\.(csv|tsv|txt)(\.gz)?$", path.name):
        text = f"files ending in {path.suffix or 'nothing'} are not known"
        raise DataInvalid(
            [Problem(text, location=Location(whole), remedy="Give a CSV, a JSON-lines manifest, npz or npy.")]
        )
    frame = pd.read_csv(path, nrows=SAMPLE_ROWS, sep="\t" if ".tsv" in path.name else ",")
    columns = [str(column) for column in frame.columns]
    missing = [column for column in (label, *groups) if column and column not in columns]
    if missing:
        raise DataInvalid(
            [
                Problem(f"has no column {one!r}", location=Location(whole, 1), remedy=did_you_mean(one, columns))
                for one in missing
            ]
        )
    if any(column.lower() in PATH_NAMES for column in columns):
        found = next(column for column in columns if column.lower() in PATH_NAMES)
        return {"reader": "manifest", "path": whole, **({"columns": {"path": found}} if found != "path" else {})}
    stamp = next((column for column in columns if column.lower() in TIME_NAMES), None)
    options: dict[str, Any] = {"reader": "series_csv", "path": whole, **({"time": stamp} if stamp else {})}
    if "id" in columns:
        options["layout"] = "long"
    if stamp:
        options["prepare"] = [{"uses": "calendar"}, {"uses": "standardize"}]
    return options


def _split(card: dict[str, Any], label: str | None) -> dict[str, Any]:
    if card["reader"] == "series_csv" and not label:
        return {"by": "time", "fractions": [0.6, 0.2, 0.2]}
    return {"by": "groups", "fractions": [0.6, 0.2, 0.2]}
