"""Ids that stand for one person: `aliases: {patient: [[201, 202], [N1, N2]]}`.

The column holds the first id of each list from then on, so that splits, batches and objectives see one person; the ids as they
were written stay beside it in `<column>_written`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from tswork.data.collection import Collection
from tswork.data.faults import refuse
from tswork.data.ids import WRITTEN, Ids
from tswork.data.split_spec import Value
from tswork.errors import Problem, did_you_mean


def merge_aliases(collection: Collection, aliases: Mapping[str, Sequence[Sequence[Value]]]) -> Collection:
    """The collection with every list of ids made one. Raises `DataInvalid` for columns and ids that are not there."""
    problems: list[Problem] = []
    columns = {}
    for column, lists in aliases.items():
        path = f"data.aliases.{column}"
        if column not in collection.table.columns:
            remedy = did_you_mean(column, map(str, collection.table.columns))
            problems.append(Problem(f"there is no column {column!r}", path, remedy=remedy))
        elif f"{column}{WRITTEN}" in collection.table.columns:
            problems.append(Problem(f"the column '{column}{WRITTEN}' is there already", path))
        else:
            found, faults = _codes(Ids.of(collection, column), lists, path)
            problems += faults
            columns[column] = found
    refuse(problems)
    for column, found in columns.items():
        collection = _merged(collection, column, found)
    return collection


def _codes(ids: Ids, lists: Sequence[Sequence[Value]], path: str) -> tuple[list[list[int]], list[Problem]]:
    """The codes of each list, and what is wrong with the lists."""
    found: list[list[int]] = []
    problems: list[Problem] = []
    seen: dict[int, Value] = {}
    for number, values in enumerate(lists):
        at = f"{path}[{number}]"
        if len(values) < 2:
            problems.append(Problem("needs at least two ids of one person", at))
        codes, faults = ids.find(values, at)
        problems += faults
        for value, code in zip(values, codes, strict=True):
            if code is not None and code in seen:
                remedy = "Put all ids of one person into one list."
                problems.append(Problem(f"{value!r} is named twice", at, remedy=remedy))
            elif code is not None:
                seen[code] = value
        found.append([code for code in codes if code is not None])
    return found, problems


def _merged(collection: Collection, column: str, lists: Sequence[Sequence[int]]) -> Collection:
    table, codes = collection.table, collection.codes(column)
    values = table[column].copy()
    for same in lists:
        first = int((codes == same[0]).nonzero()[0])
        values[torch.isin(codes, torch.tensor(same)).numpy()] = values.iloc[first]
    return collection.replaced(table=table.assign(**{f"{column}{WRITTEN}": table[column], column: values}))
