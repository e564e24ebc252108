"""Checkpoints that survive anything: whole or not there, checked before use, loaded without running code.

A checkpoint is a folder `step-000000120`: safetensors files, `state.pt` (read with `weights_only=True`), and
`manifest.json` with size and sha256 of each, written last. It is written beside its place, flushed to disk and renamed.
The newest two are kept. Tensors that do not change any more (the best weights so far, the models of finished tasks) are
part of every checkpoint that needs them, as hard links to the files of the one before.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tswork.disk import disk_errors, flush
from tswork.errors import TsworkWarning
from tswork.methods.weights import read_weights, write_weights
from tswork.store import file_digest

STATE = "state.pt"
MANIFEST = "manifest.json"
SUFFIX = ".safetensors"
KEPT = "kept-"


@dataclass(frozen=True)
class Snapshot:
    """Everything that training needs to go on after `step` steps.

    `weights` are named sets of tensors, `kept` those that never change under their name. `state` holds tensors, numbers,
    text and containers only.
    """

    step: int
    weights: Mapping[str, Mapping[str, Tensor]]
    state: Mapping[str, Any]
    kept: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoints:
    """Where checkpoints lie, and how often one is written: after so many seconds or steps, whichever is first."""

    folder: Path
    every_seconds: float | None = 30.0
    every_steps: int | None = None
    keep: int = 2

    def due(self, *, seconds: float, steps: int) -> bool:
        """Whether it is time, so many seconds and steps after the last one."""
        by_seconds = self.every_seconds is not None and seconds >= self.every_seconds
        return by_seconds or (self.every_steps is not None and steps >= self.every_steps)

    def save(self, snapshot: Snapshot) -> Path:
        """Write a checkpoint, then remove those it makes superfluous. Raises `OSError` when the disk refuses."""
        self.folder.mkdir(parents=True, exist_ok=True)
        place = self._place(snapshot.step)
        draft = self.folder / f"draft-{uuid.uuid4().hex[:8]}"
        draft.mkdir()
        try:
            self._fill(draft, snapshot)
            if place.exists():
                shutil.rmtree(place)
            os.replace(draft, place)
            flush(self.folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        self._prune(snapshot.step)
        return place

    def newest(self) -> Snapshot | None:
        """The newest whole checkpoint, or None; damaged ones are skipped with a `TsworkWarning` that says what happens instead."""
        damaged: dict[Path, str] = {}
        whole = None
        for path in sorted(self.folder.glob("step-*"), reverse=True):
            fault = _fault(path)
            if fault is None:
                whole = path
                break
            damaged[path] = fault
        instead = (
            "no other is whole, so training begins anew" if whole is None else f"training goes on from {whole.name}"
        )
        for path, fault in damaged.items():
            text = f"the checkpoint {path} is damaged ({fault}) and is skipped: {instead}"
            warnings.warn(text, TsworkWarning, stacklevel=2)
        return None if whole is None else _read(whole)

    def _place(self, step: int) -> Path:
        return self.folder / f"step-{step:09d}"

    def _fill(self, draft: Path, snapshot: Snapshot) -> None:
        for name, tensors in snapshot.weights.items():
            write_weights(draft / f"{name}{SUFFIX}", tensors)
        with disk_errors(draft / STATE):
            torch.save({"step": snapshot.step, **snapshot.state}, draft / STATE)
        files = {path.name: _record(path) for path in sorted(draft.iterdir())}
        for name, tensors in snapshot.kept.items():
            file = f"{KEPT}{name}{SUFFIX}"
            known = self._link_known(file, draft)
            if known is None:
                write_weights(draft / file, tensors)
                known = _record(draft / file)
            files[file] = known
        (draft / MANIFEST).write_text(json.dumps({"files": files}, indent=1, sort_keys=True))
        flush(draft / MANIFEST)
        flush(draft)

    def _link_known(self, file: str, draft: Path) -> dict[str, Any] | None:
        """Link the file of an earlier checkpoint, with its recorded digest; None when there is none."""
        for earlier in sorted(self.folder.glob(f"step-*/{file}"), reverse=True):
            try:
                recorded: dict[str, Any] = json.loads((earlier.parent / MANIFEST).read_text())["files"][file]
                os.link(earlier, draft / file)
            except (OSError, ValueError, KeyError):
                continue  # damaged, or a file system without links: write it anew
            return recorded
        return None

    def _prune(self, step: int) -> None:
        places = sorted(self.folder.glob("step-*"))
        abandoned = [path for path in places if path > self._place(step)]
        kept = [path for path in places if path not in abandoned][-self.keep :]
        for path in (*self.folder.glob("draft-*"), *places):
            if path not in kept:
                shutil.rmtree(path, ignore_errors=True)


def _read(path: Path) -> Snapshot:
    state = torch.load(path / STATE, weights_only=True, map_location="cpu")
    tensors = {file.name.removesuffix(SUFFIX): read_weights(file) for file in sorted(path.glob(f"*{SUFFIX}"))}
    return Snapshot(
        step=state.pop("step"),
        weights={name: value for name, value in tensors.items() if not name.startswith(KEPT)},
        kept={name.removeprefix(KEPT): value for name, value in tensors.items() if name.startswith(KEPT)},
        state=state,
    )


def _fault(path: Path) -> str | None:
    """What is wrong with a checkpoint, or None when every file is as it was written."""
    try:
        files = json.loads((path / MANIFEST).read_text())["files"]
        if STATE not in files:
            return f"{MANIFEST} does not list {STATE}"
        for name, recorded in files.items():
            file = path / name
            if not file.is_file():
                return f"{name} is missing"
            if file.stat().st_size != recorded["bytes"]:
                return f"{name} has {file.stat().st_size} bytes instead of {recorded['bytes']}"
            if file_digest(file) != recorded["sha256"]:
                return f"{name} was altered"
    except FileNotFoundError:
        return f"{MANIFEST} is missing"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{MANIFEST} cannot be read: {error}"
    return None


def _record(path: Path) -> dict[str, Any]:
    flush(path)
    return {"bytes": path.stat().st_size, "sha256": file_digest(path)}
