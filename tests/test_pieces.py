"""Finished pieces of a stage: what an interruption leaves, what is found again, and what is made anew."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from tswork.context import Context
from tswork.errors import TsworkWarning
from tswork.pieces import CURVES
from tswork.recorder import MemoryRecorder, Resumable
from tswork.store import PIECES, Store

Made = list[object]


def context(folder: Path | None, recorder: MemoryRecorder | None = None) -> Context:
    """What a stage with a workspace is given, or a notebook."""
    return Context(recorder=recorder or MemoryRecorder(), pieces=None if folder is None else Store(folder / PIECES))


def value(of: Context, key: object, made: Made, *, make: Callable[[Context], float] | None = None) -> float:
    """A piece that is one number, and a note that it was made."""

    def noted(inner: Context) -> float:
        made.append(key)
        return 1 / 3 if make is None else make(inner)

    return of.kept(
        key,
        noted,
        write=lambda folder, number: (folder / "number.json").write_text(json.dumps(number)),
        read=lambda folder: float(json.loads((folder / "number.json").read_text())),
    )


def entries(folder: Path) -> list[Path]:
    return [entry.path for entry in Store(folder / PIECES).entries()]


def test_a_piece_is_made_once_and_found_again_with_the_same_bits(tmp_path: Path) -> None:
    made: Made = []
    first, second = value(context(tmp_path), {"row": "a"}, made), value(context(tmp_path), {"row": "a"}, made)
    assert first == second == 1 / 3
    assert made == [{"row": "a"}]


def test_without_a_place_for_them_every_piece_is_made_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made: Made = []
    for _ in range(2):
        value(context(None), 1, made)
    assert made == [1, 1]
    assert not list(tmp_path.iterdir())


def test_pieces_differ_by_their_keys(tmp_path: Path) -> None:
    made: Made = []
    for key in ({"rate": 0.1}, {"rate": 0.2}, {"rate": 0.1}):
        value(context(tmp_path), key, made)
    assert made == [{"rate": 0.1}, {"rate": 0.2}]


def test_curves_are_reported_again_in_their_order(tmp_path: Path) -> None:
    def training(inner: Context) -> float:
        for step in range(3):
            inner.recorder.scalars({"loss": torch.tensor(1.0) / (step + 3), "rate": 0.1}, step=step)
        inner.recorder.scalars({"validation/loss": float("nan")}, step=2)
        return 2.0

    first, second = MemoryRecorder(), MemoryRecorder()
    made: Made = []
    for recorder in (first, second):
        value(context(tmp_path, recorder), "training", made, make=training)
    assert len(made) == 1
    assert list(second.curves) == list(first.curves)
    pd.testing.assert_frame_equal(pd.DataFrame(second.curves["loss"]), pd.DataFrame(first.curves["loss"]))
    assert pd.isna(second.curves["validation/loss"][0][1])


def test_a_piece_that_fails_leaves_its_work_and_no_piece(tmp_path: Path) -> None:
    made: Made = []

    def fails(inner: Context) -> float:
        assert inner.work is not None
        (inner.work / "checkpoint").write_text("half")
        raise KeyboardInterrupt

    def goes_on(inner: Context) -> float:
        assert inner.work is not None
        return {"half": 2.0}[(inner.work / "checkpoint").read_text()]

    with pytest.raises(KeyboardInterrupt):
        value(context(tmp_path), 1, made, make=fails)
    assert entries(tmp_path) == []
    assert value(context(tmp_path), 1, made, make=goes_on) == 2.0
    (folder,) = entries(tmp_path)
    assert not list(tmp_path.rglob("*.work"))
    assert sorted(file.name for file in folder.iterdir()) == [CURVES, "done.json", "number.json"]


def test_the_curves_of_a_training_that_goes_on_are_whole(tmp_path: Path) -> None:
    """What lies behind the last checkpoint is forgotten, what lies before it is reported to the new process."""

    def until(stop: int, *, start: int = 0) -> Callable[[Context], float]:
        def training(inner: Context) -> float:
            assert isinstance(inner.recorder, Resumable)
            inner.recorder.resume(before=start)
            for step in range(start, stop):
                inner.recorder.scalars({"loss": float(step)}, step=step)
            inner.recorder.flush()
            if stop < 6:
                raise KeyboardInterrupt
            return 1.0

        return training

    with pytest.raises(KeyboardInterrupt):
        value(context(tmp_path), 1, [], make=until(4))
    for made in ([], [1]):
        recorder = MemoryRecorder()
        value(context(tmp_path, recorder), 1, list(made), make=until(6, start=3))
        assert recorder.curves["loss"] == [(step, float(step)) for step in range(6)]


def test_pieces_of_a_piece_go_when_it_is_finished(tmp_path: Path) -> None:
    made: Made = []

    def outer(inner: Context, *, stops: bool) -> float:
        found = [value(inner, number, made) for number in range(3)]
        if stops:
            raise KeyboardInterrupt
        return sum(found)

    with pytest.raises(KeyboardInterrupt):
        value(context(tmp_path), "all", made, make=lambda inner: outer(inner, stops=True))
    assert made == ["all", 0, 1, 2]
    assert value(context(tmp_path), "all", made, make=lambda inner: outer(inner, stops=False)) == 1.0
    assert made == ["all", 0, 1, 2, "all"]
    assert len(list(tmp_path.rglob("done.json"))) == 1


@pytest.mark.parametrize("damage", ["altered", "shorter", "missing", "no record"])
def test_a_damaged_piece_is_made_again_with_a_warning(tmp_path: Path, damage: str) -> None:
    made: Made = []
    value(context(tmp_path), 1, made)
    (folder,) = entries(tmp_path)
    text = (folder / "number.json").read_text()
    if damage == "altered":
        (folder / "number.json").write_text(text[:-1] + "4")
    elif damage == "shorter":
        (folder / "number.json").write_text(text[:-1])
    elif damage == "missing":
        (folder / "number.json").unlink()
    else:
        (folder / "done.json").write_text("{")
    with pytest.warns(TsworkWarning, match=f"piece {folder} was altered after it was written and is made again"):
        assert value(context(tmp_path), 1, made) == 1 / 3
    assert made == [1, 1]
    assert value(context(tmp_path), 1, made) == 1 / 3
    assert made == [1, 1]


def test_a_piece_keeps_curves_alone(tmp_path: Path) -> None:
    def reports(inner: Context) -> float:
        inner.recorder.table("scores", pd.DataFrame())
        return 1.0

    with pytest.raises(NotImplementedError, match="report the table scores where the piece is used"):
        value(context(tmp_path), 1, [], make=reports)
