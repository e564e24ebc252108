"""A number of the table as a class: ages as age bands, scores as degrees.

A value belongs to the band whose lower edge it reaches: `edges: [25, 40]` gives below 25, 25 to below 40, and 40 or more. The
names stand in the column in place of the numbers, so that `label:` may name it. A missing number stays missing.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from tswork.config import Config, Many
from tswork.data.collection import Collection
from tswork.data.faults import each, refuse
from tswork.data.locating import called
from tswork.data.prepare.base import Preparation
from tswork.errors import Problem, did_you_mean
from tswork.registry import register
from tswork.wording import counted


class BandsConfig(Config):
    column: str = Field(min_length=1, description="table column of numbers; it holds the names of bands afterwards")
    edges: Many[float] = Field(min_length=1, description="lower edges of all bands but the lowest, rising")
    names: Many[str] | None = Field(
        default=None, description="names from the lowest band up; none: such as `below 25`, `25 to 40`, `from 40`"
    )

    @model_validator(mode="after")
    def _rising(self) -> BandsConfig:
        if any(one >= other for one, other in pairwise(self.edges)):
            raise ValueError("`edges` should rise")
        if self.names is not None and len(self.names) != len(self.edges) + 1:
            raise ValueError(
                f"{counted(len(self.edges), 'edge makes', 'edges make')} {len(self.edges) + 1} bands; "
                f"{counted(len(self.names), 'name is', 'names are')} given"
            )
        if self.names is not None and len(set(self.names)) < len(self.names):
            raise ValueError("`names` should differ from each other")
        return self

    @property
    def bands(self) -> tuple[str, ...]:
        """The name of every band, from the lowest up."""
        if self.names is not None:
            return self.names
        between = (f"{low:g} to {high:g}" for low, high in pairwise(self.edges))
        return (f"below {self.edges[0]:g}", *between, f"from {self.edges[-1]:g}")


@register("preparation", "bands", version=1, config=BandsConfig)
class Bands(Preparation[BandsConfig]):
    """Turns numbers of a table column into named bands, such as ages into age bands."""

    def apply(self, collection: Collection) -> Collection:
        column, table = self.config.column, collection.table
        if column not in table.columns:
            hint = did_you_mean(column, map(str, table.columns))
            refuse([Problem(f"there is no column {column!r}", "data.prepare", remedy=hint)])
        read = pd.to_numeric(table[column], errors="coerce").to_numpy(np.float64, na_value=np.nan)
        missing = table[column].isna().to_numpy()
        wrong = np.flatnonzero(np.isnan(read) & ~missing)
        refuse(
            list(
                each(
                    wrong,
                    lambda row: Problem(
                        f"{table[column].iloc[row]!r} is not a number", f"{called(collection, row)}, {column}"
                    ),
                    rest=f"cells of {column!r} that are not numbers",
                )
            )
        )
        band = np.searchsorted(np.array(self.config.edges), read, side="right")
        names = pd.Series(np.array([*self.config.bands, None], dtype=object)[np.where(missing, -1, band)], dtype=object)
        return collection.replaced(table=table.assign(**{column: names.to_numpy()}))
