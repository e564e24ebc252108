"""Decoded sound in the store: one decode a file ever, one copy of its samples, and interrupted decoding that goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.data.opening import faults, places, read
from tests.data.sounds import BLOCK, manifest, tone, write
from tswork import registry
from tswork.data.checking import check_data
from tswork.data.collection import Collection
from tswork.data.joined import Runs, open_runs
from tswork.data.opening import open_collection
from tswork.data.readers.decoders.base import Recording
from tswork.data.readers.decoders.sound import Sound, SoundConfig
from tswork.data.spec import DataOptions, DataSpec
from tswork.progress import telling
from tswork.store import Store

NAMES = ("a.wav", "b.flac", "c.wav", "d.wav")


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of files in the order in which they are decoded."""
    names: list[str] = []
    usual = Sound.read

    def counted(self: Sound, path: Path, options: DataOptions) -> Recording:
        names.append(path.name)
        return usual(self, path, options)

    monkeypatch.setattr(Sound, "read", counted)
    return names


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four sounds of different lengths, and a manifest of the first three."""
    for number, name in enumerate(NAMES, start=1):
        write(tmp_path / name, tone(200.0 * number, length=1000 * number))
    manifest(tmp_path, [f"{name},x,p{name}" for name in NAMES[:3]], head="path,label,speaker")
    return tmp_path


def opened(folder: Path, **block: Any) -> Collection:
    """A collection through the store, as a run opens it."""
    spec = DataSpec.parse({**BLOCK, **block})
    return open_collection(spec, places(folder), store=Store(places(folder).store))


def plain(folder: Path, names: Sequence[str], **options: Any) -> np.ndarray:
    """Files decoded one after another, without any store."""
    decoder = Sound(SoundConfig())
    return np.concatenate([decoder.read(folder / name, DataOptions(**options)).values for name in names])


def store_files(folder: Path) -> dict[str, int]:
    """Bytes of all files of the store by their name."""
    files: dict[str, int] = {}
    for file in places(folder).store.rglob("*"):
        if file.is_file():
            files[file.name] = files.get(file.name, 0) + file.stat().st_size
    return files


def test_a_file_is_decoded_once_whatever_changes_around_it(folder: Path, decoded: list[str]) -> None:
    opened(folder)
    assert decoded == list(NAMES[:3])
    opened(folder)
    read(folder, **BLOCK)
    opened(folder, label="speaker", name="other")
    opened(folder, groups=["speaker"], split={"by": "groups", "fractions": [0.4, 0.3, 0.3]})
    check_data(DataSpec.parse(BLOCK), places(folder))
    manifest(folder, [f"{name},y" for name in reversed(NAMES[:3])], head="path,label")
    opened(folder)
    manifest(folder, [f"{name},0,0.03" for name in NAMES[:3]], head="path,start,stop")
    opened(folder, cut="seconds")
    assert decoded == list(NAMES[:3])
    manifest(folder, NAMES)
    opened(folder)
    assert decoded == list(NAMES)


def test_another_rate_option_version_or_content_is_decoded_anew(
    folder: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(folder)
    opened(folder, rate=8000.0)
    assert len(decoded) == 6
    opened(folder, decoders=[{"uses": "sound", "channel": "left"}])
    assert len(decoded) == 9
    write(folder / "b.flac", tone(555.0))
    opened(folder)
    assert decoded[9:] == ["b.flac"]
    known = registry.find("decoder", "sound")
    newer = registry.Component("decoder", "sound", known.version + 1, known.config, known.target)
    monkeypatch.setitem(registry._components, ("decoder", "sound"), newer)
    opened(folder)
    assert len(decoded) == 13


def test_equal_content_under_two_names_is_decoded_once(folder: Path, decoded: list[str]) -> None:
    (folder / "again.wav").write_bytes((folder / "a.wav").read_bytes())
    manifest(folder, ["a.wav", "again.wav"])
    found = opened(folder)
    assert decoded == ["a.wav"]
    assert torch.equal(found.sequence(0), found.sequence(1))


def test_values_are_those_of_plain_decoding(folder: Path) -> None:
    np.testing.assert_array_equal(opened(folder).values.numpy(), plain(folder, NAMES[:3]))
    order = [NAMES[place] for place in (3, 1, 0, 2)]
    manifest(folder, order)
    np.testing.assert_array_equal(opened(folder).values.numpy(), plain(folder, order))
    np.testing.assert_array_equal(opened(folder, rate=11025.0).values.numpy(), plain(folder, order, rate=11025.0))
    manifest(folder, ["b.flac,500,1500", "a.wav,0,500", "a.wav,500,1000"], head="path,start,stop")
    pieces = np.concatenate([plain(folder, ["b.flac"])[500:1500], plain(folder, ["a.wav"])])
    np.testing.assert_array_equal(opened(folder, cut="steps").values.numpy(), pieces)


def test_a_collection_is_the_same_with_and_without_the_store(folder: Path) -> None:
    first, second, plainly = opened(folder), opened(folder), read(folder, **BLOCK)
    assert first.digest == second.digest == plainly.digest
    assert first.replaced().digest == first.replaced(rate=16000.0).digest == plainly.replaced(rate=16000.0).digest


def test_samples_are_on_disk_once(folder: Path) -> None:
    opened(folder)
    opened(folder, label="speaker")
    manifest(folder, ["c.wav", "a.wav"])
    opened(folder)
    files = store_files(folder)
    assert files["samples.npy"] == 128 + 2 * 6000
    assert "values.npy" not in files


def test_whole_recordings_in_their_order_are_mapped_where_memory_is_short(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(folder)
    assert not hasattr(opened(folder).values, "_tswork_mapped"), "what fits is loaded"
    monkeypatch.setattr("tswork.data.stored.free_room", lambda: 100)
    assert hasattr(opened(folder).values, "_tswork_mapped")
    assert "values.npy" not in store_files(folder)
    manifest(folder, NAMES[1:])
    found = opened(folder)
    assert hasattr(found.values, "_tswork_mapped")
    np.testing.assert_array_equal(found.values.numpy(), plain(folder, NAMES[1:]))


def test_several_runs_that_do_not_fit_the_memory_are_joined_once(folder: Path) -> None:
    opened(folder)
    manifest(folder, ["d.wav"])
    opened(folder)
    store = Store(places(folder).store)
    keys = [entry.key for entry in store.entries() if entry.about["kind"] == "decoded"]
    long = {key: np.load(store.path / key[:2] / key / "samples.npy") for key in keys}
    runs = Runs.of((key, 10, len(samples)) for key, samples in long.items())
    wanted = np.concatenate([samples[10:] for samples in long.values()])
    for budget in (10, 10, 1 << 20):
        found = open_runs(runs, store, budget=budget)
        assert hasattr(found, "_tswork_mapped") == (budget == 10)
        np.testing.assert_array_equal(found.numpy(), wanted)
    assert sum(entry.about["kind"] == "decoded" for entry in store.entries()) == 3


def test_pieces_that_touch_become_one_run() -> None:
    runs = Runs.of([("a", 0, 5), ("a", 5, 9), ("b", 0, 3), ("a", 9, 12), ("a", 20, 22)])
    assert runs == Runs(("a", "b"), ((0, 0, 9), (1, 0, 3), (0, 9, 12), (0, 20, 22)))
    assert Runs.parse(runs.dump()) == runs
    assert runs.length == 17


def test_samples_that_were_removed_are_decoded_again(folder: Path, decoded: list[str]) -> None:
    first = opened(folder)
    store = Store(places(folder).store)
    for entry in list(store.entries()):
        if entry.about["kind"] == "decoded":
            store.remove(entry.key)
    np.testing.assert_array_equal(opened(folder).values.numpy(), first.values.numpy())
    assert decoded == [*NAMES[:3]] * 2


class Stopped(Exception):
    """Stands for an interrupt."""


def stopping_at(name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    usual = Sound.read

    def stop(self: Sound, path: Path, options: DataOptions) -> Recording:
        if path.name == name:
            raise Stopped
        return usual(self, path, options)

    with monkeypatch.context() as patched:
        patched.setattr(Sound, "read", stop)
        yield


@pytest.mark.parametrize(("torn", "again"), [(False, 2), (True, 3)])
def test_interrupted_decoding_goes_on_where_it_was(
    folder: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch, torn: bool, again: int
) -> None:
    manifest(folder, NAMES)
    for _ in stopping_at("c.wav", monkeypatch):
        with pytest.raises(Stopped):
            opened(folder)
    assert decoded == ["a.wav", "b.flac"]
    if torn:
        (work,) = places(folder).store.rglob("*.work/samples.npy")
        content = bytearray(work.read_bytes())
        content[-2] ^= 1
        work.write_bytes(content)
    found = opened(folder)
    assert decoded[2:] == list(NAMES[-again:])
    np.testing.assert_array_equal(found.values.numpy(), plain(folder, NAMES))
    assert not list(places(folder).store.rglob("*.work"))


def test_refused_files_are_told_again_and_leave_the_others_decoded(folder: Path, decoded: list[str]) -> None:
    (folder / "c.wav").write_text("no sound")
    told = faults(folder, lambda at, **block: opened(at, **block), **BLOCK)
    assert told == faults(folder, **BLOCK)
    assert told[0].startswith("all.csv:4:1  c.wav: is no sound")
    assert decoded == ["a.wav", "b.flac", "c.wav", "c.wav"]
    write(folder / "c.wav", tone())
    opened(folder)
    assert decoded[4:] == ["c.wav"]


def test_files_that_are_all_refused_leave_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("no sound")
    manifest(tmp_path, ["a.wav"])
    assert len(faults(tmp_path, **BLOCK)) == 1
    assert not [file for file in places(tmp_path).store.rglob("*") if file.is_file()]


def test_decoding_tells_how_far_it_is(folder: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    with telling(lambda what, done, total: heard.append((what, done, total))):
        opened(folder)
        opened(folder)
    assert heard == [("decoding", done, 3) for done in range(4)]
    read(folder, **BLOCK, rate=8000.0)
    assert len(heard) == 4


@pytest.mark.real_data
def test_spoken_digits_last_as_long_as_their_manifest_says_and_are_decoded_once(
    tmp_path: Path, data_root: Path, decoded: list[str]
) -> None:
    source = data_root / "fsdd" / "manifest.csv"
    if not source.is_file():
        pytest.skip("needs the set fsdd below TSWORK_DATA")
    rows = pd.read_csv(source).iloc[::20]
    rows["path"] = [str(source.parent / path) for path in rows["path"]]
    for order in (1, -1):
        rows.iloc[::order].to_csv(tmp_path / "all.csv", index=False)
        found = opened(tmp_path, cut="none", rate=16000.0, label="digit", groups=["speaker"])
        seconds = found.table["seconds"].to_numpy()
        np.testing.assert_allclose(found.lengths.numpy() / 16000, seconds, atol=2e-3)
    assert len(decoded) == len(rows) == 150
    assert (found.values.dtype, found.channels) == (torch.int16, ("sound",))
