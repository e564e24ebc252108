"""Counts and tables as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import index
from typing import SupportsIndex


def worded(count: SupportsIndex, one: str, many: str = "") -> str:
    """The words for a thing, or for several of them; without these words an `s` more.

    >>> worded(1, "is", "are"), worded(0, "note")
    ('is', 'notes')
    """
    return one if index(count) == 1 else many or f"{one}s"


def counted(count: SupportsIndex, one: str, many: str = "") -> str:
    """A number of things, and what is said of them.

    >>> counted(1, "note"), counted(2, "note"), counted(2, "class is", "classes are")
    ('1 note', '2 notes', '2 classes are')
    """
    return f"{index(count)} {worded(count, one, many)}"


def decimals(figure: float | None, digits: int = 4) -> str:
    """A figure with so many decimals; one that is not there or not defined is a dash.

    >>> decimals(0.5), decimals(float("nan"), 3), decimals(None)
    ('0.5000', '-', '-')
    """
    return "-" if figure is None or math.isnan(figure) else f"{figure:.{digits}f}"


def markdown_table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Cells as a Markdown table."""
    rule = ["---"] * len(heads)
    return "\n".join("| " + " | ".join(line) + " |" for line in [heads, rule, *lines])
