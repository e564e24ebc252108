"""CSV files as people have them: every fault is told with its line and a remedy, and nothing is repaired in silence."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.opening import faults, read

WIDE: dict[str, Any] = {"reader": "series_csv", "path": "load.csv"}


def wrong(folder: Path, content: str | bytes, **block: Any) -> list[str]:
    (folder / "load.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    return faults(folder, **{**WIDE, **block})


def values(folder: Path, content: str | bytes, **block: Any) -> list[list[float]]:
    (folder / "load.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    found: list[list[float]] = read(folder, **{**WIDE, **block}).values.tolist()
    return found


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n1,2\n3,4.5\n",
        "a,b\r\n1,2\r\n3,4.5\r\n",
        "\ufeffa,b\n1,2\n3,4.5\n",
        "a, b\n1, 2\n\n   \n3, 4.5\n",
        '"a","b"\n"1","2"\n3,"4.5"',
        "\na,b\n1,2\n3,4.5\n",
        "a,b,\n1,2,\n3,4.5,\n",
        ",a,b\n0,1,2\n1,3,4.5\n",
    ],
    ids=[
        "plain",
        "crlf",
        "bom",
        "spaces and blank lines",
        "quotes",
        "blank first line",
        "comma at the end",
        "written index",
    ],
)
def test_these_files_hold_the_same_table(tmp_path: Path, content: str) -> None:
    assert values(tmp_path, content) == [[1.0, 2.0], [3.0, 4.5]]


def test_other_separators_and_decimal_commas_are_options(tmp_path: Path) -> None:
    assert values(tmp_path, "a;b\n1,5;2\n", separator=";", decimal=",") == [[1.5, 2.0]]
    assert values(tmp_path, "1;2\n3;4\n", separator=";", header=False) == [[1.0, 2.0], [3.0, 4.0]]


def test_cells_that_say_nothing_are_missing_values(tmp_path: Path) -> None:
    found = values(tmp_path, "a,b\n,NA\nnan,null\n1,2\n")
    assert np.isnan(np.array(found)).tolist() == [[True, True], [True, True], [False, False]]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", "load.csv:1:1  is empty"),
        ("\n\n", "load.csv:1:1  is empty"),
        ("a,b\n", "load.csv:1:1  has a header and no rows"),
        ("a;b\n1;2\n", "load.csv:1:1  has one column; its cells seem to be separated by ';'. Give `separator: ';'`."),
        ("a\tb\n1\t2\n", 'load.csv:1:1  has one column; its cells seem to be separated by "\\t". Give `separator: "\\t"`.'),
        ("a,b,a\n1,2,3\n", "load.csv:1:1  the column 'a' stands twice"),
        ("0.5,0.25\n1,2\n", "load.csv:1:1  has no line of names: its first line holds numbers. Write a line of names on top, or give `header: false`."),
        ("a,b\n1,2\n3,x\n", "load.csv:3:1  b: 'x' is not a number"),
        ('a,b\n1,2\n3,"4,5"\n', "load.csv:3:1  b: '4,5' is not a number. It has a decimal comma: give `decimal: ','`."),
        ("name,b\nfoo,2\nbar,3\n", "load.csv:2:1  name: holds no numbers (the first: 'foo'). Choose other columns with `channels:`; time stamps are named with `time:`."),
        ("a,b\n1,2\n3,inf\n", "load.csv:3:1  b: is infinite"),
        ("a,b\n1,2\n3,1e39\n", "load.csv:3:1  b: is infinite"),
        ("a,b\n1,2\n3\n", "load.csv:3:1  has 1 cell where the header has 2"),
        ("a,b\n1,2\n\n3,4,5\n", "load.csv:4:1  has 3 cells where the header has 2. If commas stand in its decimals, save the file with semicolons between the cells."),
        ('a,b\n"1\n",2\nx,4\n', "load.csv:4:1  a: 'x' is not a number"),
        ("Größe,b\n1,2\n".encode("latin-1"), "load.csv:1:1  is not UTF-8 text. Save it as UTF-8."),
        ("a,b\n1,2\n3,5 µ\n".encode("latin-1"), "load.csv:3:1  is not UTF-8 text. Save it as UTF-8."),
        ("a,b\n1,2\n".encode("utf-16"), "load.csv:1:1  is not UTF-8 text. Save it as UTF-8."),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_line(tmp_path: Path, content: str | bytes, fault: str) -> None:
    assert wrong(tmp_path, content) == [fault]


def test_all_rows_of_another_width_are_told_and_the_rest_counted(tmp_path: Path) -> None:
    told = wrong(tmp_path, "a,b\n" + "1\n" * 30 + "1,2\n")
    assert told[0] == "load.csv:2:1  has 1 cell where the header has 2"
    assert len(told) == 21
    assert told[-1] == "and 10 more rows of another width"


def test_all_cells_of_all_columns_are_told_at_once(tmp_path: Path) -> None:
    told = wrong(tmp_path, "a,b\n1,x\ny,inf\n3,4\n")
    assert [one.split("  ")[0] for one in told] == ["load.csv:3:1", "load.csv:2:1", "load.csv:3:1"]


def test_truncated_and_false_gzip_are_refused(tmp_path: Path) -> None:
    whole = gzip.compress(b"a,b\n" + b"1,2\n" * 2000)
    (tmp_path / "load.csv.gz").write_bytes(whole[: len(whole) // 2])
    assert "load.csv.gz  is truncated or not gzip" in faults(tmp_path, **WIDE)[0]
    (tmp_path / "load.csv.gz").write_bytes(b"a,b\n1,2\n")
    assert "load.csv.gz  is truncated or not gzip" in faults(tmp_path, **WIDE)[0]
    (tmp_path / "load.csv.gz").write_bytes(whole)
    assert len(read(tmp_path, **WIDE).values) == 2000
