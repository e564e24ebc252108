"""The store: whole entries or none, one writer at a time, usable after any failure."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tswork.errors import StoreUnwritable
from tswork.store import DONE, Store, key_of

KEY = key_of({"a": 1})


def store_one(store: Store, text: str = "hello", key: str = KEY) -> Path:
    return store.compute(key, lambda folder: (folder / "value.txt").write_text(text))


def test_a_new_store_creates_nothing(tmp_path: Path) -> None:
    assert Store(tmp_path / "store").get(KEY) is None
    assert not (tmp_path / "store").exists()


def test_an_entry_is_computed_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = store_one(store, "first")
    assert store_one(store, "second") == first
    assert (first / "value.txt").read_text() == "first"


def test_equal_values_have_equal_keys_whatever_their_order() -> None:
    assert key_of({"a": 1, "b": [1.5, None]}) == key_of({"b": [1.5, None], "a": 1})
    assert key_of({"a": 1}) != key_of({"a": 2})
    with pytest.raises(ValueError):
        key_of({"a": float("nan")})


@pytest.mark.parametrize("damage", ["missing", "shorter", "no record"])
def test_a_damaged_entry_is_not_there(tmp_path: Path, damage: str) -> None:
    store = Store(tmp_path)
    folder = store_one(store)
    if damage == "missing":
        (folder / "value.txt").unlink()
    elif damage == "shorter":
        (folder / "value.txt").write_text("hell")
    else:
        (folder / DONE).write_text("{")
    assert store.get(KEY) is None
    assert (store_one(store, "again") / "value.txt").read_text() == "again"


def test_verify_finds_changed_content_of_the_same_size(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (store_one(store) / "value.txt").write_text("hallo")
    assert store.get(KEY) is not None
    assert store.get(KEY, verify=True) is None


def test_a_failing_writer_leaves_nothing_behind(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def fail(folder: Path) -> None:
        (folder / "half.txt").write_text("half")
        raise RuntimeError("broke")

    with pytest.raises(RuntimeError, match="broke"):
        store.compute(KEY, fail)
    assert list((tmp_path / KEY[:2]).iterdir()) == []


def test_a_full_disk_is_named_and_the_store_stays_usable(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def full(folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StoreUnwritable, match="No space left"):
        store.compute(KEY, full)
    assert store_one(store).is_dir()


def test_threads_wait_for_the_one_that_computes(tmp_path: Path) -> None:
    store = Store(tmp_path)
    calls: list[int] = []

    def write(folder: Path) -> None:
        calls.append(1)
        threading.Event().wait(0.3)
        (folder / "value.txt").write_text("once")

    threads = [threading.Thread(target=store.compute, args=(KEY, write)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [1]


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    store = Store(tmp_path)
    script = f"from tswork.store import *; import os; s = Store(Path({str(tmp_path)!r})); l = s.lock({KEY!r}); l.__enter__(); os._exit(9)"
    subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert (tmp_path / KEY[:2] / f"{KEY}.lock").exists()
    assert store_one(store).is_dir()
    assert not (tmp_path / KEY[:2] / f"{KEY}.lock").exists()


def test_the_workspace_outlives_a_failure_and_goes_with_success(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (store.workspace(KEY) / "checkpoint").write_text("1")
    with pytest.raises(RuntimeError):
        store.compute(KEY, lambda folder: (_ for _ in ()).throw(RuntimeError("broke")))
    assert (store.workspace(KEY) / "checkpoint").exists()
    store_one(store)
    assert not (tmp_path / KEY[:2] / f"{KEY}.work").exists()


def test_entries_tell_what_they_are(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.compute(KEY, lambda folder: (folder / "x").write_bytes(b"12345"), about={"stage": "train"})
    (entry,) = store.entries()
    assert (entry.key, entry.bytes, entry.about) == (KEY, 5, {"stage": "train"})
    assert json.loads((entry.path / DONE).read_text())["files"]["x"]["bytes"] == 5
    store.remove(KEY)
    assert list(store.entries()) == []
