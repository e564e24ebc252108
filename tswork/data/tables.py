"""Tables in text files (CSV, JSON lines or an array of JSON objects, plain or gzipped), read so that every fault can be told with its line.

The first line of a CSV names the columns; columns without a name (an index that was written along, a comma at the end of
every line) are left out. Text columns keep their text: `03` stays `03`, `NA` is a name, and only an empty cell is missing.
"""

from __future__ import annotations

import csv
import gzip
import json
import warnings
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from tswork.data.faults import each, fault, refuse
from tswork.data.json_rows import array_objects, line_objects
from tswork.errors import DataInvalid, Location, Problem
from tswork.wording import counted

MISSING = ["", "NA", "N/A", "n/a", "NaN", "nan", "-nan", "-NaN", "NULL", "null", "None", "<NA>", "#N/A", "#NA"]
"""Cells of number columns that are missing values."""
SEPARATORS = {";": "';'", "\t": '"\\t"', "|": "'|'"}


@dataclass(frozen=True)
class Form:
    """How a CSV is written: what separates cells and decimals, and whether its first line names the columns."""

    separator: str = ","
    decimal: str = "."
    header: bool = True
    wording: str = "{}"
    """How a person gives these options, such as `decoders: [{{uses: csv, {}}}]`."""
    quotes: bool = True
    """Whether cells may stand between quotation marks; without, such marks are part of their text."""

    @property
    def quoting(self) -> Literal[0, 3]:
        """The same in the words of the modules csv and pandas."""
        return csv.QUOTE_MINIMAL if self.quotes else csv.QUOTE_NONE

    def option(self, text: str) -> str:
        """An option as it is written in a data block."""
        return f"`{self.wording.format(text)}`"


@dataclass(frozen=True, eq=False)
class Table:
    """The rows of a file, and where each of them stands."""

    path: Path
    frame: pd.DataFrame
    find_lines: Callable[[], Sequence[int]]

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.frame)

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return [str(name) for name in self.frame.columns]

    @property
    def head(self) -> Location:
        """Where the names of the columns stand."""
        return Location(str(self.path), 1)

    def at(self, row: int) -> Location:
        """Where a row stands, with its line."""
        return Location(str(self.path), self._lines[int(row)])

    def only(self, rows: Sequence[int]) -> Table:
        """Some of the rows, which still stand where they stood."""
        return _Some(self.path, self.frame.iloc[list(rows)].reset_index(drop=True), list, self, tuple(rows))

    @cached_property
    def _lines(self) -> Sequence[int]:
        """The line each row begins at; read again from the file, and only when something is wrong."""
        return self.find_lines()


@dataclass(frozen=True, eq=False)
class _Some(Table):
    """Some rows of a table."""

    whole: Table
    rows: tuple[int, ...]

    def at(self, row: int) -> Location:
        """Where a row stands in the whole table."""
        return self.whole.at(self.rows[int(row)])


def read_table(
    path: Path,
    form: Form,
    *,
    text: Collection[str] | Literal["all"] = (),
    columns: Mapping[str, str] | None = None,
    rows: int | None = None,
) -> Table:
    """The table of a CSV file; with `rows` only the first ones.

    `columns` (our name: name in the file) renames what is there; columns of `text` (our names) stay text. Raises
    `DataInvalid` for a file that is unreadable, empty, ragged, not UTF-8, without a line of names, or separated by
    something else.
    """
    names = read_header(path, form)
    ours = {theirs: our for our, theirs in (columns or {}).items()}
    renamed = [ours.get(name, name) for name in names]
    frame = _parsed(path, form, names, [text == "all" or our in text for our in renamed], rows)
    if frame.empty:
        raise fault(path, "has a header and no rows" if form.header else "has no rows", line=1)
    frame.columns = pd.Index(renamed)
    return Table(path, frame[[name for name in renamed if name]], lambda: _lines_of(path, form))


def read_header(path: Path, form: Form) -> list[str]:
    """Names of the columns as they stand in the file (numbered where there is no line of names).

    Raises `DataInvalid` when there is no such line or it cannot be understood.
    """
    cells = [cell.strip() for cell in next((cells for _, cells in _records(path, form)), [])]
    if not any(cells):
        raise fault(path, "is empty", line=1)
    other = next((one for one in SEPARATORS if one in cells[0] and one != form.separator), None)
    if len(cells) == 1 and other:
        remedy = f"Give {form.option(f'separator: {SEPARATORS[other]}')}."
        raise fault(path, f"has one column; its cells seem to be separated by {SEPARATORS[other]}", remedy, line=1)
    if not form.header:
        return [f"channel_{number}" for number in range(len(cells))]
    twice = sorted({cell for cell in cells if cell and cells.count(cell) > 1})
    if twice:
        raise DataInvalid(
            [Problem(f"the column {name!r} stands twice", location=Location(str(path), 1)) for name in twice]
        )
    if _are_values(cells):
        remedy = f"Write a line of names on top, or give {form.option('header: false')}."
        raise fault(path, "has no line of names: its first line holds numbers", remedy, line=1)
    return cells


