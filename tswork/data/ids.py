"""Values of a column as a person writes them down: `17` finds 17, '17' and '017'; text finds what is written the same way.

Where several rows of a table were written under different ids of one person (see `tswork.data.aliases`), each of these finds
that person.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from tswork.data.collection import Collection
from tswork.data.faults import some
from tswork.data.split_spec import Value
from tswork.errors import Problem

WRITTEN = "_written"
"""Ending of the table column that keeps the ids of a column as they were before aliases became one."""
NUMERAL = re.compile(r"[+-]?\d+(\.\d*)?")
WHOLE = re.compile(r"\.0+$")


def written_column(collection: Collection, column: str) -> str:
    """The column that holds the values as they stand in the data."""
    return f"{column}{WRITTEN}" if f"{column}{WRITTEN}" in collection.table.columns else column


@dataclass(frozen=True)
class Ids:
    """The values of a column as text, with the code that each stands for."""

    column: str
    codes: Mapping[str, int]

    @staticmethod
    def of(collection: Collection, column: str) -> Ids:
        """The ids of a column of a collection's table."""
        written = written_column(collection, column)
        names, rows = collection.categories(written), collection.codes(written).tolist()
        codes = collection.codes(column).tolist()
        return Ids(column, {names[row]: code for row, code in zip(rows, codes, strict=True) if row >= 0})

    def find(self, given: Sequence[Value], path: str) -> tuple[list[int | None], list[Problem]]:
        """The code of each given value (None where there is no such value), and a problem for each that is unclear."""
        found: list[int | None] = []
        problems = []
        for value in given:
            alike = self._alike(value)
            found.append(self.codes[alike[0]] if len(alike) == 1 else None)
            if not alike:
                text = f"{self.column!r} has no value {value!r}"
                near = get_close_matches(str(value), self.codes, n=1)
                remedy = f"Did you mean {near[0]!r}?" if near else f"It has {some(list(self.codes))}."
                problems.append(Problem(text, path, remedy=remedy))
            elif len(alike) > 1:
                text = f"{value!r} may be {some([repr(one) for one in alike])} of {self.column!r}"
                problems.append(Problem(text, path, remedy="Write it as text, between quotes."))
        return found, problems

    def _alike(self, value: Value) -> list[str]:
        """The ids a value may mean: the one that is written alike, else for a number those of its size."""
        if str(value) in self.codes:
            return [str(value)]
        if isinstance(value, str):  # a column with gaps turned 17 into 17.0
            return [name for name in self.codes if WHOLE.sub("", name) == value]
        return [name for name in self.codes if NUMERAL.fullmatch(name) and float(name) == value]
