"""Series in CSV files: three layouts, time stamps, chosen and renamed columns, and everything that can be wrong with them."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.data.opening import faults, inspect, read

WIDE: dict[str, Any] = {"reader": "series_csv", "path": "load.csv", "time": "stamp"}
LONG: dict[str, Any] = {"reader": "series_csv", "path": "load.csv", "layout": "long"}
ROWS: dict[str, Any] = {"reader": "series_csv", "path": "load.csv", "layout": "rows"}


def write(folder: Path, text: str, name: str = "load.csv") -> None:
    (folder / name).write_text(text)


def nanoseconds(*stamps: str) -> list[int]:
    return [int(np.datetime64(stamp, "ns").astype(np.int64)) for stamp in stamps]


def test_wide_is_one_series_with_a_channel_a_column(tmp_path: Path) -> None:
    write(tmp_path, "stamp,load,temp\n2024-01-01 00:00,1,10\n2024-01-01 01:00,2,11\n2024-01-01 02:00,3,\n")
    found = read(tmp_path, **WIDE, rate=1 / 3600)
    assert found.channels == ("load", "temp")
    assert found.values[:, 0].tolist() == [1, 2, 3]
    assert torch.isnan(found.values[2, 1])
    assert found.values.dtype == torch.float32
    assert found.times is not None
    assert found.times.tolist() == nanoseconds("2024-01-01T00", "2024-01-01T01", "2024-01-01T02")
    assert found.table["id"].tolist() == ["load"]
    assert found.rate == 1 / 3600
    assert found.targets == ()


@pytest.mark.parametrize(
    ("asked", "channels", "targets"),
    [
        ({}, ("a", "b", "c"), ()),
        ({"target": "c"}, ("c",), ("c",)),
        ({"target": ["a"], "covariates": ["c", "b"]}, ("c", "b", "a"), ("a",)),
        ({"channels": ["c", "a"]}, ("c", "a"), ()),
        ({"target": ["b", "a"], "channels": ["a", "c"]}, ("c", "b", "a"), ("b", "a")),
    ],
)
def test_covariates_stand_before_targets(
    tmp_path: Path, asked: dict[str, object], channels: tuple[str, ...], targets: tuple[str, ...]
) -> None:
    write(tmp_path, "a,b,c\n1,2,3\n")
    found = read(tmp_path, reader="series_csv", path="load.csv", **asked)
    assert (found.channels, found.targets) == (channels, targets)
    assert found.values.tolist() == [["abc".index(name) + 1.0 for name in channels]]


def test_columns_are_called_as_the_block_calls_them(tmp_path: Path) -> None:
    write(tmp_path, "Datum,Last (MW),T\n2024-01-01,1,2\n2024-01-02,3,4\n")
    found = read(tmp_path, **WIDE, columns={"stamp": "Datum", "load": "Last (MW)"}, target=["load"])
    assert found.channels == ("load",)
    assert found.times is not None


def test_a_column_without_a_name_can_be_given_one(tmp_path: Path) -> None:
    write(tmp_path, '"";"a";"b"\n"2011-01-01 00:15:00";1,5;0\n"2011-01-01 00:30:00";-2,25;3\n')
    semicolons = {"reader": "series_csv", "path": "load.csv", "separator": ";", "decimal": ","}
    found = read(tmp_path, **semicolons, time="stamp", columns={"stamp": ""})
    assert found.channels == ("a", "b")
    assert found.values.tolist() == [[1.5, 0], [-2.25, 3]]
    assert found.times is not None
    assert found.times.tolist() == nanoseconds("2011-01-01T00:15", "2011-01-01T00:30")
    assert read(tmp_path, **semicolons).channels == ("a", "b"), "an index that was written along is left out"
    write(tmp_path, ",a,\n2011-01-01,1,\n2011-01-02,2,\n")
    for look in (read, inspect):
        block = {"reader": "series_csv", "path": "load.csv", "time": "stamp", "columns": {"stamp": ""}}
        assert faults(tmp_path, look, **block) == [
            "load.csv:1:1  data.columns.stamp: two columns would be called 'stamp'"
        ]


@pytest.mark.parametrize(
    ("stamps", "options"),
    [
        (("2024-03-01 00:00", "2024-03-02 00:00"), {}),
        (("01.03.2024 00:00", "02.03.2024 00:00"), {"date_format": "%d.%m.%Y %H:%M"}),
        (("3/1/2024", "3/2/2024"), {"date_format": "%m/%d/%Y"}),
        (("20240301", "20240302"), {}),
        (("2024-03-01T01:00+01:00", "2024-03-02T02:00+02:00"), {}),
    ],
)
def test_time_stamps_are_read_as_they_are_written(
    tmp_path: Path, stamps: tuple[str, str], options: dict[str, str]
) -> None:
    write(tmp_path, f"stamp,load\n{stamps[0]},1\n{stamps[1]},2\n")
    found = read(tmp_path, **WIDE, **options).times
    assert found is not None
    assert found.tolist() == nanoseconds("2024-03-01", "2024-03-02")


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("2024-01-01,1\nyesterday,2\n,3\n", ["load.csv:3:1  stamp: 'yesterday' is not a date. Give its format as `date_format: '%d.%m.%Y %H:%M'`.",
                                              "load.csv:4:1  stamp: an empty cell is not a date. Give its format as `date_format: '%d.%m.%Y %H:%M'`."]),
        ("2024-01-02,1\n2024-01-01,2\n2024-01-03,3\n", ["load.csv:3:1  is earlier than the row before it. Sort the rows by time."]),
        ("2024-01-01,1\n2024-01-01,2\n", ["load.csv:3:1  repeats the time of the row before it. Keep one row a time; where clocks went back, give times with their offset from UTC."]),
        ("13/01/2024,1\n14/01/2024,2\n", ["load.csv:2:1  stamp: holds dates such as '13/01/2024', which are not ISO 8601. Give `date_format: '%d/%m/%Y'`."]),
        ("01/13/2024 08:00:00,1\n01/12/2024 08:00:00,2\n", ["load.csv:2:1  stamp: holds dates such as '01/13/2024 08:00:00', which are not ISO 8601. Give `date_format: '%m/%d/%Y %H:%M:%S'`."]),
        (",1\n14.01.2024,2\n", ["load.csv:3:1  stamp: holds dates such as '14.01.2024', which are not ISO 8601. Give `date_format: '%d.%m.%Y'`.",
                                "load.csv:2:1  stamp: an empty cell is not a date"]),
        ("2024-01-01,x\nyesterday,2\n", ["load.csv:3:1  stamp: 'yesterday' is not a date. Give its format as `date_format: '%d.%m.%Y %H:%M'`.",
                                         "load.csv:2:1  load: 'x' is not a number"]),
    ],
)  # fmt: skip
def test_dates_that_are_none_unsorted_or_repeated_are_told_by_line(tmp_path: Path, rows: str, told: list[str]) -> None:
    write(tmp_path, f"stamp,load\n{rows}")
    assert faults(tmp_path, **WIDE) == told


@pytest.mark.parametrize("look", [read, inspect])
@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"time": "stmp"}, "load.csv:1:1  data.time: has no time column 'stmp'. Did you mean 'stamp'?"),
        ({"target": ["laod"]}, "load.csv:1:1  data.target: there is no channel 'laod'. Did you mean 'load'?"),
        ({"target": ["load", "load"]}, "load.csv:1:1  data.target: names 'load' twice"),
        (
            {"target": ["load"], "covariates": ["temperatur"]},
            "load.csv:1:1  data.covariates: there is no channel 'temperatur'. Did you mean 'temperature'?",
        ),
        ({"channels": ["laod"]}, "load.csv:1:1  data.channels: there is no channel 'laod'. Did you mean 'load'?"),
        (
            {"columns": {"temp": "temperatur"}},
            "load.csv:1:1  data.columns.temp: there is no column 'temperatur'. Did you mean 'temperature'?",
        ),
        ({"channels": ["load", "load"]}, "load.csv:1:1  data.channels: names 'load' twice"),
    ],
)
def test_columns_that_are_not_there_are_told_before_values_are_read(
    tmp_path: Path, look: object, asked: dict[str, object], told: str
) -> None:
    write(tmp_path, "stamp,load,temperature\n2024-01-01,1,2\n")
    assert told in faults(tmp_path, look, **{**WIDE, **asked})  # type: ignore[arg-type]


def test_long_gathers_the_rows_of_each_series_in_the_order_of_the_file(tmp_path: Path) -> None:
    write(
        tmp_path,
        "id,stamp,x,who\nB,2024-01-01,1,u\nA,2024-01-01,10,v\nB,2024-01-02,2,u\nA,2024-01-03,20,v\nB,2024-01-03,3,u\n",
    )
    found = read(tmp_path, **LONG, time="stamp", groups=["who"])
    assert found.table.to_dict("list") == {"id": ["B", "A"], "who": ["u", "v"]}
    assert found.offsets.tolist() == [0, 3, 5]
    assert found.values.flatten().tolist() == [1, 2, 3, 10, 20]
    assert found.channels == ("x",)
    assert found.groups == ("who",)


def test_ids_and_labels_keep_their_text(tmp_path: Path) -> None:
    write(tmp_path, "id,x,kind\n01,1,NA\n01,2,NA\n02,3,1.0\n")
    found = read(tmp_path, **LONG, label="kind")
    assert found.table["id"].tolist() == ["01", "02"]
    assert found.classes == ("1.0", "NA")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("id,stamp,x\nA,2024-01-02,1\nB,2024-01-01,2\nA,2024-01-01,3\n", "load.csv:4:1  is earlier than the row before it of the same series. Sort the rows by time."),
        ("id,stamp,x\nA,2024-01-02,1\n,2024-01-03,2\n", "load.csv:3:1  id: names no series"),
        ("id,stamp,x,who\nA,2024-01-01,1,u\nA,2024-01-02,1,v\n", "load.csv  who: changes within the series A"),
        ("key,stamp,x\nA,2024-01-01,1\n", "load.csv:1:1  data.id: has no column 'id' that names the series. Known: key, stamp, x."),
    ],
)  # fmt: skip
def test_faults_of_long_files_are_told(tmp_path: Path, text: str, told: str) -> None:
    write(tmp_path, text)
    block = {**LONG, "time": "stamp", **({"groups": ["who"]} if "who" in text else {})}
    assert told in faults(tmp_path, **block)


def test_rows_are_series_of_their_own_length(tmp_path: Path) -> None:
    write(tmp_path, "id,V1,V2,V3\nH1,1,2,3\nH2,4,,\nH3,5,,6\n")
    found = read(tmp_path, **ROWS)
    assert found.lengths.tolist() == [3, 1, 3]
    assert found.table["id"].tolist() == ["H1", "H2", "H3"]
    assert found.values[:4, 0].tolist() == [1, 2, 3, 4]
    assert torch.isnan(found.values[5, 0])


def test_a_continuation_goes_on_with_the_same_series_in_any_order(tmp_path: Path) -> None:
    write(tmp_path, "id,V1,V2\nH1,1,2\nH2,4,\n")
    with gzip.open(tmp_path / "next.csv.gz", "wt") as file:
        file.write("id,V1\nH2,5\nH1,3\n")
    found = read(tmp_path, **ROWS, continuation="next.csv")
    assert found.values[:, 0].tolist() == [1, 2, 3, 4, 5]
    assert found.table["test_start"].tolist() == [2, 1]


def test_rows_may_begin_with_their_label(tmp_path: Path) -> None:
    write(tmp_path, "kind,V1,V2\nb,1,2\na,3,4\n")
    found = read(tmp_path, **ROWS, label="kind")
    assert found.classes == ("a", "b")
    assert found.values[:, 0].tolist() == [1, 2, 3, 4]


def test_faults_of_rows_are_told_at_once(tmp_path: Path) -> None:
    write(tmp_path, "id,V1,V2\nH1,1,x\nH2,,\nH1,2,3\n")
    write(tmp_path, "id,V1\nH3,1\n", "next.csv")
    assert faults(tmp_path, **ROWS, continuation="next.csv") == [
        "load.csv:2:1  V2: 'x' is not a number",
        "load.csv:3:1  is a series without values",
        "load.csv:4:1  names a series again",
        "next.csv  the two files do not name the same series: H1, H2, H3",
    ]


def test_a_label_needs_a_file_that_names_its_series(tmp_path: Path) -> None:
    write(tmp_path, "x,kind\n1,2\n")
    assert faults(tmp_path, reader="series_csv", path="load.csv", label="kind") == [
        "load.csv:1:1  data.label: the file holds one series, which has no label or groups. Name the series in a column"
        " (`layout: long`), or the recordings in a manifest."
    ]


def test_ten_thousand_series_are_read_without_a_loop_over_them(tmp_path: Path) -> None:
    ids = np.repeat([f"s{number}" for number in range(10_000)], 3)
    pd.DataFrame({"id": ids, "x": np.arange(30_000)}).to_csv(tmp_path / "load.csv", index=False)
    found = read(tmp_path, **LONG)
    assert len(found) == 10_000
    assert found.lengths.unique().tolist() == [3]


def test_series_without_a_name_beside_others_that_change_are_all_told(tmp_path: Path) -> None:
    write(tmp_path, "id,x,who\n,1,u\na,2,v\nb,1,u\nb,2,v\n")
    assert faults(tmp_path, **LONG, groups=["who"]) == [
        "load.csv:2:1  id: names no series",
        "load.csv  who: changes within the series b",
    ]


@pytest.mark.parametrize(
    ("names", "read_as"),
    [
        (["7", "12"], [7, 12]),
        (["1.1", "1.10"], ["1.1", "1.10"]),
        (["1e2", "100"], ["1e2", "100"]),
        (["9007199254740993", "9007199254740992"], [9007199254740993, 9007199254740992]),
        (["123456789012345678901", "123456789012345678902"], ["123456789012345678901", "123456789012345678902"]),
    ],
)
def test_series_with_different_names_stay_apart(tmp_path: Path, names: list[str], read_as: list[object]) -> None:
    write(tmp_path, "id,x\n" + "".join(f"{name},1\n" for name in names))
    assert read(tmp_path, **LONG).table["id"].tolist() == read_as


def test_groups_with_more_digits_than_a_number_holds_stay_apart(tmp_path: Path) -> None:
    write(tmp_path, "id,x,who\na,1,123456789012345678901\nb,2,123456789012345678902\nc,3,5\n")
    found = read(tmp_path, **LONG, groups=["who"])
    assert found.codes("who").unique().numel() == 3
