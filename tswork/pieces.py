"""Finished pieces of a long stage: they outlive an interruption, and go when the stage is finished.

    tuned = context.kept({"row": "comet", "share": "10%"}, tune, write=write_tuned, read=read_tuned)

A piece is an entry of a small store of its own in the stage's workspace: whole or not there, looked through before it is used. The
workspace stands under the stage's key, so a stage with other options finds nothing of this one. What a piece reported to its
recorder is kept with it and reported again, so the records of a stage that was interrupted are those of one that was not.

While it is being made, a piece has a folder for unfinished work (`context.work`, for checkpoints) and pieces of its own, which all go
when it is finished.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tswork.errors import TsworkWarning
from tswork.journal import Journal, read_points, write_points
from tswork.recorder import Recorder
from tswork.store import PIECES, Store, key_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from tswork.context import Context
    from tswork.recorder import Value

T = TypeVar("T")
CURVES = "curves.jsonl"


def kept_piece(
    context: Context,
    key: Any,
    make: Callable[[Context], T],
    *,
    write: Callable[[Path, T], object],
    read: Callable[[Path], T],
) -> T:
    """What `Context.kept` says."""
    store = context.pieces
    if store is None:
        return make(context)
    digest = key_of(key)
    if (damaged := store.damaged(digest)) is not None:
        warnings.warn(
            f"the finished piece {damaged} was altered after it was written and is made again",
            TsworkWarning,
            stacklevel=3,
        )
    made: list[T] = []

    def make_and_write(folder: Path) -> None:
        work = store.workspace(digest)
        curves = Curves(context.recorder, work / CURVES)
        made.append(make(replace(context, recorder=curves, pieces=Store(work / PIECES), work=work)))
        write(folder, made[0])
        curves.write(folder / CURVES)

    folder = store.compute(digest, make_and_write, about={"piece": key}, verify=True)
    if made:
        return made[0]
    for name, step, value in read_points(folder / CURVES):
        context.recorder.scalars({name: value}, step=step)
    return read(folder)


class Curves:
    """Hands curves on and keeps them; a training that goes on from a checkpoint takes them up again."""

    def __init__(self, recorder: Recorder, journal: Path) -> None:
        self._recorder = recorder
        self._journal = Journal(journal)

    def scalars(self, values: Mapping[str, Value], *, step: int) -> None:
        self._journal.add(values, step=step)
        self._recorder.scalars(values, step=step)

    def table(self, name: str, frame: pd.DataFrame) -> None:
        raise _not_kept("table", name)

    def figure(self, name: str, figure: Figure | Path) -> None:
        raise _not_kept("figure", name)

    def page(self, name: str, html: str) -> None:
        raise _not_kept("page", name)

    def flush(self) -> None:
        """Write down what came so far."""
        self._journal.flush()

    def resume(self, *, before: int) -> None:
        """Report the points below a step again, of which the recorder of this process has not heard."""
        self._journal.resume(before=before)
        for name, step, value in self._journal.points:
            self._recorder.scalars({name: value}, step=step)

    def write(self, path: Path) -> None:
        """All curves as a file."""
        self.flush()
        write_points(path, self._journal.points)


def _not_kept(kind: str, name: str) -> NotImplementedError:
    return NotImplementedError(f"a piece keeps curves alone: report the {kind} {name} where the piece is used")
