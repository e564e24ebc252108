"""The interface of all evaluations: several candidates and their controls, judged into one result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Generic, TypeVar

import numpy as np
import pandas as pd

from tswork.config import Config
from tswork.context import Context
from tswork.data.collection import Part, Split
from tswork.methods.model import Model

MODEL_CONTROLS = ("random", "as_loaded")
"""Controls that are models: the runner adds them to the candidates (`random.STAGE` where encoders differ)."""

ROW_COLUMNS = ("row", "role", "metric", "at", "value")

C = TypeVar("C", bound=Config)


@dataclass(frozen=True, eq=False)
class Result:
    """What a protocol found.

    `rows`: columns row (a judged stage or a control), role (`candidate` or `control`), metric, at (`h24` for a horizon, a
    class, a task; empty for the whole), value.
    `units`: what a test of a difference needs, columns row, at, unit, group and one column a metric that is a mean
    over units (a forecast's start, a segment); groups keep together what must be resampled together.
    """

    rows: pd.DataFrame
    units: pd.DataFrame | None = None
    predictions: pd.DataFrame | None = None
    warnings: tuple[str, ...] = ()
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    heads: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)

    def value(self, row: str, metric: str, at: str = "") -> float:
        """One figure. Raises `KeyError` when there is none."""
        rows = self.rows
        found = rows.loc[(rows["row"] == row) & (rows["metric"] == metric) & (rows["at"] == at), "value"]
        if len(found) != 1:
            raise KeyError(f"{row}/{metric}@{at}")
        return float(found.iloc[0])


class Protocol(ABC, Generic[C]):
    """An evaluation with a fixed, versioned definition."""

    requires: ClassVar[frozenset[str]] = frozenset({"embed"})
    """What a candidate's model must provide; checked before anything runs."""
    headline: ClassVar[str]
    """The metric that stands for the stage in tables."""
    greater_is_better: ClassVar[bool]
    unit_kind: ClassVar[str] = "group"
    """How `units` are resampled in a test of a difference: `time` (blocks) or `group`."""

    def __init__(self, config: C) -> None:
        self.config = config

    def check(self, split: Split) -> None:
        """Refuse data that cannot be judged, before anything trains. Raises `DataInvalid`."""

    @abstractmethod
    def evaluate(self, candidates: Mapping[str, Sequence[Model]], split: Split, context: Context) -> Result:
        """Judge candidates (one model per task each; usually one) and the protocol's own controls.

        Names in `MODEL_CONTROLS`, alone or followed by `.stage`, are controls.
        """

    def predict(self, models: Sequence[Model], split: Split, data: Part, context: Context) -> pd.DataFrame:
        """Predictions for new data in original units, with heads fitted as in `evaluate`."""
        raise NotImplementedError(f"{type(self).__name__} has no predictions")


def role_of(row: str) -> str:
    """`control` for the names of model controls, `candidate` otherwise."""
    return "control" if row.partition(".")[0] in MODEL_CONTROLS else "candidate"


def make_rows(rows: Sequence[tuple[str, str, str, str, float]]) -> pd.DataFrame:
    """A frame of `ROW_COLUMNS` from tuples."""
    return pd.DataFrame(list(rows), columns=list(ROW_COLUMNS))
