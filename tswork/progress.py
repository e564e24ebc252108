"""How far long work is, told to whoever wants to show it: the command line, a notebook, or nobody.

Work far below the command line says `advance("decoding sound", done, total)`; `telling(show)` decides for a block of code who
hears it. Nothing else depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Progress = Callable[[str, int, int], None]
"""Called with what is done, how much of it is there, and how much there will be."""

_told: ContextVar[Progress | None] = ContextVar("told", default=None)


@contextmanager
def telling(show: Progress) -> Iterator[None]:
    """Inside the block, `show` hears of long work."""
    before = _told.set(show)
    try:
        yield
    finally:
        _told.reset(before)


def advance(what: str, done: int, total: int) -> None:
    """Long work is so far; `done == total` is its end."""
    show = _told.get()
    if show is not None:
        show(what, done, total)
