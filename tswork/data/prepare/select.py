"""Some sequences of a set, chosen by columns of its table: one diagnosis against controls, recordings with closed eyes, all but those
that are known to be broken.

    prepare: [{uses: select, keep: {eyes: [closed]}, drop: [{person: 76, record: 2}], known: [visit]}]

Sequences without the label of the data block are a matter for its `unlabelled`.
Values are compared as text, so that 7 and "7" are the same; zero padding counts, so "07" is another one.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from pydantic import Field, model_validator

from tswork.config import ADDED_LATER, Config, Many
from tswork.data.collection import Collection
from tswork.data.faults import refuse
from tswork.data.prepare.base import Preparation
from tswork.data.selecting import only
from tswork.errors import DataInvalid, Problem, did_you_mean
from tswork.registry import register

Cell = str | int | float | bool


class SelectConfig(Config):
    keep: dict[str, Many[Cell]] = Field(
        default_factory=dict, description="column: values; only sequences with one of the values in every column stay"
    )
    drop: Many[dict[str, Cell]] = Field(
        default=(), description="blocks of column: value; sequences that agree with a whole block are left out"
    )

    known: Many[str] = Field(
        default=(),
        description="columns in which every sequence has to have a value; those that lack one are left out",
        json_schema_extra=ADDED_LATER,
    )

    @model_validator(mode="after")
    def _something_to_do(self) -> SelectConfig:
        if not self.keep and not self.drop and not self.known:
            raise ValueError("give `keep`, `drop`, `known` or several of them")
        if any(not block for block in self.drop) or any(not values for values in self.keep.values()):
            raise ValueError("every block of `drop` and every column of `keep` needs a value")
        return self


@register("preparation", "select", version=1, config=SelectConfig)
class Select(Preparation[SelectConfig]):
    """Keeps or drops sequences by values of table columns."""

    def apply(self, collection: Collection) -> Collection:
        cells = {name: _text(collection.table[name]) for name in collection.table.columns}
        refuse(self._unknown(cells))
        kept = np.ones(len(collection), bool)
        for name, values in self.config.keep.items():
            kept &= cells[name].isin([str(value) for value in values]).to_numpy()
        for block in self.config.drop:
            kept &= ~np.logical_and.reduce([(cells[name] == str(value)).to_numpy() for name, value in block.items()])
        for name in self.config.known:
            kept &= cells[name].notna().to_numpy()
        if not kept.any():
            raise DataInvalid([Problem("'select' leaves no sequence", "data.prepare", remedy="Keep more values.")])
        return collection if kept.all() else only(collection, torch.from_numpy(np.flatnonzero(kept)))

    def _unknown(self, cells: Mapping[str, pd.Series[str]]) -> list[Problem]:
        """Columns that are not there, and values that no sequence has: a slip of the pen would else choose something else."""
        named = [(name, str(value)) for name, values in self.config.keep.items() for value in values]
        named += [(name, str(value)) for block in self.config.drop for name, value in block.items()]
        problems = []
        for name in dict.fromkeys([*(name for name, _ in named), *self.config.known]):
            if name not in cells:
                remedy = did_you_mean(name, cells)
                problems.append(Problem(f"there is no column {name!r}", "data.prepare", remedy=remedy))
        for name, value in dict.fromkeys(named):
            known = cells[name].dropna().unique().tolist() if name in cells else [value]
            if value not in known:
                text = f"no sequence has {value!r} in the column {name!r}"
                problems.append(Problem(text, "data.prepare", remedy=did_you_mean(value, known[:100])))
        return problems


def _text(column: pd.Series[str]) -> pd.Series[str]:
    """A column as text; a missing cell stays missing."""
    return column.astype(str).where(column.notna())
