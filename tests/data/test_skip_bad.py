"""Rows of a manifest that cannot be used are left out where that is asked for, and files outside its folder are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.data.opening import faults, inspect, places, read
from tests.data.sounds import BLOCK, manifest, tone, write
from tswork.data.digests import source_digest
from tswork.data.opening import open_collection
from tswork.data.spec import DataSpec
from tswork.store import Store


def sounds(folder: Path) -> None:
    """Two sounds, one that is silent, one text, and rows without a file."""
    write(folder / "a.wav", tone())
    write(folder / "b.flac", tone(300.0))
    write(folder / "silent.wav", 0 * tone())
    (folder / "text.wav").write_text("no sound")
    (folder / "x.xls").write_bytes(b"")
    manifest(
        folder, ["gone.wav,1", "a.wav,2", "text.wav,3", ",4", "silent.wav,5", "b.flac,6", "x.xls,7"], head="path,k"
    )


LEFT = [
    ("all.csv:2", "gone.wav", "there is no such file beside the manifest or below a data root"),
    ("all.csv:5", "", "the row names no file"),
    ("all.csv:8", "x.xls", "no decoder reads files ending in '.xls'"),
    ("all.csv:4", "text.wav", "is no sound that can be decoded, or is not whole (Format not recognised)"),
    ("all.csv:6", "silent.wav", "is silent: all samples are 0"),
]


def test_the_others_are_read_and_what_was_left_out_is_listed(tmp_path: Path) -> None:
    sounds(tmp_path)
    found = read(tmp_path, **BLOCK, skip_bad=True)
    assert found.table.to_dict("list") == {"id": ["a.wav", "b.flac"], "k": [2, 6]}
    assert sorted(found.left_out) == sorted(LEFT)
    assert found.notes[0].startswith(
        "skip_bad leaves out 5 of 7 recordings that cannot be used: gone.wav (there is no such"
    )
    assert found.notes[0].count("a row without a path (the row names no file)") == 1
    inspect(tmp_path, **BLOCK, skip_bad=True)


def test_the_list_is_kept_with_the_stored_collection(tmp_path: Path) -> None:
    sounds(tmp_path)
    for _ in range(2):
        found = open_collection(
            DataSpec.parse({**BLOCK, "skip_bad": True}), places(tmp_path), store=Store(places(tmp_path).store)
        )
        assert sorted(found.left_out) == sorted(LEFT)


def test_nothing_is_left_out_where_all_can_be_used(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", tone())
    manifest(tmp_path, ["a.wav"])
    found, usual = read(tmp_path, **BLOCK, skip_bad=True), read(tmp_path, **BLOCK)
    assert found.digest == usual.digest
    assert (found.left_out, found.notes) == ((), ())


def test_a_file_that_appears_or_is_mended_changes_the_digest(tmp_path: Path) -> None:
    sounds(tmp_path)
    spec = DataSpec.parse({**BLOCK, "skip_bad": True})
    digests = {source_digest(spec, places(tmp_path))}
    write(tmp_path / "gone.wav", tone(200.0))
    digests.add(source_digest(spec, places(tmp_path)))
    write(tmp_path / "text.wav", tone(250.0))
    digests.add(source_digest(spec, places(tmp_path)))
    assert len(digests) == 3
    assert len(read(tmp_path, **BLOCK, skip_bad=True)) == 4


def test_a_manifest_without_any_usable_row_is_refused(tmp_path: Path) -> None:
    manifest(tmp_path, ["gone.wav", "away.wav"])
    assert faults(tmp_path, **BLOCK, skip_bad=True) == [
        "all.csv:1:1  no recording is left: none can be used. The first of them: "
        f"{tmp_path}/all.csv:2:1  gone.wav: there is no such file beside the manifest or below a data root".replace(
            f"{tmp_path}/", ""
        )
    ]
    (tmp_path / "gone.wav").write_bytes(b"")
    assert "none can be used" in faults(tmp_path, **BLOCK, skip_bad=True)[0]


@pytest.mark.parametrize("look", [read, inspect])
def test_pieces_that_do_not_fit_or_are_too_short_are_left_out(tmp_path: Path, look: Any) -> None:
    write(tmp_path / "a.wav", tone(seconds=1))
    rows = ["a.wav,0,0.5", "a.wav,0.5,0.51", "a.wav,0.9,2", "a.wav,0.5,"]
    manifest(tmp_path, rows, head="path,start,stop")
    assert faults(tmp_path, look, **BLOCK, cut="seconds") == [
        "all.csv:3:1  a.wav: has 160 steps, and the shortest that can be used has 400",
        "all.csv:4:1  a.wav: stops at 2 seconds, and the recording has 1",
    ]
    found = read(tmp_path, **BLOCK, cut="seconds", skip_bad=True)
    assert found.table["id"].tolist() == ["a.wav:0-8000", "a.wav:8000-16000"]
    assert [place for place, _, _ in found.left_out] == ["all.csv:3", "all.csv:4"]


# Paths


@pytest.mark.parametrize("look", [read, inspect])
def test_strict_paths_keep_a_manifest_inside_its_folder_and_the_data_roots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: Any
) -> None:
    inside, outside, root = tmp_path / "set", tmp_path / "elsewhere", tmp_path / "root"
    for place in (inside, outside, root):
        write(place / "a.wav", tone())
    write(root / "below" / "r.wav", tone())
    (inside / "link.wav").symlink_to(outside / "a.wav")
    monkeypatch.setenv("TSWORK_DATA", str(root))
    rows = [
        str(outside / "a.wav"),
        "../elsewhere/../elsewhere/a.wav",
        "link.wav",
        str(root / "a.wav"),
        "below/r.wav",
        "a.wav",
    ]
    block = {"reader": "manifest", "path": "set/all.csv"}
    for row in rows:
        manifest(inside, [row])
        assert len(read(tmp_path, **block)) == 1
    manifest(inside, rows)
    told = faults(tmp_path, look, **block, strict_paths=True)
    assert [one.split(":1  ")[0] for one in told] == ["set/all.csv:2", "set/all.csv:3", "set/all.csv:4"]
    assert "set and the data roots, which `strict_paths` forbids" in told[0]
    assert len(read(tmp_path, **block, strict_paths=True, skip_bad=True)) == 3


def test_strict_paths_change_no_key_and_skip_bad_does() -> None:
    usual, strict, skipping = (
        DataSpec.parse({**BLOCK, **more}).keyed() for more in ({}, {"strict_paths": True}, {"skip_bad": True})
    )
    assert usual == strict
    assert usual != skipping
    assert "skip_bad" not in usual["reader"]
