"""Long work below the verbs (decoding sound), shown as a bar, or as a line every few seconds where there is no terminal."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

EVERY_SECONDS = 10.0


class LongWork:
    """Hears of long work (`tswork.progress`) and shows it on stderr."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._told = time.monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        if sys.stderr.isatty():
            self._draw(what, done, total)
        else:
            self._tell(what, done, total)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None

    def _draw(self, what: str, done: int, total: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        from tswork.cli.console import console

        if self._bar is None:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task(what, total=total)
        assert self._task is not None
        self._bar.update(self._task, completed=done, total=total, description=what)
        if done == total:
            self.close()

    def _tell(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done == 0:
            self._told = now
        elif now - self._told >= EVERY_SECONDS:
            self._told = now
            typer.echo(f"{what}: {done:,} of {total:,}", err=True)
