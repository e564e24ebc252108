"""Counts as people read them, and that no message of the package puts a plural behind a number by itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import tswork
from tswork.wording import counted, worded

PACKAGE = Path(tswork.__file__).parent
NUMBERS = {"len", "int", "sum", "max", "min"}
PLURAL = re.compile(r" (?!(?:of|in|to|and|are|is) )(?:[a-z]+ )?[a-z]{2,}[^s\W]s\b")
SINGULAR = {"does", "this", "series"}
"""Words that end alike, and are no plural or their own."""


def test_counts_of_arrays_are_counts() -> None:
    assert counted(np.int64(1), "step") == "1 step"
    assert counted(np.array([4, 2])[1], "step") == "2 steps"


@pytest.mark.parametrize(
    ("count", "words", "text"),
    [
        (1, ("sequence",), "1 sequence"),
        (0, ("sequence",), "0 sequences"),
        (2, ("class", "classes"), "2 classes"),
        (1, ("class is", "classes are"), "1 class is"),
        (12, ("class is", "classes are"), "12 classes are"),
    ],
)
def test_one_is_told_as_one_and_all_else_as_several(count: int, words: tuple[str, ...], text: str) -> None:
    assert counted(count, *words) == text
    assert text == f"{count} {worded(count, *words)}"


def told(source: str) -> Iterator[str]:
    """What f-strings of a module say right behind a number that is counted in place."""
    for text in ast.walk(ast.parse(source)):
        for number, behind in (
            zip(text.values, text.values[1:], strict=False) if isinstance(text, ast.JoinedStr) else ()
        ):
            if _is_count(number) and isinstance(behind, ast.Constant):
                yield str(behind.value)


def _is_count(piece: ast.expr) -> bool:
    if not isinstance(piece, ast.FormattedValue) or piece.format_spec is not None:
        return False
    call = piece.value
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in NUMBERS


def plurals(source: str) -> list[str]:
    found = [PLURAL.match(text) for text in told(source)]
    return [one[0] for one in found if one is not None and one[0].split()[-1] not in SINGULAR]


def test_a_plural_behind_a_number_is_seen() -> None:
    assert plurals('f"{len(rows)} sequences are short"') == [" sequences"]
    assert plurals('f"{len(rows)} long rows"') == [" long rows"]
    assert plurals("f\"{len(rows)} of {counted(2, 'row')} was\"") == []


@pytest.mark.parametrize(
    "folder", sorted({path.parent.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")})
)
def test_messages_leave_plurals_to_the_house(folder: str) -> None:
    found = {path.name: plurals(path.read_text()) for path in sorted((PACKAGE / folder).glob("*.py"))}
    assert {name: words for name, words in found.items() if words} == {}
