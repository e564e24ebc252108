"""What the rows of a table say of one another: a patient has one diagnosis, an id one spelling."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from unicodedata import normalize

import torch

from tswork.data.collection import Collection
from tswork.data.faults import each, some
from tswork.errors import Problem
from tswork.wording import counted, worded

LEADING_ZEROS = re.compile(r"(?<![\d.])0+(?=\d)")


def label_problems(collection: Collection, group: str) -> list[Problem]:
    """A problem for each value of a group whose sequences have several labels, where the label is the group's own."""
    assert collection.label is not None

    def problem(conflict: tuple[str, tuple[str, ...]]) -> Problem:
        remedy = "Mend the table, or leave out `label_per` where a label may change inside a group."
        return Problem(f"has the labels {some(conflict[1])}", f"{group} {conflict[0]}", remedy=remedy)

    return list(each(conflicts(collection, group), problem, rest=f"values of {group!r} with several labels"))


def conflicts(collection: Collection, group: str) -> list[tuple[str, tuple[str, ...]]]:
    """The values of a group whose sequences have several labels, with these."""
    assert collection.label is not None
    groups, labels = collection.codes(group), collection.codes(collection.label)
    known = (groups >= 0) & (labels >= 0)
    pairs = torch.unique(torch.stack([groups, labels], dim=1)[known], dim=0)
    several = torch.bincount(pairs[:, 0], minlength=1) > 1
    found: dict[int, list[str]] = {}
    for code, label in pairs[several[pairs[:, 0]]].tolist():
        found.setdefault(code, []).append(collection.classes[label])
    names = collection.categories(group)
    return [(names[code], tuple(classes)) for code, classes in found.items()]


def spelling_problems(collection: Collection, columns: Sequence[str]) -> Iterator[Problem]:
    """Columns in which one id would count as two: a number in some rows and text in others, or written in ways that look alike.

    Alike are ids with and without spaces around them, and accents that are one sign or two (as file names of one system and another).
    """
    for column in dict.fromkeys(columns):
        path = "data.label" if column == collection.label else "data.groups"
        known = collection.categories(column)
        twice = [name for name, count in Counter(known).items() if count > 1]
        if twice:
            numbers = f"{counted(len(twice), 'value')} of {column!r} {worded(len(twice), 'is a number', 'are numbers')}"
            text = f"{numbers} in some rows and text in others: {some(twice)}"
            yield Problem(text, path, remedy="Write them in one way.")
        looks: dict[str, list[str]] = {}
        for name in dict.fromkeys(known):
            looks.setdefault(normalize("NFC", name).strip(), []).append(name)
        alike = [" and ".join(map(ascii, names)) for names in looks.values() if len(names) > 1]
        if alike:
            text = f"{counted(len(alike), 'value')} of {column!r} {worded(len(alike), 'is', 'are')} written in ways that look alike"
            yield Problem(f"{text}: {some(alike)}", path, remedy="Write them in one way.")


def near_twins(collection: Collection, column: str) -> list[tuple[str, str]]:
    """Ids of a column that differ in the zeros before a number or in large letters alone, such as 7 and 07, or P1 and p01."""
    first: dict[str, str] = {}
    twins = []
    for name in collection.categories(column):
        plain = LEADING_ZEROS.sub("", name.casefold())
        if first.setdefault(plain, name) != name:
            twins.append((first[plain], name))
    return twins
