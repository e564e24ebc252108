"""Objects of a JSON file one by one, each with the line it begins at: one a line, or all in one array."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

Fault = tuple[int, str]
"""A line and what is wrong there."""


def line_objects(lines: Iterable[tuple[int, str]], faults: list[Fault]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The object of every line; a fault for each line that holds none."""
    for line, text in lines:
        try:
            item = json.loads(text)
        except ValueError as error:
            faults.append((line, f"is not JSON: {error}"))
            continue
        if isinstance(item, dict):
            yield line, item
        else:
            faults.append((line, "should be a JSON object"))


def array_objects(text: str, faults: list[Fault]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a text that is one array; a fault for each entry that is none, and one where the text ends to be JSON."""
    decoder, place, line, counted = json.JSONDecoder(), text.index("[") + 1, 1, 0
    expected = ""
    while True:
        place = _past_space(text, place)
        if text[place : place + 1] == "]":
            break
        if expected and text[place : place + 1] != expected:
            faults.append(
                (1 + text.count("\n", 0, place), "is not JSON: expected ',' or ']' between the entries of an array")
            )
            return
        place = _past_space(text, place + len(expected))
        line, counted = line + text.count("\n", counted, place), place
        try:
            item, place = decoder.raw_decode(text, place)
        except json.JSONDecodeError as error:
            faults.append((error.lineno, f"is not JSON: {error}"))
            return
        if isinstance(item, dict):
            yield line, item
        else:
            faults.append((line, "should be a JSON object"))
        expected = ","
    if (end := _past_space(text, place + 1)) < len(text):
        faults.append((1 + text.count("\n", 0, end), "is not JSON: more follows behind the array"))


def _past_space(text: str, place: int) -> int:
    while place < len(text) and text[place].isspace():
        place += 1
    return place
