"""Made sets on disk: whole or not there, never over other files, and read back as what was made."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import soundfile

from tests.cli.commands import tswork
from tests.data.making.statistics import made
from tswork.data.making.options import read_maker
from tswork.data.making.writing import Format, make_set
from tswork.errors import ComponentUnknown, DataInvalid, PipelineInvalid
from tswork.store import file_digest

OPTIONS = ("varieties=2", "cities=1", "speakers=1", "items=2")
SMALL = {"varieties": 2, "cities": 1, "speakers": 1, "items": 2}


@pytest.mark.parametrize("form", ["flac", "wav"])
def test_files_hold_the_samples_that_were_made(tmp_path: Path, form: Format) -> None:
    manifest, _ = make_set(read_maker("synthetic_varieties", OPTIONS), tmp_path / "new" / "set", form=form)
    table = pd.read_csv(manifest)
    collection = made(**SMALL).collection
    pd.testing.assert_frame_equal(table.drop(columns="path"), collection.table)
    for number, path in enumerate(table["path"]):
        codes, rate = soundfile.read(manifest.parent / path, dtype="int16", always_2d=True)
        assert rate == 16_000
        assert (codes == collection.sequence(number).numpy()).all()


def test_the_truth_stands_beside_the_manifest(tmp_path: Path) -> None:
    manifest, _ = make_set(read_maker("synthetic_varieties", OPTIONS), tmp_path / "set")
    truth = json.loads((manifest.parent / "truth.json").read_text())
    expected = made(**SMALL)
    assert {name: truth[name] for name in expected.truth} == expected.truth
    assert truth["digest"] == expected.collection.digest
    assert truth["made_by"]["varieties"] == 2
    paths = pd.read_csv(manifest)["path"]
    assert truth["sha256"] == {path: file_digest(manifest.parent / path) for path in paths}


def test_a_set_that_is_there_is_left_alone_and_other_files_are_never_touched(tmp_path: Path) -> None:
    maker = read_maker("synthetic_varieties", OPTIONS)
    manifest, written = make_set(maker, tmp_path / "set")
    assert written is not None
    assert make_set(maker, tmp_path / "set") == (manifest, None)
    for other in (read_maker("synthetic_varieties", [*OPTIONS, "seed=1"]), read_maker("synthetic_varieties")):
        with pytest.raises(DataInvalid, match=r"holds other files\. Name a new folder, or remove this one\."):
            make_set(other, tmp_path / "set")
    with pytest.raises(DataInvalid, match="is a file"):
        make_set(maker, manifest)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_what_breaks_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("tswork.data.making.writing._write_sound", broken)
    with pytest.raises(OSError, match="no space left"):
        make_set(read_maker("synthetic_varieties", OPTIONS), tmp_path / "set")
    assert list(tmp_path.iterdir()) == []


def test_all_faults_of_the_options_are_told_at_once() -> None:
    with pytest.raises(PipelineInvalid) as refused:
        read_maker("synthetic_varieties", ["varietis=2", "speakers=0", "seed"])
    assert [str(problem) for problem in refused.value.problems] == [
        "-s argument 3, column 1  'seed' is not an override. Write key.key=value.",
        "-s argument 2, column 10  speakers: should be greater than or equal to 1, not 0",
        "-s argument 1, column 10  varietis: unknown key. Did you mean 'varieties'?",
    ]
    with pytest.raises(ComponentUnknown, match="no maker is called 'synthetic'"):
        read_maker("synthetic")


def test_the_command_says_what_it_made_and_where(tmp_path: Path) -> None:
    options = [part for option in OPTIONS for part in ("-s", option)]
    done = tswork(tmp_path, "data", "make", "synthetic_varieties", "set", *options)
    assert (done.code, done.out) == (0, "set/manifest.csv\n")
    assert done.err.startswith("4 recordings, ")
    again = tswork(tmp_path, "data", "make", "synthetic_varieties", "set", *options)
    assert (again.code, again.err) == (0, "is there already, made with these options\n")
    other = tswork(tmp_path, "data", "make", "synthetic_varieties", "set")
    assert other.code == 2
    assert other.err == "set  holds other files. Name a new folder, or remove this one.\n"
    below = tswork(tmp_path, "data", "make", "synthetic_varieties", "--data-root", "root", *options)
    assert below.out == "root/synthetic_varieties/manifest.csv\n"


def test_makers_are_shown_and_listed_with_the_other_components(tmp_path: Path) -> None:
    assert "synthetic_varieties" in tswork(tmp_path, "list", "maker").out
    shown = tswork(tmp_path, "show", "synthetic_varieties").out
    assert "variety_strength" in shown
    assert "[vowels, lengths, geminates, melody]" in " ".join(shown.split())
