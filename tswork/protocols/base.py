"""The interface of all evaluations: several candidates and their controls, judged into one result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import pandas as pd

from tswork import registry
from tswork.config import Config
from tswork.context import Context
from tswork.data.collection import Part, Split
from tswork.methods.model import Model
from tswork.metrics.significance import Kind

MODEL_CONTROLS = ("random", "as_loaded")
"""Controls that are models: the runner adds them to the candidates (`random.STAGE` where encoders, or answers that are judged, differ)."""

SCRATCH = "from_scratch"
"""A control that protocols make of `random` themselves: the same untrained encoder, trained on labels by a recipe of its own."""

ENCODER_CONTROLS = (*MODEL_CONTROLS, SCRATCH)
"""Controls that depend on the encoders of the judged stages."""

ROW_COLUMNS = ("row", "role", "metric", "at", "value")

Heads = Mapping[str, Mapping[str, np.ndarray]]
"""Fitted heads as numeric arrays by name, grouped by the row (and horizon) they belong to."""

C = TypeVar("C", bound=Config)


@dataclass(frozen=True, eq=False)
class Result:
    """What a protocol found.

    `rows`: columns row (a judged stage or a control), role (`candidate`, `control`, or `combined` for a model joined with
    a control's features), metric, at (`h24` for a horizon, a class, a task; empty for the whole), value.
    `units`: what a test of a difference needs, columns row, at, unit, group and one column a metric that is a mean
    over units (a forecast's start, a segment); groups keep together what must be resampled together. Of a classification
    also truth, predicted and `score/0`, `score/1`, ... (of each class), from which metrics that are no means follow, and
    `level` where groups are judged too.
    `heads`: what was fitted on the models' features, as plain arrays, so that `predict` works from a stored result.
    """

    rows: pd.DataFrame
    units: pd.DataFrame | None = None
    predictions: pd.DataFrame | None = None
    warnings: tuple[str, ...] = ()
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    heads: Heads = field(default_factory=dict)

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
    judges_answers: ClassVar[bool] = False
    """Whether models answer by heads of their own, also untrained ones, so that more than its encoder makes a control."""
    headline: ClassVar[str]
    """The metric that stands for the stage in tables."""
    metrics: ClassVar[tuple[str, ...]]
    """Names of all its metrics, without what may follow behind a dot or an @."""
    greater_is_better: ClassVar[bool]
    """Of the headline, and of all metrics but those in `turned`."""
    turned: ClassVar[frozenset[str]] = frozenset()
    """Metrics of which the other direction is the better one."""
    summary: ClassVar[tuple[str, ...]] = ()
    """Metrics of the table at the end of a run; none: all."""
    unit_kind: ClassVar[Kind] = "group"
    """How `units` are resampled in a test of a difference: `time` (blocks) or `group`."""

    def __init__(self, config: C) -> None:
        self.config = config

    @classmethod
    def greater_is_better_in(cls, metric: str) -> bool:
        """The direction of one metric, whatever follows behind a dot or an @ of its name."""
        return cls.greater_is_better != (metric.partition("@")[0].partition(".")[0] in cls.turned)

    def check(self, split: Split) -> None:
        """Refuse data that cannot be judged, before anything trains. Raises `DataInvalid`."""

    def longest_input(self, split: Split) -> int:
        """The most steps that it gives an encoder at once; encoders that take fewer are refused before anything trains.

        Default: the longest sequence of the three parts.
        """
        return max((int(part.lengths.max()) for part in split.parts.values() if len(part)), default=0)

    @abstractmethod
    def evaluate(self, candidates: Mapping[str, Sequence[Model]], split: Split, context: Context) -> Result:
        """Judge candidates (one model per task each; usually one) and the protocol's own controls.

        Names in `MODEL_CONTROLS`, alone or followed by `.stage`, are controls.
        """

    def predict(
        self,
        candidates: Mapping[str, Sequence[Model]],
        heads: Heads,
        data: Part,
        context: Context,
        *,
        horizon: int | None = None,
    ) -> pd.DataFrame:
        """Predictions for new data, in original units, from the heads of an earlier result.

        `data` were read and prepared like the data of that result; `candidates` are the models it judged. `horizon` is
        the number of steps to forecast, where the protocol forecasts. Raises `DataInvalid` when the data do not fit.
        """
        raise NotImplementedError(f"{type(self).__name__} has no predictions")


def protocol_named(name: str) -> type[Protocol[Any]]:
    """The evaluation that is registered under a name. Raises `ComponentUnknown`."""
    found: type[Protocol[Any]] = registry.find("protocol", name).target  # type: ignore[assignment]
    return found


def starts_of(stage: str) -> tuple[str, ...]:
    """The controls that may be what a judged stage started from, the likeliest first."""
    return (f"as_loaded.{stage}", "as_loaded", f"random.{stage}", "random")


def role_of(row: str) -> str:
    """`control` for the names of controls that are models, `candidate` otherwise."""
    return "control" if row.partition(".")[0] in ENCODER_CONTROLS else "candidate"


def make_rows(rows: Sequence[tuple[str, str, str, str, float]]) -> pd.DataFrame:
    """A frame of `ROW_COLUMNS` from tuples."""
    return pd.DataFrame(list(rows), columns=list(ROW_COLUMNS))


def not_beaten(rows: pd.DataFrame, metric: str, *, greater_is_better: bool) -> tuple[str, ...]:
    """One warning for each candidate that does not beat every control in a metric as a whole; it names the best one."""
    whole = rows[(rows["metric"] == metric) & (rows["at"] == "")].dropna(subset="value")
    ordered = whole[whole["role"] == "control"].sort_values("value", ascending=not greater_is_better, kind="stable")
    if ordered.empty:
        return ()
    control, best = str(ordered["row"].iloc[0]), float(ordered["value"].iloc[0])
    candidates = whole[whole["role"] == "candidate"]
    return tuple(
        f"{row} does not beat the control {control} in {metric}: {value:.4g} against {best:.4g}"
        for row, value in zip(candidates["row"], candidates["value"], strict=True)
        if (value <= best if greater_is_better else value >= best)
    )
