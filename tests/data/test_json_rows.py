"""Objects of JSON files with the lines they begin at, and all that is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tswork.data.tables import read_json_lines
from tswork.errors import DataInvalid

ROWS = [{"a": 1, "b": "x]"}, {"a": 2, "b": "[,"}, {"a": 3, "b": "\n"}]


def told(path: Path) -> list[str]:
    with pytest.raises(DataInvalid) as refused:
        read_json_lines(path)
    return [str(problem).replace(f"{path.parent}/", "") for problem in refused.value.problems]


@pytest.mark.parametrize("indent", [None, 1, 4])
def test_an_array_holds_what_lines_hold(tmp_path: Path, indent: int | None) -> None:
    (tmp_path / "lines.json").write_text("\n".join(map(json.dumps, ROWS)))
    (tmp_path / "array.json").write_text("\n  " + json.dumps(ROWS, indent=indent) + "\n\n")
    lines, array = (read_json_lines(tmp_path / f"{name}.json") for name in ("lines", "array"))
    assert array.frame.equals(lines.frame)


def test_rows_of_an_array_stand_where_they_begin(tmp_path: Path) -> None:
    (tmp_path / "all.json").write_text(json.dumps(ROWS, indent=1))
    table = read_json_lines(tmp_path / "all.json")
    assert [table.at(row).line for row in range(3)] == [2, 6, 10]


def test_everything_that_is_no_object_is_told(tmp_path: Path) -> None:
    (tmp_path / "all.json").write_text('[{"a": 1},\n 3,\n {"a": 2}, [4],\n "x"]')
    assert told(tmp_path / "all.json") == [f"all.json:{line}:1  should be a JSON object" for line in (2, 3, 4)]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('[{"a": 1}\n{"a": 2}]', "all.json:2:1  is not JSON: expected ',' or ']' between the entries of an array"),
        ('[{"a": 1},\n {"a": }]', "all.json:2:1  is not JSON: Expecting value: line 2 column 8"),
        ('[{"a": 1}', "all.json:1:1  is not JSON: expected ',' or ']' between the entries of an array"),
        ('[{"a": 1}]\n\n{"a": 2}', "all.json:3:1  is not JSON: more follows behind the array"),
        ("[", "all.json:1:1  is not JSON: Expecting value"),
        ("[\n]\n", "all.json:1:1  is empty"),
        ("\n", "all.json:1:1  is empty"),
    ],
)
def test_what_is_no_array_is_told_where_it_ends_to_be_one(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "all.json").write_text(text)
    (found,) = told(tmp_path / "all.json")
    assert found.startswith(fault)
