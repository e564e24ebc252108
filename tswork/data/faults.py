"""Faults of many rows at once: the first ones each with its place, the others counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from tswork.errors import DataInvalid, Location, Problem

MAX_SHOWN = 20
"""Faults of one kind that are told one by one."""
FEW = 4
"""From so many things on, a fault that all of them share lies in what was asked of them and is told once."""

T = TypeVar("T")


def each(items: Sequence[T] | np.ndarray, problem: Callable[[T], Problem], *, rest: str) -> Iterator[Problem]:
    """One problem an item (a row of an array as plain numbers); after `MAX_SHOWN` one that says `and 17 more <rest>`."""
    shown = items[:MAX_SHOWN]
    for item in shown.tolist() if isinstance(shown, np.ndarray) else shown:
        yield problem(item)
    if len(items) > MAX_SHOWN:
        yield Problem(f"and {len(items) - MAX_SHOWN} more {rest}")


def once(problems: Sequence[Problem], *, of: int, what: str) -> list[Problem]:
    """Problems, one thing's after another's; what is said of all `of` things stands once, at the first of them."""
    said = Counter((one.message, one.remedy) for one in problems)
    shared = {key for key, count in said.items() if count == of >= FEW}
    told: list[Problem] = []
    for one in problems:
        key = (one.message, one.remedy)
        if key in shared and said[key] == of:
            told.append(replace(one, message=f"{one.message}, like all {of} {what}"))
        elif key not in shared:
            told.append(one)
        said[key] -= 1
    return told


def refuse(problems: Iterable[Problem]) -> None:
    """Raises `DataInvalid` when there is any problem."""
    if found := list(problems):
        raise DataInvalid(found)


def fault(path: Path, message: str, remedy: str = "", *, line: int | None = None) -> DataInvalid:
    """The error of a file that has one fault."""
    return DataInvalid([Problem(message, location=Location(str(path), line), remedy=remedy)])


def some(names: Sequence[str], shown: int = 5) -> str:
    """`a, b, c and 4 more`."""
    listed = ", ".join(map(str, names[:shown]))
    return f"{listed} and {len(names) - shown} more" if len(names) > shown else listed
