"""What a stage reported, kept inside its entry of the store so that a cached stage can report it again.

records/scalars.parquet   the full history: name, step, value
records/tables/NAME.parquet
records/figures/NAME.png
records/pages/NAME.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from tswork.figures.files import write_figure
from tswork.journal import Journal, Point
from tswork.recorder import Recorder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tswork.recorder import Value


class EntryRecorder:
    """Collects what a stage reports; `write(folder)` puts it into the entry.

    With a journal (a file in the stage's workspace) points survive the process: `flush` appends them, and a resumed
    stage reads back those before the step it resumes from. They are told to `live`, which has not heard of them where it
    reports to a new run.
    """

    def __init__(self, *, journal: Path | None = None, live: Recorder | None = None) -> None:
        self._journal = Journal(journal)
        self._live = live
        self._tables: dict[str, pd.DataFrame] = {}
        self._figures: dict[str, Figure | Path] = {}
        self._pages: dict[str, str] = {}

    def scalars(self, values: Mapping[str, Value], *, step: int) -> None:
        self._journal.add(values, step=step)

    def table(self, name: str, frame: pd.DataFrame) -> None:
        self._tables[name] = frame

    def figure(self, name: str, figure: Figure | Path) -> None:
        self._figures[name] = figure

    def page(self, name: str, html: str) -> None:
        self._pages[name] = html

    def flush(self) -> None:
        """Read waiting tensors in one transfer and append the points to the journal."""
        self._journal.flush()

    def resume(self, *, before: int) -> None:
        """Take up the journal's points with a step below `before`, and forget later ones."""
        self._journal.resume(before=before)
        if self._live is not None:
            _report(_history(self._journal.points), self._live)

    @property
    def scalars_frame(self) -> pd.DataFrame:
        """The full history: name, step, value."""
        self.flush()
        return _history(self._journal.points)

    def write(self, folder: Path) -> None:
        """Put everything under `folder/records`."""
        records = folder / "records"
        records.mkdir(parents=True)
        self.scalars_frame.to_parquet(records / "scalars.parquet", index=False)
        for name, frame in self._tables.items():
            frame.to_parquet(_place(records / "tables", name, ".parquet"), index=False)
        for name, figure in self._figures.items():
            write_figure(figure, _place(records / "figures", name, ".png"))
        for name, html in self._pages.items():
            _place(records / "pages", name, ".html").write_text(html, encoding="utf-8")


def replay(folder: Path, recorder: Recorder) -> None:
    """Report again what the stage of a finished entry reported."""
    records = folder / "records"
    _report(pd.read_parquet(records / "scalars.parquet"), recorder)
    for file in sorted((records / "tables").rglob("*.parquet")):
        recorder.table(_name(records / "tables", file), pd.read_parquet(file))
    for file in sorted((records / "figures").rglob("*.png")):
        recorder.figure(_name(records / "figures", file), file)
    for file in sorted((records / "pages").rglob("*.html")):
        recorder.page(_name(records / "pages", file), file.read_text(encoding="utf-8"))


def _history(points: Sequence[Point]) -> pd.DataFrame:
    """Name, step, value; of points that were reported twice the last."""
    frame = pd.DataFrame(points, columns=["name", "step", "value"])
    return frame.drop_duplicates(["name", "step"], keep="last")


def _report(history: pd.DataFrame, recorder: Recorder) -> None:
    """All points of a history, step by step."""
    for step, points in history.groupby("step", sort=True):
        recorder.scalars(dict(zip(points["name"], points["value"], strict=True)), step=int(str(step)))


def _place(folder: Path, name: str, suffix: str) -> Path:
    path = folder / f"{name}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _name(folder: Path, file: Path) -> str:
    return file.relative_to(folder).with_suffix("").as_posix()
