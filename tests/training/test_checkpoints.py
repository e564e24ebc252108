"""A checkpoint is whole or it is not there, and only the useful ones stay."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tswork.errors import TsworkWarning
from tswork.training.checkpoints import MANIFEST, STATE, Checkpoints, Snapshot


def snapshot(step: int, *, best: int | None = None) -> Snapshot:
    weights: dict[str, dict[str, Tensor]] = {"model": {"w": torch.full((3,), float(step))}}
    kept = {f"best-{best}": {"w": torch.full((2,), float(best))}} if best is not None else {}
    state = {"optimiser": {"exp_avg": torch.arange(4.0), "step": step}, "names": ["a", None, 1.5]}
    return Snapshot(step, weights, state, kept)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "new" / "folder")
    assert checkpoints.newest() is None
    checkpoints.save(snapshot(7, best=3))
    read = checkpoints.newest()
    assert read is not None
    assert read.step == 7
    assert read.weights["model"]["w"].tolist() == [7, 7, 7]
    assert read.kept["best-3"]["w"].tolist() == [3, 3]
    assert read.state["names"] == ["a", None, 1.5]
    assert read.state["optimiser"]["exp_avg"].tolist() == [0, 1, 2, 3]


def test_the_newest_two_stay(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for step in (5, 10, 15, 20):
        checkpoints.save(snapshot(step))
    assert names(tmp_path) == ["step-000000015", "step-000000020"]


def test_tensors_that_do_not_change_are_stored_once_and_survive_older_checkpoints(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for step in (5, 10, 15, 20):
        checkpoints.save(snapshot(step, best=5))
    inodes = {(tmp_path / name / "kept-best-5.safetensors").stat().st_ino for name in names(tmp_path)}
    assert len(inodes) == 1
    newest = checkpoints.newest()
    assert newest is not None
    assert newest.kept["best-5"]["w"].tolist() == [5, 5]


def test_without_hard_links_they_are_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    checkpoints = Checkpoints(tmp_path)
    for step in (5, 10, 15):
        checkpoints.save(snapshot(step, best=5))
    newest = checkpoints.newest()
    assert newest is not None
    assert newest.kept["best-5"]["w"].tolist() == [5, 5]


def cut_short(path: Path) -> None:
    with (path / STATE).open("r+b") as file:
        file.truncate(100)


def alter(path: Path) -> None:
    content = bytearray((path / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (path / "model.safetensors").write_bytes(content)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "torn state": (cut_short, "state.pt has 100 bytes instead of"),
    "altered weights": (alter, "model.safetensors was altered"),
    "missing weights": (lambda path: (path / "model.safetensors").unlink(), "model.safetensors is missing"),
    "no manifest": (lambda path: (path / MANIFEST).unlink(), "manifest.json is missing"),
    "torn manifest": (lambda path: (path / MANIFEST).write_text('{"files"'), "manifest.json cannot be read"),
    "strange manifest": (lambda path: (path / MANIFEST).write_text("[]"), "manifest.json cannot be read"),
    "empty manifest": (lambda path: (path / MANIFEST).write_text('{"files": {}}'), "does not list state.pt"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_checkpoint_is_recognised_and_the_one_before_is_used(tmp_path: Path, kind: str) -> None:
    damage, reason = DAMAGE[kind]
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(snapshot(5))
    damage(checkpoints.save(snapshot(10)))
    with pytest.warns(TsworkWarning, match=f"step-000000010 is damaged .*{reason}.*skipped"):
        read = checkpoints.newest()
    assert read is not None
    assert read.step == 5


def test_a_damaged_later_checkpoint_gives_way_to_new_ones(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(snapshot(5))
    alter(checkpoints.save(snapshot(10)))
    checkpoints.save(snapshot(7))
    assert names(tmp_path) == ["step-000000005", "step-000000007"]
    alter(checkpoints.save(snapshot(10)))
    checkpoints.save(snapshot(10))
    newest = checkpoints.newest()
    assert newest is not None
    assert newest.step == 10


def test_a_draft_of_a_dead_process_is_no_checkpoint_and_is_cleared_away(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    shutil.copytree(checkpoints.save(snapshot(5)), tmp_path / "draft-12345678")
    shutil.rmtree(tmp_path / "step-000000005")
    assert checkpoints.newest() is None
    checkpoints.save(snapshot(6))
    assert names(tmp_path) == ["step-000000006"]


def test_a_refusing_disk_leaves_the_earlier_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(snapshot(5))

    def refuse(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", refuse)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save(snapshot(10))
    assert names(tmp_path) == ["step-000000005"]


def test_loading_runs_no_code(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)

    class Harmful:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, ("touch harmed",)

    path = checkpoints.save(Snapshot(5, {}, {"harmful": Harmful()}))
    assert json.loads((path / MANIFEST).read_text())["files"][STATE]["bytes"] == (path / STATE).stat().st_size
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        checkpoints.newest()


def test_they_are_due_after_so_many_seconds_or_steps() -> None:
    folder = Path("unused")
    assert Checkpoints(folder).due(seconds=30.0, steps=0)
    assert not Checkpoints(folder).due(seconds=29.0, steps=10**6)
    assert Checkpoints(folder, every_steps=10).due(seconds=0.0, steps=10)
    assert not Checkpoints(folder, every_seconds=None, every_steps=10).due(seconds=1e6, steps=9)
