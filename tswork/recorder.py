"""What methods and protocols report to: the interface, a form in memory and one that forgets.

Names are paths with slashes (`loss`, `health/effective_rank`); the runner adds the stage's name in front.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from torch import Tensor

    Value = float | Tensor


@runtime_checkable
class Recorder(Protocol):
    """Receives scalars, tables, figures and pages. Nothing here may wait for the device or the network."""

    def scalars(self, values: Mapping[str, Value], *, step: int) -> None:
        """One point on each named curve; a zero-dimensional tensor may be given and is read later."""

    def table(self, name: str, frame: pd.DataFrame) -> None:
        """A table by name; a second one of the same name replaces it."""

    def figure(self, name: str, figure: Figure | Path) -> None:
        """A matplotlib figure, or the PNG file of one that was stored."""

    def page(self, name: str, html: str) -> None:
        """A page of HTML that needs no other file."""


@runtime_checkable
class Resumable(Protocol):
    """A recorder whose points outlive the process: training flushes it with every checkpoint and takes it up again."""

    def flush(self) -> None:
        """Write down what was received so far."""

    def resume(self, *, before: int) -> None:
        """Take up the points with a step below `before` and forget later ones."""


class NullRecorder:
    """Forgets everything."""

    def scalars(self, values: Mapping[str, Value], *, step: int) -> None:
        pass

    def table(self, name: str, frame: pd.DataFrame) -> None:
        pass

    def figure(self, name: str, figure: Figure | Path) -> None:
        pass

    def page(self, name: str, html: str) -> None:
        pass


class MemoryRecorder:
    """Keeps everything in plain attributes, for notebooks and tests."""

    def __init__(self) -> None:
        self._points: list[tuple[int, Mapping[str, Value]]] = []
        self.tables: dict[str, pd.DataFrame] = {}
        self.figures: dict[str, Figure | Path] = {}
        self.pages: dict[str, str] = {}

    def scalars(self, values: Mapping[str, Value], *, step: int) -> None:
        self._points.append((step, dict(values)))

    def table(self, name: str, frame: pd.DataFrame) -> None:
        self.tables[name] = frame

    def figure(self, name: str, figure: Figure | Path) -> None:
        self.figures[name] = figure

    def page(self, name: str, html: str) -> None:
        self.pages[name] = html

    @property
    def curves(self) -> dict[str, list[tuple[int, float]]]:
        """`{name: [(step, value), ...]}`."""
        curves: dict[str, list[tuple[int, float]]] = {}
        for step, values in self._points:
            for name, value in values.items():
                curves.setdefault(name, []).append((step, float(value)))
        return curves


class Tee:
    """Hands everything to several recorders, optionally under a prefix."""

    def __init__(self, recorders: Sequence[Recorder], *, prefix: str = "") -> None:
        self._recorders = tuple(recorders)
        self._prefix = prefix

    def scalars(self, values: Mapping[str, Value], *, step: int) -> None:
        named = {self._prefix + name: value for name, value in values.items()}
        for recorder in self._recorders:
            recorder.scalars(named, step=step)

    def table(self, name: str, frame: pd.DataFrame) -> None:
        for recorder in self._recorders:
            recorder.table(self._prefix + name, frame)

    def figure(self, name: str, figure: Figure | Path) -> None:
        for recorder in self._recorders:
            recorder.figure(self._prefix + name, figure)

    def page(self, name: str, html: str) -> None:
        for recorder in self._recorders:
            recorder.page(self._prefix + name, html)

    def flush(self) -> None:
        for recorder in self._recorders:
            if isinstance(recorder, Resumable):
                recorder.flush()

    def resume(self, *, before: int) -> None:
        for recorder in self._recorders:
            if isinstance(recorder, Resumable):
                recorder.resume(before=before)
