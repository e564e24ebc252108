"""The Levenshtein distance of two sequences of anything that can be compared."""

from __future__ import annotations

from collections.abc import Sequence


def edit_distance(first: Sequence[object], second: Sequence[object]) -> int:
    """The least number of insertions, deletions and substitutions that make one of the other.

    >>> edit_distance("monday", "sunday"), edit_distance(["next", "monday"], ["monday"])
    (2, 1)
    """
    row = list(range(len(second) + 1))
    for index, item in enumerate(first, start=1):
        diagonal, row[0] = row[0], index
        for column, other in enumerate(second, start=1):
            kept = diagonal + (item != other)
            diagonal = row[column]
            row[column] = min(kept, diagonal + 1, row[column - 1] + 1)
    return row[-1]