def read_json_lines(path: Path, *, columns: Mapping[str, str] | None = None) -> Table:
    """The table of a file with one JSON object a line, or one array of objects; what is nested in them becomes JSON text.

    Raises `DataInvalid` for lines or entries that are no JSON object.
    """
    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    faults: list[tuple[int, str]] = []
    _, beginning = next(_text_lines(path), (1, ""))
    whole = beginning.lstrip().startswith("[")
    for line, row in array_objects(_text(path), faults) if whole else line_objects(_text_lines(path), faults):
        rows.append({key: json.dumps(item) if isinstance(item, (dict, list)) else item for key, item in row.items()})
        lines.append(line)
    if faults:
        problems = [Problem(text, location=Location(str(path), line)) for line, text in faults]
        raise DataInvalid(list(each(problems, lambda one: one, rest="lines that are not JSON objects")))
    if not rows:
        raise fault(path, "is empty", line=1)
    ours = {theirs: our for our, theirs in (columns or {}).items()}
    return Table(path, frame_of(rows).rename(columns=ours), lambda: lines)


def frame_of(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a table, whose large whole numbers stay exact beside rows that lack one: pandas would round them."""
    frame = pd.DataFrame(rows)
    for name in frame.columns[frame.dtypes == np.float64]:
        cells = [row.get(name) for row in rows]
        if any(isinstance(cell, int) and int(float(cell)) != cell for cell in cells):
            frame[name] = pd.Series(cells, dtype=object, index=frame.index)
    return frame


def _parsed(path: Path, form: Form, names: list[str], as_text: list[bool], rows: int | None) -> pd.DataFrame:
    """All rows as pandas reads them; ragged ones, which pandas fills or cuts without a word, are refused."""
    places = [name or f"\0{number}" for number, name in enumerate(names)]
    text = dict(zip(places, as_text, strict=True))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                path, sep=form.separator, quoting=form.quoting, decimal=form.decimal, header=0 if form.header else None, names=places,
                index_col=False, nrows=rows, skipinitialspace=True, low_memory=False, float_precision="round_trip",
                encoding="utf-8-sig", dtype={place: str for place in places if text[place]}, keep_default_na=False,
                na_values={place: [""] if text[place] else MISSING for place in places},
            )  # fmt: skip
    except (EOFError, zlib.error, OSError) as error:
        raise _truncated(path, error) from error
    except UnicodeDecodeError as error:
        raise _not_utf8(path) from error
    except pd.errors.EmptyDataError:
        return pd.DataFrame(columns=pd.Index(places))
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        ragged = list(_ragged(path, form, len(names)))
        raise (DataInvalid(ragged) if ragged else fault(path, f"is not a CSV table: {error}")) from error
    if len(frame) and frame.iloc[:, -1].isna().any():
        ragged = list(_ragged(path, form, len(names)))
        refuse(ragged)
    return frame


def _ragged(path: Path, form: Form, width: int) -> Iterator[Problem]:
    rows = [(line, len(cells)) for line, cells in _records(path, form) if len(cells) != width]

    def problem(row: tuple[int, int]) -> Problem:
        line, found = row
        commas = found > width and form.separator == ","
        remedy = "If commas stand in its decimals, save the file with semicolons between the cells." if commas else ""
        return Problem(
            f"has {counted(found, 'cell')} where the header has {width}",
            location=Location(str(path), line),
            remedy=remedy,
        )

    yield from each(rows, problem, rest="rows of another width")


def _are_values(cells: Sequence[str]) -> bool:
    """Whether all cells are numbers, other than a count of columns."""
    try:
        found = [float(cell) for cell in cells]
    except ValueError:
        return False
    return found not in ([*range(len(found))], [*range(1, len(found) + 1)])


def _lines_of(path: Path, form: Form) -> list[int]:
    lines = [line for line, _ in _records(path, form)]
    return lines[1:] if form.header else lines


def _records(path: Path, form: Form) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file that are not blank, each with the line it begins at."""
    try:
        with _open(path) as file:
            reader = csv.reader(file, delimiter=form.separator, skipinitialspace=True, quoting=form.quoting)
            line = 1
            for cells in reader:
                if len(cells) > 1 or (cells and cells[0].strip()):
                    yield line, cells
                line = reader.line_num + 1
    except csv.Error as error:
        raise fault(path, f"is not a CSV table: {error}") from error
    except UnicodeDecodeError as error:
        raise _not_utf8(path) from error
    except (EOFError, zlib.error, OSError) as error:
        raise _truncated(path, error) from error


def _text(path: Path) -> str:
    """A text file as a whole, line ends as they are."""
    return "".join(line for _, line in _text_lines(path, blank=True))


def _text_lines(path: Path, *, blank: bool = False) -> Iterator[tuple[int, str]]:
    """The lines of a text file, counted from 1; those that are blank only on request."""
    try:
        with _open(path) as file:
            yield from ((number, line) for number, line in enumerate(file, start=1) if blank or line.strip())
    except UnicodeDecodeError as error:
        raise _not_utf8(path) from error
    except (EOFError, zlib.error, OSError) as error:
        raise _truncated(path, error) from error


def _open(path: Path) -> Any:
    opened = gzip.open if path.suffix == ".gz" else open
    return opened(path, "rt", encoding="utf-8-sig", newline="")


def _truncated(path: Path, error: Exception) -> DataInvalid:
    if path.suffix == ".gz":
        return fault(path, f"is truncated or not gzip: {error}", "Get the file again.")
    return fault(path, f"cannot be read: {getattr(error, 'strerror', None) or error}")


def _not_utf8(path: Path) -> DataInvalid:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    line = 1
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
    return fault(path, "is not UTF-8 text", "Save it as UTF-8.", line=line)
