"""Recordings named by a manifest: decoders by suffix, what recordings must have in common, and all faults with their row."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.data.opening import faults, inspect, places, read
from tswork.config import Config
from tswork.data.digests import source_digest
from tswork.data.readers.decoders.base import Decoder, Outline, Recording, decoders_by_suffix
from tswork.data.spec import DataOptions, DataSpec
from tswork.data.split_spec import SplitSpec
from tswork.data.splits import make_splits
from tswork.registry import register

BLOCK: dict[str, Any] = {"reader": "manifest", "path": "all.csv"}
PCM_READS: list[str] = []


class PcmConfig(Config):
    pass


@register("decoder", "pcm", version=1, config=PcmConfig)
class Pcm(Decoder[PcmConfig]):
    """Raw int16 sound of one channel at 8 kHz: a decoder as another package would add it."""

    suffixes = (".pcm",)

    def outline(self, path: Path, options: DataOptions) -> Outline:
        return Outline(("sound",), 8000.0, path.stat().st_size // 2)

    def read(self, path: Path, options: DataOptions) -> Recording:
        PCM_READS.append(path.name)
        return Recording(np.fromfile(path, np.int16)[:, None], ("sound",), 8000.0)


def manifest(folder: Path, *rows: str, head: str = "path", name: str = "all.csv") -> None:
    (folder / name).write_text("\n".join([head, *rows]) + "\n")


def save(folder: Path, name: str, values: Any) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.asarray(values))


def test_recordings_of_any_length_are_packed_in_the_order_of_the_manifest(tmp_path: Path) -> None:
    save(tmp_path, "rec/b.npy", np.ones((3, 2)))
    save(tmp_path, "rec/a.npy", np.zeros((1, 2)))
    manifest(tmp_path, "rec/b.npy,wave,p1,1.5", "rec/a.npy,circle,p2,2", head="path,label,person,weight")
    found = read(tmp_path, **BLOCK, label="label", groups=["person"], rate=50.0)
    assert found.lengths.tolist() == [3, 1]
    assert found.values[:, 0].tolist() == [1, 1, 1, 0]
    assert found.values.dtype == torch.float32
    assert found.channels == ("channel_0", "channel_1")
    assert found.table.to_dict("list") == {
        "id": ["rec/b.npy", "rec/a.npy"], "label": ["wave", "circle"], "person": ["p1", "p2"], "weight": [1.5, 2.0],
    }  # fmt: skip
    assert found.rate == 50.0


def test_names_with_zeros_in_front_and_the_name_na_stay_text(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path, f"{name}.npy", [1.0])
    manifest(tmp_path, "a.npy,03,NA", "b.npy,08,", head="path,speaker,region")
    table = read(tmp_path, **BLOCK).table
    assert table["speaker"].tolist() == ["03", "08"]
    assert table["region"].isna().tolist() == [False, True]


def test_ids_too_long_for_a_number_stay_different(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        save(tmp_path, f"{name}.npy", [1.0])
    rows = [
        f"a.npy,{10**22 + 1},{2**53},12e400,7",
        f"b.npy,{10**22 + 2},{2**53 + 1},13e400,8",
        f"c.npy,{10**22 + 3},,1,",
    ]
    manifest(tmp_path, *rows, head="path,id,speaker,hash,age")
    found = read(tmp_path, **BLOCK)
    assert [len(found.categories(column)) for column in ("id", "speaker", "hash")] == [3, 2, 3]
    assert found.table["age"].tolist()[:2] == [7.0, 8.0], "numbers are numbers as before"


@pytest.mark.parametrize("name", ["all.jsonl", "all.jsonl.gz"])
def test_json_lines_are_a_manifest_too(tmp_path: Path, name: str) -> None:
    save(tmp_path, "a.npy", [1.0, 2.0])
    rows = [{"file": "a.npy", "speaker": "03", "age": 30, "tags": ["x", "y"]}, {"file": "sub/../a2.npy", "age": 31}]
    save(tmp_path, "a2.npy", [3.0])
    (tmp_path / "sub").mkdir()
    opened = gzip.open(tmp_path / name, "wt") if name.endswith(".gz") else (tmp_path / name).open("w")
    with opened as file:
        file.write("\n\n".join(json.dumps(row) for row in rows))
    found = read(tmp_path, reader="manifest", path=name, columns={"path": "file"})
    assert found.table["age"].tolist() == [30, 31]
    assert found.table["tags"].tolist()[0] == '["x", "y"]'
    assert found.codes("speaker").tolist() == [0, -1]
    assert found.values.flatten().tolist() == [1, 2, 3]


def test_lines_that_are_not_json_objects_are_told(tmp_path: Path) -> None:
    (tmp_path / "all.jsonl").write_text('{"path": "a.npy"}\n\n[1]\n{"path": \n')
    told = faults(tmp_path, reader="manifest", path="all.jsonl")
    assert told[0].startswith("all.jsonl:3:1  should be a JSON object")
    assert told[1].startswith("all.jsonl:4:1  is not JSON: ")


def test_csv_recordings_have_names_and_time_stamps(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("stamp,x,y,note\n2024-01-01 00:00:00,1,2,ok\n2024-01-01 00:00:01,3,4,bad\n")
    with gzip.open(tmp_path / "b.csv.gz", "wt") as file:
        file.write("stamp,y,x,note\n2024-02-01 00:00:00,6,5,ok\n")
    manifest(tmp_path, "a.csv", "b.csv")
    found = read(tmp_path, **BLOCK, time="stamp", channels=["y", "x"])
    assert found.channels == ("y", "x")
    assert found.values.tolist() == [[2, 1], [4, 3], [6, 5]]
    assert found.times is not None
    assert found.times.diff()[0] == 10**9


def test_npz_recordings_have_names_and_a_rate(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", values=np.ones((4, 2), np.int16), channels=np.array(["Fp1", "O1"]), rate=256.0)
    np.savez(tmp_path / "b.npz", values=np.zeros((2, 2)), channels=np.array(["O1", "Fp1"]), rate=256)
    manifest(tmp_path, "a.npz", "b.npz")
    found = read(tmp_path, **BLOCK, channels=["O1"])
    assert found.rate == 256.0
    assert found.values.flatten().tolist() == [1, 1, 1, 1, 0, 0]
    assert found.values.dtype == torch.float32


def test_options_of_decoders_are_given_by_name(tmp_path: Path) -> None:
    save(tmp_path, "a.npy", np.arange(6).reshape(2, 3))
    (tmp_path / "b.csv").write_text("1,5;2\n3;4\n")
    manifest(tmp_path, "a.npy", "b.csv")
    decoders = [
        {"uses": "npy", "axes": "channel time"},
        {"uses": "csv", "separator": ";", "decimal": ",", "header": False},
    ]
    found = read(tmp_path, **BLOCK, decoders=decoders)
    assert found.values.tolist() == [[0, 3], [1, 4], [2, 5], [1.5, 2], [3, 4]]


def test_sound_samples_pass_through_unscaled(tmp_path: Path) -> None:
    np.array([-32768, 0, 16384], np.int16).tofile(tmp_path / "a.pcm")
    manifest(tmp_path, "a.pcm")
    found = read(tmp_path, **BLOCK)
    assert found.values.dtype == torch.int16
    assert found.values.flatten().tolist() == [-32768, 0, 16384]
    assert found.rate == 8000.0
    save(tmp_path, "b.npy", np.array([[7]], np.int16))
    manifest(tmp_path, "b.npy")
    assert read(tmp_path, **BLOCK, decoders=[{"uses": "npy", "sound": True}]).values.dtype == torch.int16


def test_sound_beside_other_numbers_becomes_numbers_of_the_same_scale(tmp_path: Path) -> None:
    np.array([-32768, 16384], np.int16).tofile(tmp_path / "a.pcm")
    np.savez(tmp_path / "b.npz", values=np.array([0.25]), channels=np.array(["sound"]), rate=8000.0)
    manifest(tmp_path, "a.pcm", "b.npz")
    assert read(tmp_path, **BLOCK).values.flatten().tolist() == [-1.0, 0.5, 0.25]


def test_files_below_a_data_root_are_found_when_they_are_not_beside_the_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "far", "a.npy", [1.0])
    monkeypatch.setenv("TSWORK_DATA", str(tmp_path / "far"))
    manifest(tmp_path, "a.npy", str(tmp_path / "far" / "a.npy"), name="twice.csv")
    assert "names the recording of line 2 again" in faults(tmp_path, reader="manifest", path="twice.csv")[0]
    manifest(tmp_path, "a.npy")
    assert read(tmp_path, **BLOCK).values.tolist() == [[1.0]]


def test_pieces_of_recordings_are_cut_in_seconds_and_stay_together(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        save(tmp_path, f"{name}.npy", np.arange(20) + 100 * "abc".index(name))
    rows = ["a.npy,0,0.5,x", "a.npy,0.5,1.0,y", "a.npy,1.5,,x", "b.npy,,1.0,y", "c.npy,1.0,2.004,x", "c.npy,0,0.1,y"]
    manifest(tmp_path, *rows, head="path,start,stop,label")
    found = read(tmp_path, **BLOCK, cut="seconds", rate=10.0, label="label")
    assert found.lengths.tolist() == [5, 5, 5, 10, 10, 1]
    assert found.values[found.offsets[:-1], 0].tolist() == [0, 5, 15, 100, 210, 200]
    assert found.table["recording"].tolist() == ["a.npy"] * 3 + ["b.npy"] + ["c.npy"] * 2
    assert found.table["id"].tolist()[:3] == ["a.npy:0-5", "a.npy:5-10", "a.npy:15-20"]
    (split,) = make_splits(found, SplitSpec(by="groups", fractions=(0.4, 0.3, 0.3), stratify=False), seed=0)
    sides = [set(part.table["recording"]) for part in split.parts.values()]
    assert sum(map(len, sides)) == 3


def test_pieces_are_cut_in_steps(tmp_path: Path) -> None:
    save(tmp_path, "a.npy", np.arange(10))
    manifest(tmp_path, "a.npy,2,5", head="path,start,stop")
    assert read(tmp_path, **BLOCK, cut="steps").values.flatten().tolist() == [2, 3, 4]
    assert len(read(tmp_path, **BLOCK).values) == 10, "without `cut` the columns are only part of the table"


@pytest.mark.parametrize("look", [read, inspect])
def test_pieces_that_do_not_fit_are_told(tmp_path: Path, look: Any) -> None:
    save(tmp_path, "a.npy", np.arange(10))
    rows = ["a.npy,5,5", "a.npy,-1,3", "a.npy,2,11", "a.npy,x,3"]
    manifest(tmp_path, *rows, head="path,start,stop")
    assert faults(tmp_path, look, **BLOCK, cut="steps") == [
        "all.csv:5:1  start: 'x' is not a number",
        "all.csv:2:1  a.npy: stops at 5 steps, not after its start at 5",
        "all.csv:3:1  a.npy: starts at -1 steps",
        "all.csv:4:1  a.npy: stops at 11 steps, and the recording has 10",
    ]
    assert faults(tmp_path, look, **BLOCK, cut="seconds") == [
        "data.cut: cutting in seconds needs a rate. Give `rate:`, or cut in steps."
    ]


def test_an_official_split_comes_from_the_column_split(tmp_path: Path) -> None:
    for name in "abc":
        save(tmp_path, f"{name}.npy", np.random.default_rng(ord(name)).normal(size=9))
    manifest(tmp_path, "a.npy,train", "b.npy,Dev", "c.npy,test", head="path,split")
    (split,) = make_splits(read(tmp_path, **BLOCK), SplitSpec(by="official"), seed=0)
    assert {name: part.table["id"].tolist() for name, part in split.parts.items()} == {
        "train": ["a.npy"], "validation": ["b.npy"], "test": ["c.npy"],
    }  # fmt: skip


@pytest.mark.parametrize("look", [read, inspect])
def test_times_that_are_not_finite_are_told(tmp_path: Path, look: Any) -> None:
    save(tmp_path, "a.npy", np.arange(10))
    manifest(tmp_path, "a.npy,0,inf", "a.npy,-inf,3", "a.npy,2,4", head="path,start,stop")
    assert faults(tmp_path, look, **BLOCK, cut="steps") == [
        "all.csv:3:1  start: '-inf' is not a number",
        "all.csv:2:1  stop: 'inf' is not a number",
    ]


def test_a_cell_that_no_file_can_be_called_is_no_file(tmp_path: Path) -> None:
    save(tmp_path, "a.npy", [1.0])
    words = "the text of a whole utterance " * 20
    manifest(tmp_path, f"{words},1", "a.npy,2", head="path,k")
    (told,) = faults(tmp_path, **BLOCK)
    assert told.startswith("all.csv:2:1  the text of a whole")
    assert "there is no such file beside the manifest" in told


@pytest.mark.parametrize("look", [read, inspect])
def test_rows_without_a_readable_file_are_all_told(tmp_path: Path, look: Any) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "x.xls").write_bytes(b"")
    save(tmp_path, "a.npy", [1.0])
    manifest(tmp_path, "a.npy,1", "nowhere.npy,2", ",3", "folder,4", "x.xls,5", "a.npy,6", head="path,k")
    told = faults(tmp_path, look, **BLOCK)
    assert told == [
        "all.csv:3:1  nowhere.npy: there is no such file beside the manifest or below a data root",
        "all.csv:4:1  path: the row names no file",
        "all.csv:5:1  folder: is a folder, not a file",
        f"all.csv:6:1  x.xls: no decoder reads files ending in '.xls'. Known: {', '.join(sorted(decoders_by_suffix()))}.",
        "all.csv:7:1  a.npy: names the recording of line 2 again. Remove one of the two, or give `cut:` to read pieces of recordings.",
    ]


def test_numbers_with_a_decimal_comma_are_numbers_where_the_block_says_so(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path, f"{name}.npy", np.arange(10.0))
    rows = ("a.npy;45,07;8;sì, no;0,2", "b.npy;-1,5;;ah, 1;0")
    (tmp_path / "all.csv").write_text("\n".join(("\ufeffpercorso;lat;lon;testo;start", *rows)) + "\n", encoding="utf-8")
    block = {**BLOCK, "separator": ";", "columns": {"path": "percorso"}, "rate": 10.0}
    found = read(tmp_path, **block, decimal=",", cut="seconds", missing="keep")
    assert found.table["lat"].tolist() == [45.07, -1.5]
    assert found.table["lon"].dropna().tolist() == [8.0]
    assert found.table["testo"].tolist() == ["sì, no", "ah, 1"]
    assert found.lengths.tolist() == [8, 10]
    assert read(tmp_path, **block, cut="none").table["lat"].tolist() == ["45,07", "-1,5"]


def test_what_is_wrong_with_all_recordings_is_told_once(tmp_path: Path) -> None:
    for number in range(4):
        np.savez(tmp_path / f"{number}.npz", values=np.ones((5, 1)), channels=["a"], rate=50.0)
    manifest(tmp_path, *(f"{number}.npz" for number in range(4)))
    assert faults(tmp_path, **BLOCK, rate=100.0) == [
        "all.csv:2:1  0.npz: has 50 samples a second, `rate:` says 100, like all 4 recordings. Leave out `rate:`, which the"
        " files tell, and change it afterwards: `prepare: [{uses: resample, rate: ...}]`."
    ]


def test_faults_of_the_manifest_itself_are_told(tmp_path: Path) -> None:
    manifest(tmp_path, "a.npy", head="file")
    assert faults(tmp_path, **BLOCK) == [
        "all.csv:1:1  has no column 'path'. Known: file. Name it with `columns: {path: THEIRS}`."
    ]
    (tmp_path / "all.csv").write_text("path;label\na.npy;x\n")
    assert "Give `separator: ';'`" in faults(tmp_path, **BLOCK)[0]
    (tmp_path / "all.csv").unlink()
    assert "there is no such file (looked at all.csv" in faults(tmp_path, **BLOCK)[0]


def test_recordings_that_cannot_be_decoded_are_told_with_their_row_or_their_line(tmp_path: Path) -> None:
    save(tmp_path, "short.npy", np.ones((100, 2)))
    data = (tmp_path / "short.npy").read_bytes()
    (tmp_path / "short.npy").write_bytes(data[: len(data) // 2])
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04 not more")
    save(tmp_path, "text.npy", np.array(["a", "b"]))
    save(tmp_path, "cube.npy", np.ones((2, 2, 2)))
    save(tmp_path, "inf.npy", np.array([[1.0, 1.0], [1.0, np.inf]]))
    save(tmp_path, "empty.npy", np.ones((0, 2)))
    (tmp_path / "text.csv").write_text("a,b\n1,x\n2,3\n4\n")
    (tmp_path / "text2.csv").write_text("channel_0,channel_1\n1,x\n2,3\n")
    (tmp_path / "empty.csv").write_text("")
    save(tmp_path, "fine.npy", np.ones((3, 2)))
    names = [
        "short.npy",
        "torn.npz",
        "text.npy",
        "cube.npy",
        "inf.npy",
        "empty.npy",
        "text.csv",
        "text2.csv",
        "empty.csv",
        "fine.npy",
    ]
    manifest(tmp_path, *names)
    told = faults(tmp_path, **BLOCK)
    assert [one.split(":1  ")[0] for one in told] == [
        "all.csv:2", "all.csv:3", "all.csv:4", "all.csv:5", "all.csv:6", "text.csv:4", "text2.csv:2", "empty.csv:1", "all.csv:7",
    ]  # fmt: skip
    assert "short.npy: is not a whole npy or npz file without pickles" in told[0]
    assert "torn.npz: is not a whole npy or npz file without pickles" in told[1]
    assert told[2].endswith("text.npy: holds text, not numbers")
    assert told[3].endswith("cube.npy: has 3 axes; one (time) or two (time channel) are expected")
    assert told[4].endswith("inf.npy: 1 value is infinite (the first at step 1 of 'channel_1')")
    assert told[5].endswith("has 1 cell where the header has 2")
    assert told[6].endswith("channel_1: 'x' is not a number")
    assert told[8].endswith("empty.npy: has no time steps")


@pytest.mark.parametrize("look", [read, inspect])
def test_recordings_with_other_channels_or_rates_are_told_by_name(tmp_path: Path, look: Any) -> None:
    for name, channels, rate in (
        ("a", "xy", 100.0),
        ("b", "xy", 100.0),
        ("c", "yx", 100.0),
        ("d", "x", 100.0),
        ("e", "xy", 50.0),
    ):
        np.savez(
            tmp_path / f"{name}.npz", values=np.ones((3, len(channels))), channels=np.array(list(channels)), rate=rate
        )
    manifest(tmp_path, *(f"{name}.npz" for name in "abcde"))
    assert faults(tmp_path, look, **BLOCK) == [
        "all.csv:4:1  c.npz: has its channels in another order: 'y' stands where most recordings have 'x'."
        " Choose common ones with `channels:`.",
        "all.csv:5:1  d.npz: lacks 'y'; most recordings have 2 channels (x, y). Choose common ones with `channels:`.",
        "all.csv:6:1  e.npz: has 50 samples a second, most recordings have 100. Convert it to the common rate, or leave it out.",
    ]
    assert faults(tmp_path, look, **BLOCK, channels=["x"], rate=100.0) == [
        "all.csv:6:1  e.npz: has 50 samples a second, `rate:` says 100. Convert it to the common rate, or leave it out.",
    ]
    assert faults(tmp_path, look, **BLOCK, channels=["x", "y"])[
        0
    ] == "all.csv:5:1  d.npz: has no channel 'y'. Did you mean 'x'?".replace("Did you mean 'x'?", "Known: x.")
    assert faults(tmp_path, look, **BLOCK, channels=["z"])[0].startswith("all.csv:2:1  a.npz: has no channel 'z'.")


def test_a_recording_that_does_not_tell_its_rate_beside_others_that_do_is_told(tmp_path: Path) -> None:
    np.array([1, 2], np.int16).tofile(tmp_path / "a.pcm")
    (tmp_path / "b.csv").write_text("sound\n0.5\n")
    manifest(tmp_path, "a.pcm", "b.csv")
    assert faults(tmp_path, **BLOCK) == [
        "all.csv:3:1  b.csv: does not tell its rate, others have 8000 samples a second. Give `rate:`."
    ]
    assert read(tmp_path, **BLOCK, rate=8000.0).rate == 8000.0


def test_recordings_without_the_time_stamps_that_are_asked_for_are_told(tmp_path: Path) -> None:
    save(tmp_path, "a.npy", [[1.0]])
    (tmp_path / "b.csv").write_text("channel_0\n2\n")
    manifest(tmp_path, "a.npy", "b.csv")
    told = faults(tmp_path, **BLOCK, time="stamp")
    assert told == [
        "b.csv:1:1  has no time column 'stamp'. Known: channel_0.",
        "all.csv:2:1  a.npy: has no time stamps, and `time: stamp` asks for them",
    ]


def test_a_plan_reads_no_values_and_its_digest_follows_contents_and_decoders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.array([1, 2], np.int16).tofile(tmp_path / "a.pcm")
    manifest(tmp_path, "a.pcm")
    PCM_READS.clear()
    spec = DataSpec.parse(BLOCK)
    first = source_digest(spec, places(tmp_path))
    inspect(tmp_path, **BLOCK)
    assert PCM_READS == []
    np.array([1, 2, 3], np.int16).tofile(tmp_path / "a.pcm")
    second = source_digest(spec, places(tmp_path))
    assert second != first
    from tswork import registry

    known = registry.find("decoder", "pcm")
    monkeypatch.setitem(
        registry._components, ("decoder", "pcm"), registry.Component("decoder", "pcm", 2, known.config, known.target)
    )
    assert source_digest(spec, places(tmp_path)) != second


def test_columns_of_manifest_and_recordings_can_be_renamed_and_unknown_ones_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("EEG Fp1,EEG O1\n1,2\n")
    manifest(tmp_path, "a.csv,u", head="file,subject")
    columns = {"path": "file", "patient": "subject", "Fp1": "EEG Fp1"}
    found = read(tmp_path, **BLOCK, columns=columns, groups=["patient"])
    assert found.channels == ("Fp1", "EEG O1")
    told = faults(tmp_path, **BLOCK, columns={**columns, "O1": "EEG 01"})
    assert told == ["all.csv:1:1  data.columns.O1: there is no column 'EEG 01'. Did you mean 'EEG O1'?"]


def test_what_is_wrong_in_very_many_rows_is_counted(tmp_path: Path) -> None:
    manifest(tmp_path, *(f"{number}.npy" for number in range(100)))
    told = faults(tmp_path, **BLOCK)
    assert len(told) == 21
    assert told[-1] == "and 80 more rows with such faults"


def test_recordings_without_a_label_are_left_out_before_anything_is_opened(tmp_path: Path) -> None:
    """On request; else they are told with the files that are not there."""
    for name in "ac":
        np.save(tmp_path / f"{name}.npy", np.zeros((5, 1)))
    (tmp_path / "all.csv").write_text("path,kind\na.npy,x\nb.npy,\nc.npy,y\n")
    found = read(tmp_path, **BLOCK, label="kind", unlabelled="drop")
    assert found.table["id"].tolist() == ["a.npy", "c.npy"]
    assert found.notes == ("unlabelled leaves out 1 of 3 recordings without a label: b.npy",)
    inspect(tmp_path, **BLOCK, label="kind", unlabelled="drop")
    assert faults(tmp_path, **BLOCK, label="kind")[0].startswith("all.csv:3:1  b.npy: there is no such file")
    (tmp_path / "all.csv").write_text("path,kind\na.npy,\n")
    assert faults(tmp_path, **BLOCK, label="kind", unlabelled="drop") == [
        "all.csv:1:1  kind: no row has a label. Name another column with `label:`."
    ]


def test_a_path_that_is_written_as_windows_does_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "walks").mkdir()
    save(tmp_path / "walks", "a.npy", [1.0])
    manifest(tmp_path, "walks\\a.npy,1", "walks\\b.npy,2", head="path,k")
    missing = "there is no such file beside the manifest or below a data root"
    assert faults(tmp_path, **BLOCK) == [
        f"all.csv:2:1  walks\\a.npy: {missing}, but there is one with '/' in place of '\\'",
        f"all.csv:3:1  walks\\b.npy: {missing}",
    ]
