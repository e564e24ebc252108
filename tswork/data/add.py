"""A data card for files of one's own, with reader and columns guessed from what the file looks like."""

from __future__ import annotations

import io
import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from ruamel.yaml import YAML

from tswork.data.add_sound import describe_sound, layout_of
from tswork.data.cells import DATE_FORMATS, DECIMAL_COMMA, date_format_of
from tswork.data.faults import fault, refuse
from tswork.data.part_words import parts_by_word
from tswork.data.places import Places
from tswork.data.readers.comet_npy import FEATURES, LABELS
from tswork.data.readers.decoders.base import decoders_by_suffix, suffix_of
from tswork.data.readers.manifest import JSON
from tswork.data.readers.numpy_files import numpy_file
from tswork.data.spec import read_spec
from tswork.data.tables import SEPARATORS, Form, Table, read_header, read_json_lines, read_table
from tswork.disk import make_folder
from tswork.errors import DataInvalid, Location, Problem, did_you_mean
from tswork.source import Source

TIME_NAMES = ("date", "time", "timestamp", "datetime", "stamp", "ds")
PATH_NAMES = ("path", "file", "file_name", "filename", "audio", "recording", "wav")
ID_NAMES = ("id", "unique_id", "series", "series_id")
SAMPLE_ROWS = 200


def write_card(
    name: str,
    path: Path,
    *,
    label: str | None = None,
    groups: Sequence[str] = (),
    skip_bad: bool = False,
    options: Mapping[str, Any] | None = None,
    places: Places,
) -> Path:
    """Write `<root>/data_cards/NAME.yaml` and give its path; the card names the file relative to itself.

    With `skip_bad` the card says so, and recordings that cannot be used do not keep it from being written. `options` stand in the card
    beside what was guessed, and before it.
    Raises `DataInvalid` when the file is not understood, a named column is not there, or the card exists already.
    """
    target = places.root / "data_cards" / f"{name}.yaml"
    problems = []
    if not re.fullmatch(r"[\w-]+", name):
        problems.append(Problem(f"{name!r} is not a name for a card", remedy="Use letters, digits, '_' and '-'."))
    if target.exists():
        there = Location(str(target))
        problems.append(Problem("there is a card already", location=there, remedy="Choose another name."))
    if path.is_dir() and not _holds_patients(path) and layout_of(path) is None:
        without = f"is a folder without {FEATURES}/ and {LABELS}, and without sound in a known layout"
        problems.append(Problem(without, "", Location(str(path)), "Name the file or the manifest inside it."))
    elif not path.exists():
        problems.append(Problem("there is no such file", location=Location(str(path))))
    refuse(problems)
    path = path.resolve()
    found = {**guess(path, label=label, groups=groups), **(options or {})}
    if found["reader"] not in ("series_csv", "arrays", "comet_npy"):
        found |= {"skip_bad": True} if skip_bad else {}
        found |= describe_sound({**found, "path": str(path)}, places)
    inside = path.is_relative_to(places.root.resolve())
    shown = os.path.relpath(path, target.parent.resolve()) if inside else str(path)
    card: dict[str, Any] = {
        "title": f"{name}, from {path.name}",
        "reader": found.pop("reader"),
        "path": shown,
        **found,
    }
    _check({key: item for key, item in {**card, "path": str(path)}.items() if key != "split"}, places)
    text = io.StringIO()
    writer = YAML()
    writer.default_flow_style = None
    writer.dump(card, text)
    make_folder(target.parent)
    target.write_text(text.getvalue(), encoding="utf-8")
    return target


def _check(card: dict[str, Any], places: Places) -> None:
    """Raises `DataInvalid` when the card would not open, as far as that can be seen without reading values."""
    spec, faults = read_spec(Source(card))
    if spec is None:
        raise DataInvalid(faults)
    spec.reader.build().inspect(spec, places)


def guess(path: Path, *, label: str | None, groups: Sequence[str]) -> dict[str, Any]:
    """Reader, options and split for a file. Raises `DataInvalid` when it is none that is known."""
    described: dict[str, Any] = {**({"label": label} if label else {}), **({"groups": list(groups)} if groups else {})}
    by_groups = {"by": "groups", "fractions": [0.6, 0.2, 0.2]}
    layout = layout_of(path) if not _holds_patients(path) else None
    if layout is not None:
        return {"reader": layout, **described, "split": by_groups}
    if path.is_dir():
        return {"reader": "comet_npy", "label": "label", "groups": ["patient"], **described, "split": by_groups}
    if path.suffix in (".npz", ".npy"):
        return {"reader": "arrays", **described, "split": {"by": "official"} if _in_halves(path) else by_groups}
    if path.name.endswith(JSON):
        return _manifest(read_json_lines(path), {}, described, by_groups)
    if not re.search(r"\.(csv|tsv|txt)(\.gz)?$", path.name):
        text = f"files ending in {path.suffix or 'nothing'} are not known"
        if suffix_of(path, decoders_by_suffix()) in decoders_by_suffix():
            text, remedy = "is one recording", "Write a CSV with a column 'path' that names such files."
            raise fault(path, text, remedy)
        raise fault(path, text, "Give a CSV, a JSON-lines manifest, npz or npy.")
    form, written = _form(path)
    table = read_table(path, form, text="all", rows=SAMPLE_ROWS)
    missing = [column for column in (label, *groups) if column and column not in table.columns]
    refuse([Problem(f"has no column {one!r}", "", table.head, did_you_mean(one, table.columns)) for one in missing])
    if _path_column(table) is not None:
        return _manifest(table, written, described, by_groups)
    return _series(table, form, written, described, by_groups)


