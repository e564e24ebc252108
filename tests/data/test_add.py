"""Cards for one's own files: reader, columns and form are guessed, and the card that is written works from anywhere."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tswork.data.add import write_card
from tswork.data.cards import resolve
from tswork.data.collection import Collection
from tswork.data.opening import open_splits
from tswork.data.places import Places
from tswork.data.reading import read_collection
from tswork.data.spec import DataSpec, read_spec
from tswork.errors import DataInvalid
from tswork.source import Source, read_yaml

HOURS = pd.date_range("2024-01-01", periods=60, freq="h")


def add(folder: Path, path: Path, **options: Any) -> tuple[dict[str, Any], Collection]:
    """The card that was written, and what it opens, split and all, from another working directory."""
    places = Places.here(folder)
    card = write_card("mine", path, places=places, **options)
    assert card == folder / "data_cards" / "mine.yaml"
    elsewhere = Places.here(folder, beside=Path("/"))
    spec, problems = read_spec(resolve(Source({"card": "mine"}), elsewhere))
    assert spec is not None, problems
    assert len(open_splits(spec, elsewhere, seed=0)) == 1
    return read_yaml(card).data, read_collection(spec, elsewhere)


def told(folder: Path, path: Path, name: str = "mine", **options: Any) -> list[str]:
    with pytest.raises(DataInvalid) as refused:
        write_card(name, path, places=Places.here(folder), **options)
    assert not (folder / "data_cards" / "mine.yaml").exists()
    return [str(problem).replace(f"{folder}/", "") for problem in refused.value.problems]


def test_a_series_with_time_stamps_gets_calendar_scaling_and_a_split_in_time(tmp_path: Path) -> None:
    pd.DataFrame({"stamp": HOURS, "load": range(60), "temp": 1.5}).to_csv(tmp_path / "load.csv", index=False)
    card, found = add(tmp_path, tmp_path / "load.csv")
    assert card == {
        "title": "mine, from load.csv", "reader": "series_csv", "path": "../load.csv", "time": "stamp",
        "prepare": [{"uses": "calendar"}, {"uses": "standardize"}], "split": {"by": "time", "fractions": [0.6, 0.2, 0.2]},
    }  # fmt: skip
    assert found.channels == ("load", "temp")


@pytest.mark.parametrize(
    ("stamps", "date_format"), [(HOURS, None), (HOURS.strftime("%d.%m.%Y %H:%M"), "%d.%m.%Y %H:%M")]
)
def test_dates_in_a_column_without_a_name_are_found(tmp_path: Path, stamps: pd.Index, date_format: str | None) -> None:
    """pandas writes the index of a frame so."""
    pd.DataFrame({"load": range(60), "temp": 1.5}, index=stamps).to_csv(tmp_path / "load.csv")
    card, found = add(tmp_path, tmp_path / "load.csv")
    assert (card["columns"], card["time"], card.get("date_format")) == ({"stamp": ""}, "stamp", date_format)
    assert card["prepare"] == [{"uses": "calendar"}, {"uses": "standardize"}]
    assert found.channels == ("load", "temp")
    assert found.times is not None


@pytest.mark.parametrize("index", [range(60), range(1960, 2020), [f"{number}.5" for number in range(60)]])
def test_a_column_of_numbers_without_a_name_is_no_time(tmp_path: Path, index: Sequence[Any]) -> None:
    pd.DataFrame({"load": range(60)}, index=pd.Index(index)).to_csv(tmp_path / "load.csv")
    card, found = add(tmp_path, tmp_path / "load.csv")
    assert "time" not in card
    assert "columns" not in card
    assert found.channels == ("load",)


def test_a_file_outside_of_the_project_is_named_by_its_whole_path(tmp_path: Path) -> None:
    outside = tmp_path / "far" / "load.csv"
    outside.parent.mkdir()
    pd.DataFrame({"a": range(60)}).to_csv(outside, index=False)
    card, _ = add(tmp_path / "project", outside)
    assert card["path"] == str(outside)


@pytest.mark.parametrize(
    ("form", "written"),
    [
        ({"sep": ";", "decimal": ","}, {"separator": ";", "decimal": ","}),
        ({"sep": "\t"}, {"separator": "\t"}),
        ({"date_format": "%d.%m.%Y %H:%M"}, {"date_format": "%d.%m.%Y %H:%M"}),
        ({"date_format": "%m/%d/%Y %H:%M"}, {"date_format": "%m/%d/%Y %H:%M"}),
        ({"date_format": "%d/%m/%Y %H:%M"}, {"date_format": "%d/%m/%Y %H:%M"}),
    ],
)
def test_separators_decimals_and_dates_are_guessed(
    tmp_path: Path, form: dict[str, str], written: dict[str, str]
) -> None:
    frame = pd.DataFrame({"Date": HOURS, "load": np.arange(60) + 0.5})
    frame.to_csv(tmp_path / "load.csv", index=False, **form)  # type: ignore[call-overload]
    card, found = add(tmp_path, tmp_path / "load.csv")
    assert {key: card.get(key) for key in ("separator", "decimal", "date_format") if key in card} == written
    assert found.values[:2, 0].tolist() == [0.5, 1.5]
    assert found.times is not None
    assert found.times.tolist() == HOURS.as_unit("ns").to_numpy().astype(np.int64).tolist()


def test_series_named_by_an_id_are_long_and_split_by_groups_when_they_have_any(tmp_path: Path) -> None:
    ids = [f"s{row // 6}" for row in range(60)]
    frame = pd.DataFrame(
        {"unique_id": ids, "ds": [*HOURS[:6]] * 10, "y": range(60), "kind": [one[1:] in "02468" for one in ids]}
    )
    frame.to_csv(tmp_path / "many.csv", index=False)
    card, found = add(tmp_path, tmp_path / "many.csv", label="kind", groups=["unique_id"])
    assert (card["layout"], card["id"], card["time"], card["label"]) == ("long", "unique_id", "ds", "kind")
    assert card["split"] == {"by": "groups", "fractions": [0.6, 0.2, 0.2]}
    assert len(found) == 10


def recordings(folder: Path, count: int = 10) -> list[str]:
    names = [f"r{row}.npy" for row in range(count)]
    for row, name in enumerate(names):
        np.save(folder / name, np.random.default_rng(row).normal(size=(9, 2)))
    return names


def test_a_table_of_files_is_a_manifest_whatever_its_column_is_called(tmp_path: Path) -> None:
    names = recordings(tmp_path)
    frame = pd.DataFrame({"clip": names, "kind": ["a", "b"] * 5, "who": [f"p{row // 2}" for row in range(10)]})
    frame.to_csv(tmp_path / "all.csv", index=False, sep=";")
    card, found = add(tmp_path, tmp_path / "all.csv", label="kind", groups=["who"])
    assert card == {
        "title": "mine, from all.csv", "reader": "manifest", "path": "../all.csv", "columns": {"path": "clip"}, "separator": ";",
        "label": "kind", "groups": ["who"], "split": {"by": "groups", "fractions": [0.6, 0.2, 0.2]},
    }  # fmt: skip
    assert found.label == "kind"


def test_a_manifest_from_a_spreadsheet_keeps_its_decimal_commas(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"percorso": recordings(tmp_path), "regione": ["Friuli", "Puglia"] * 5, "lat": ["45,5", "41,1"] * 5}
    )
    frame["città"] = [f"c{row // 2}" for row in range(10)]
    frame.to_csv(tmp_path / "all.csv", index=False, sep=";", encoding="utf-8-sig")
    card, found = add(tmp_path, tmp_path / "all.csv", label="regione", groups=["città"])
    assert (card["separator"], card["decimal"], card["columns"]) == (";", ",", {"path": "percorso"})
    assert found.table["lat"].tolist() == [45.5, 41.1] * 5


def test_a_manifest_with_parts_of_its_own_keeps_them(tmp_path: Path) -> None:
    names = recordings(tmp_path, 3)
    lines = [
        json.dumps({"file": name, "split": part}) for name, part in zip(names, ("train", "dev", "test"), strict=True)
    ]
    with gzip.open(tmp_path / "all.jsonl.gz", "wt") as file:
        file.write("\n".join(lines))
    card, _ = add(tmp_path, tmp_path / "all.jsonl.gz")
    assert card["split"] == {"by": "official"}
    assert card["columns"] == {"path": "file"}


def test_arrays_in_halves_keep_them_and_others_are_split_by_groups(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    halves = {f"X_{half}": draw.normal(size=(4, 1, 9)) for half in ("train", "test")}
    np.savez(tmp_path / "h.npz", y_train=np.array(list("abab")), y_test=np.array(list("abab")), **halves)  # type: ignore[arg-type]
    assert add(tmp_path / "one", tmp_path / "h.npz", label="label")[0]["split"] == {"by": "official"}
    np.save(tmp_path / "x.npy", draw.normal(size=(10, 1, 9)))
    assert add(tmp_path / "two", tmp_path / "x.npy")[0]["split"]["by"] == "groups"


def test_records_named_without_their_suffix_are_a_manifest_that_says_so(tmp_path: Path) -> None:
    pytest.importorskip("wfdb")
    names = [f"r{row}" for row in range(6)]
    for row, name in enumerate(names):
        codes = np.arange(9, dtype="<i2") * (row + 1)
        (tmp_path / f"{name}.hea").write_text(f"{name} 1 100 9\n{name}.dat 16 200 12 0 0 {codes.sum()} 0 i\n")
        (tmp_path / f"{name}.dat").write_bytes(codes.tobytes())
    frame = pd.DataFrame({"ecg_id": range(6), "filename_hr": names, "who": list("abcdef")})
    frame.to_csv(tmp_path / "all.csv", index=False)
    card, found = add(tmp_path, tmp_path / "all.csv", groups=["who"])
    assert (card["reader"], card["columns"], card["suffix"]) == ("manifest", {"path": "filename_hr"}, ".hea")
    assert (found.rate, found.channels) == (100.0, ("i",))


def test_a_folder_of_patients_in_the_layout_of_comet_is_one_set(tmp_path: Path) -> None:
    for folder in ("AD/Feature", "AD/Label"):
        (tmp_path / folder).mkdir(parents=True)
    for patient in range(1, 7):
        np.save(tmp_path / f"AD/Feature/feature_{patient:02d}.npy", np.full((1, 4, 1), patient))
    np.save(tmp_path / "AD/Label/label.npy", np.array([[patient % 2, patient] for patient in range(1, 7)]))
    assert told(tmp_path, tmp_path / "AD" / "Label") == [
        "AD/Label  is a folder without Feature/ and Label/label.npy, and without sound in a known layout. Name the file or the manifest inside it."
    ]
    (tmp_path / "a.edf").write_bytes(b"0")
    assert told(tmp_path, tmp_path / "a.edf") == [
        "a.edf  is one recording. Write a CSV with a column 'path' that names such files."
    ]
    card, found = add(tmp_path, tmp_path / "AD")
    assert card == {
        "title": "mine, from AD", "reader": "comet_npy", "path": "../AD", "label": "label", "groups": ["patient"],
        "split": {"by": "groups", "fractions": [0.6, 0.2, 0.2]},
    }  # fmt: skip
    assert found.groups == ("patient",)


def test_what_is_not_understood_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    load = tmp_path / "load.csv"
    pd.DataFrame({"stamp": HOURS, "load": range(60), "kind": "a"}).to_csv(load, index=False)
    assert told(tmp_path, tmp_path / "nowhere.csv", name="a b") == [
        "'a b' is not a name for a card. Use letters, digits, '_' and '-'.",
        "nowhere.csv  there is no such file",
    ]
    assert told(tmp_path, load, label="knd", groups=["who"]) == [
        "load.csv:1:1  has no column 'knd'. Did you mean 'kind'?",
        "load.csv:1:1  has no column 'who'. Known: kind, load, stamp.",
    ]
    assert told(tmp_path, load, label="kind") == [
        "load.csv:1:1  holds one series, which has no label or groups. Name the recordings in a column 'path', or the series in"
        " a column 'id'."
    ]
    (tmp_path / "x.xlsx").write_bytes(b"PK")
    assert told(tmp_path, tmp_path / "x.xlsx") == [
        "x.xlsx  files ending in .xlsx are not known. Give a CSV, a JSON-lines manifest, npz or npy."
    ]
    (tmp_path / "m.jsonl").write_text('{"a": 1}\n')
    assert told(tmp_path, tmp_path / "m.jsonl") == ["m.jsonl:1:1  has no column of files. Call it 'path'; there are a."]
    (tmp_path / "x.npz").write_bytes(b"torn")
    assert "is not a whole npy or npz file" in told(tmp_path, tmp_path / "x.npz")[0]
    (tmp_path / "m.csv").write_text("path\na.npy\n")
    assert "a.npy: there is no such file" in told(tmp_path, tmp_path / "m.csv")[0]


def test_a_card_is_never_overwritten(tmp_path: Path) -> None:
    pd.DataFrame({"a": range(60)}).to_csv(tmp_path / "x.csv", index=False)
    add(tmp_path, tmp_path / "x.csv")
    with pytest.raises(DataInvalid, match=r"there is a card already\. Choose another name"):
        write_card("mine", tmp_path / "x.csv", places=Places.here(tmp_path))


def test_a_card_is_valid_yaml_of_the_one_schema(tmp_path: Path) -> None:
    pd.DataFrame({"größe": range(60)}).to_csv(tmp_path / "x.csv", index=False)
    path = write_card("mine", tmp_path / "x.csv", places=Places.here(tmp_path))
    assert isinstance(DataSpec.parse(read_yaml(path).data), DataSpec)


def test_a_card_is_written_in_spite_of_bad_recordings_when_it_is_to_leave_them_out(tmp_path: Path) -> None:
    for number in range(6):
        np.save(tmp_path / f"{number}.npy", np.arange(4.0))
    rows = [f"{number}.npy,{number % 2},p{number}" for number in range(7)]
    (tmp_path / "all.csv").write_text("\n".join(["path,kind,person", *rows]) + "\n")
    options: dict[str, Any] = {"label": "kind", "groups": ["person"]}
    assert told(tmp_path, tmp_path / "all.csv", **options) == [
        "all.csv:8:1  6.npy: there is no such file beside the manifest or below a data root"
    ]
    card, found = add(tmp_path, tmp_path / "all.csv", **options, skip_bad=True)
    assert card["skip_bad"] is True
    assert len(found) == 6


def test_options_that_cannot_be_guessed_are_given(tmp_path: Path) -> None:
    for number in range(6):
        frame = pd.DataFrame({"x": [0.5, number], "y": [1.5, 2.5]})
        frame.to_csv(tmp_path / f"{number}.csv", index=False, sep=";", decimal=",")
    rows = [f"{number}.csv,{number % 2},p{number}" for number in range(6)]
    (tmp_path / "all.csv").write_text("\n".join(["path,kind,person", *rows]) + "\n")
    described: dict[str, Any] = {"label": "kind", "groups": ["person"]}
    assert "Give `decoders: [{uses: csv, separator: ';'}]`." in told(tmp_path, tmp_path / "all.csv", **described)[0]
    written = {"decoders": [{"uses": "csv", "separator": ";", "decimal": ","}]}
    card, found = add(tmp_path, tmp_path / "all.csv", **described, options=written)
    assert card["decoders"] == written["decoders"]
    assert found.values[:2].tolist() == [[0.5, 1.5], [0.0, 2.5]]
