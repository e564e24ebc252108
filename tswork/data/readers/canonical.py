"""What is wrong with the table of a listing, seen before any recording is opened, each fault with its row.

Ids are unique. Where the split is the set's own, every row has a word for its part. What later steps leave out or rename cannot
be known here, so parts and classes are only looked at where all preparations keep sequences and table as they are.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from tswork.data.faults import each, some
from tswork.data.part_words import PARTS, SPLIT, parts_by_word
from tswork.data.spec import DataOptions
from tswork.data.tables import Table
from tswork.errors import Problem

ID = "id"
KEEPING = ("bandpass", "calendar", "drop_channels", "log_mel", "resample", "standard_score", "standardize")
"""Preparations that leave every sequence and the table as they are."""


def table_problems(table: Table, options: DataOptions) -> list[Problem]:
    """All that is wrong with ids, parts and classes of a listing."""
    found = [*_repeated_ids(table)]
    if options.split is None or any(step.name not in KEEPING for step in options.prepare):
        return found
    if options.split.by == "official" and SPLIT in table.columns:
        found += _parts(table, options.label)
    if options.split.by == "groups" and options.label in table.columns:
        found += _one_group_a_class(table, options)
    return found


def _repeated_ids(table: Table) -> Iterator[Problem]:
    if ID not in table.columns:
        return
    cells = table.frame[ID].dropna()
    first = cells.drop_duplicates()
    row_of = dict(zip(first.tolist(), first.index.tolist(), strict=True))
    remedy = "Give every row an id of its own; a column of persons has another name (`columns: {patient: id}`)."

    def problem(row: int) -> Problem:
        line = table.at(row_of[cells.loc[row]]).line
        return Problem(
            f"{cells.loc[row]!r} is the id of {f'line {line}' if line else 'another row'} already",
            ID,
            table.at(row),
            remedy,
        )

    yield from each(cells.index[cells.duplicated()].to_numpy(), problem, rest="rows with the id of another")


def _parts(table: Table, label: str | None) -> Iterator[Problem]:
    """Rows in no part, words that are none, and classes that no row of the training part has."""
    cells = table.frame[SPLIT]
    words = cells.where(cells.isna(), cells.astype(str))
    known = parts_by_word(words.dropna().unique())
    parts = words.map(known)
    wrong = parts.index[parts.isna()].to_numpy()

    def problem(row: int) -> Problem:
        text = "the row is in no part" if pd.isna(cells.loc[row]) else f"{cells.loc[row]!r} is no part"
        return Problem(text, SPLIT, table.at(row), f"Write {', '.join(PARTS)}, or another usual word for it.")

    yield from each(wrong, problem, rest=f"rows without a part in {SPLIT!r}")
    if label is not None and label in table.columns and not len(wrong):
        classes = table.frame[label]
        absent = sorted(set(classes.dropna()) - set(classes[parts == "train"].dropna()), key=str)

        def untrained(name: object) -> Problem:
            rows = classes.index[classes == name]
            return Problem(f"the class {name!r} has no row in the training part", label, table.at(int(rows[0])))

        yield from each(absent, untrained, rest="classes without training data")


def _one_group_a_class(table: Table, options: DataOptions) -> Iterator[Problem]:
    """Groups of which each class has just one: whatever is tested was never trained."""
    assert options.label is not None
    for column in options.groups:
        if column not in table.columns or column == options.label:
            continue
        pairs = table.frame[[options.label, column]].dropna().drop_duplicates()
        several = pairs[options.label].duplicated().any()
        if len(pairs) > 1 and not several and table.frame[column].notna().all():
            shown = some([f"{name} has {group}" for name, group in pairs.itertuples(index=False)])
            text = f"every class of {options.label!r} has one {column!r} only ({shown}), so no split by groups can judge it"
            yield Problem(text, column, table.head, f"Add recordings of other values of {column!r}.")
