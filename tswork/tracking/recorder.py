"""A recorder on top of MLflow: curves, tables, figures and pages of one stage, its names under the stage's."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tswork.tracking import names
from tswork.tracking.client import Tracking
from tswork.tracking.outbox import Outbox, Recipient

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from tswork.recorder import Value


class RunRecorder:
    """Reports one stage into a run. Files are written at once and sent later."""

    def __init__(self, outbox: Outbox, tracking: Tracking, to: Recipient, stage: str) -> None:
        self._outbox = outbox
        self._tracking = tracking
        self._to = to
        self._stage = stage

    def scalars(self, values: Mapping[str, Value], *, step: int) -> None:
        self._outbox.points(self._to, {f"{self._stage}/{name}": value for name, value in values.items()}, step=step)

    def table(self, name: str, frame: pd.DataFrame) -> None:
        self._file("tables", name, ".parquet", lambda path: frame.to_parquet(path, index=False))

    def figure(self, name: str, figure: Figure | Path) -> None:
        from tswork.figures.files import write_figure

        self._file("figures", name, ".png", lambda path: write_figure(figure, path))

    def page(self, name: str, html: str) -> None:
        self._file("pages", name, ".html", lambda path: path.write_text(html, encoding="utf-8"))

    def _file(self, kind: str, name: str, suffix: str, write: Callable[[Path], object]) -> None:
        place = Path(names.artifact_name(f"{self._stage}/{kind}/{name}{suffix}"))
        folder = tempfile.TemporaryDirectory(prefix="tswork-")
        path = Path(folder.name) / place.name
        write(path)

        def send(run: str) -> None:
            self._tracking.client.log_artifact(run, str(path), artifact_path=place.parent.as_posix())
            folder.cleanup()

        self._outbox.post(self._to, place.as_posix(), send)