def _manifest(
    table: Table, written: dict[str, Any], described: dict[str, Any], by_groups: dict[str, Any]
) -> dict[str, Any]:
    column = _path_column(table)
    if column is None:
        remedy = f"Call it 'path'; there are {', '.join(table.columns)}."
        raise DataInvalid([Problem("has no column of files", location=table.head, remedy=remedy)])
    renamed = {"columns": {"path": column}} if column != "path" else {}
    suffix = _left_out(table, column)
    words = set(table.frame["split"].dropna().astype(str)) if "split" in table.columns else set()
    known = parts_by_word(words)
    official = words == set(known) and {"train", "test"} <= set(known.values())
    return {
        "reader": "manifest",
        **renamed,
        **({"suffix": suffix} if suffix else {}),
        **written,
        **described,
        "split": {"by": "official"} if official else by_groups,
    }


def _series(
    table: Table, form: Form, written: dict[str, Any], described: dict[str, Any], by_groups: dict[str, Any]
) -> dict[str, Any]:
    options: dict[str, Any] = {"reader": "series_csv", **written}
    stamp = next((column for column in table.columns if column.lower() in TIME_NAMES), None)
    key = next((column for column in table.columns if column.lower() in ID_NAMES), None)
    if key is not None:
        options |= {"layout": "long", **({"id": key} if key != "id" else {})}
    elif described:
        remedy = "Name the recordings in a column 'path', or the series in a column 'id'."
        raise DataInvalid(
            [Problem("holds one series, which has no label or groups", location=table.head, remedy=remedy)]
        )
    unnamed = {"stamp": ""} if stamp is None and _unnamed_dates(table.path, form) else {}
    if stamp is not None or unnamed:
        date_format = _date_format(table.path, form, stamp or "stamp", unnamed)
        options |= {"columns": unnamed} if unnamed else {}
        options |= {"time": stamp or "stamp", **({"date_format": date_format} if date_format else {})}
        options["prepare"] = [{"uses": "calendar"}, {"uses": "standardize"}]
    in_time = {"by": "time", "fractions": [0.6, 0.2, 0.2]}
    return {**options, **described, "split": by_groups if described else in_time}


def _path_column(table: Table) -> str | None:
    """A column whose name says that it holds files, or whose first cell is one or ends as files of recordings do."""
    named = next((column for column in table.columns if column.lower() in PATH_NAMES), None)
    known = decoders_by_suffix()
    looks = (
        column
        for column in table.columns
        if suffix_of(Path(str(table.frame[column].iloc[0])), known) in known or _left_out(table, column)
    )
    return named or next(looks, None)


def _left_out(table: Table, column: str) -> str:
    """The suffix that the cells of a column lack to be files beside the table; empty where they lack none."""
    first = str(table.frame[column].iloc[0])
    known = decoders_by_suffix()
    if suffix_of(Path(first), known) in known:
        return ""
    return next((suffix for suffix in known if (table.path.parent / f"{first}{suffix}").is_file()), "")


def _holds_patients(folder: Path) -> bool:
    return (folder / FEATURES).is_dir() and (folder / LABELS).is_file()


def _form(path: Path) -> tuple[Form, dict[str, Any]]:
    """How a table is written, and the options that say so where they are not the default."""
    separator = "\t" if ".tsv" in path.suffixes else ","
    try:
        table = read_table(path, Form(separator), text="all", rows=SAMPLE_ROWS)
    except DataInvalid as wrong:
        other = next((one for one in SEPARATORS if SEPARATORS[one] in wrong.problems[0].message), None)
        if other is None:
            raise
        separator = other
        table = read_table(path, Form(separator), text="all", rows=SAMPLE_ROWS)
    cells = table.frame.astype(str).to_numpy().ravel()
    comma = separator != "," and any(DECIMAL_COMMA.fullmatch(cell.strip()) for cell in cells)
    written: dict[str, Any] = {"separator": separator} if separator != "," else {}
    return Form(separator, "," if comma else "."), {**written, **({"decimal": ","} if comma else {})}


def _unnamed_dates(path: Path, form: Form) -> bool:
    """Whether the only column without a name holds dates: an index that was written along. Plain numbers are no dates."""
    if read_header(path, form).count("") != 1:
        return False
    cells = read_table(path, form, text="all", columns={"stamp": ""}, rows=SAMPLE_ROWS).frame["stamp"]
    if cells.isna().any() or pd.to_numeric(cells, errors="coerce").notna().any():
        return False
    formats = ("ISO8601", *DATE_FORMATS)
    return any(pd.to_datetime(cells, format=one, errors="coerce", utc=True).notna().all() for one in formats)


def _date_format(path: Path, form: Form, column: str, columns: dict[str, str]) -> str | None:
    """The format of the dates of a column; None for ISO 8601 and for none that fits."""
    cells = read_table(path, form, text="all", columns=columns).frame[column]
    if pd.to_datetime(cells, format="ISO8601", errors="coerce", utc=True).notna().all():
        return None
    return date_format_of(cells)


def _in_halves(path: Path) -> bool:
    if path.suffix == ".npy":
        return False
    with numpy_file(path) as file, zipfile.ZipFile(file) as archive:
        return "X_train.npy" in archive.namelist()
