"""Long work below the verbs (decoding sound), shown as a bar, or as a line every few seconds where there is no terminal."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tswork.cli.console import Bar

EVERY_SECONDS = 10.0


class LongWork:
    """Hears of long work (`tswork.progress`) and shows it on stderr."""

    def __init__(self) -> None:
        self._bar: Bar | None = None
        self._told = time.monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        if sys.stderr.isatty():
            self._draw(what, done, total)
        else:
            self._tell(what, done, total)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()

    def _draw(self, what: str, done: int, total: int) -> None:
        from tswork.cli.console import Bar, console

        if self._bar is None:
            self._bar = Bar(console(stderr=True))
        self._bar.show(what, done, total)
        if done == total:
            self.close()

    def _tell(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done == 0:
            self._told = now
        elif now - self._told >= EVERY_SECONDS:
            self._told = now
            typer.echo(f"{what}: {done:,} of {total:,}", err=True)
