"""Methods against data sets over many runs, with their controls and the test of a difference.

For one protocol and metric: mean and spread over seeds of every row on every data set; for every data set the paired test of
one candidate against the other rows; and over six or more data sets Wilcoxon's signed-rank test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from tswork import registry
from tswork.errors import UserError
from tswork.metrics.significance import MIN_PAIRS, compare_rows, compare_sets

if TYPE_CHECKING:
    from tswork.tracking.reading import Judgement


@dataclass
class NothingToCompare(UserError):
    """No finished protocol stage fits."""

    reason: str

    def __str__(self) -> str:
        return f"nothing to compare: {self.reason}"


@dataclass(frozen=True, eq=False)
class Comparison:
    """One protocol's table.

    `scores`: columns row, role, data, mean, std, seeds. `tests`: per data set the candidate against each other row
    (difference is candidate minus row). `over_sets`: the same over data sets, None with fewer than six.
    """

    protocol: str
    metric: str
    greater_is_better: bool
    candidate: str
    scores: pd.DataFrame
    tests: pd.DataFrame
    over_sets: pd.DataFrame | None

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "protocol": self.protocol,
            "metric": self.metric,
            "greater_is_better": self.greater_is_better,
            "candidate": self.candidate,
            "scores": self.scores.to_dict("records"),
            "tests": self.tests.to_dict("records"),
            "over_sets": None if self.over_sets is None else self.over_sets.to_dict("records"),
        }


def compare(
    judged: Sequence[Judgement], *, metric: str | None = None, candidate: str | None = None
) -> list[Comparison]:
    """One comparison a protocol. Raises `NothingToCompare`."""
    if not judged:
        raise NothingToCompare("no finished protocol stage was found; run a pipeline first")
    protocols = sorted({one.protocol for one in judged})
    return [
        _of_protocol(name, [one for one in judged if one.protocol == name], metric, candidate) for name in protocols
    ]


def _of_protocol(name: str, judged: Sequence[Judgement], metric: str | None, candidate: str | None) -> Comparison:
    protocol: Any = registry.find("protocol", name).target
    chosen = metric or protocol.headline
    figures = pd.concat([_figures(one, chosen) for one in judged], ignore_index=True)
    if figures.empty:
        raise NothingToCompare(f"{name} has no metric {chosen!r}")
    per_seed = figures.groupby(["row", "role", "data", "seed"], sort=False)["value"].mean().reset_index()
    grouped = per_seed.groupby(["row", "role", "data"], sort=False)["value"]
    scores = grouped.agg(mean="mean", std="std", seeds="size").reset_index()
    chosen_row = candidate or str(scores.loc[scores["role"] == "candidate", "row"].iloc[0])
    if chosen_row not in set(scores["row"]):
        raise NothingToCompare(f"no row is called {chosen_row!r}; there are {', '.join(dict.fromkeys(scores['row']))}")
    tests = [_test(data, judged, chosen, chosen_row, protocol.unit_kind) for data in dict.fromkeys(figures["data"])]
    tested = [one for one in tests if one is not None]
    sets = per_seed.rename(columns={"data": "set"})
    sets = sets if protocol.greater_is_better else sets.assign(value=-sets["value"])
    several = sets["set"].nunique() >= MIN_PAIRS
    return Comparison(
        protocol=name,
        metric=chosen,
        greater_is_better=protocol.greater_is_better,
        candidate=chosen_row,
        scores=scores,
        tests=pd.concat(tested, ignore_index=True) if tested else pd.DataFrame(),
        over_sets=compare_sets(sets, candidate=chosen_row) if several else None,
    )


def _figures(one: Judgement, metric: str) -> pd.DataFrame:
    whole = one.rows[(one.rows["metric"] == metric) & (one.rows["at"] == "")]
    return whole[["row", "role", "value"]].assign(data=one.data, seed=one.seed)


def _test(data: str, judged: Sequence[Judgement], metric: str, candidate: str, kind: Any) -> pd.DataFrame | None:
    """The candidate against the other rows on one data set; units of several seeds are averaged by the test itself."""
    units = [
        one.units.assign(seed=one.seed)
        for one in judged
        if one.data == data and one.units is not None and metric in one.units
    ]
    if not units:
        return None
    together = pd.concat(units, ignore_index=True)
    if candidate not in set(together["row"]) or together["row"].nunique() < 2:
        return None
    found = compare_rows(together, metric, candidate=candidate, kind=kind)
    return found.assign(data=data)
