"""Methods against data sets over many runs, with their controls and the test of a difference.

For one protocol and metric: mean and spread over seeds of every row on every data set; for every data set the paired test of
one candidate against the other rows, and over six or more splits the same over splits; over six or more data sets Wilcoxon's
signed-rank test. Results that were made
with other options are other rows, other data are other columns, and another definition of a protocol is another table:
nothing is averaged but seeds and the splits of one seed. A figure that is not defined (a share of the labels that was too small) is
neither averaged nor tested, and a note says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from tswork.data.faults import some
from tswork.errors import UserError, did_you_mean
from tswork.metrics.clusters import KEYS, clusters, metrics_of
from tswork.metrics.score_differences import ScoredMetric, compare_scores
from tswork.metrics.significance import MIN_PAIRS, TOO_FEW, Kind, compare_rows, compare_sets
from tswork.metrics.split_differences import compare_splits
from tswork.protocols.base import ENCODER_CONTROLS, protocol_named
from tswork.reports.naming import names_of
from tswork.reports.splits import relative_test_size, split_index, split_of
from tswork.wording import counted

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

    `scores`: columns row, role, data, mean, std, seeds (that have a figure). `tests`: per data set the candidate against each other row
    (difference is candidate minus row). `over_splits`: the same paired over splits, for data sets with at least six.
    `over_sets`: over data sets, None with fewer than six. `notes` say what could not be tested, and why. `at` is the place of
    the figures in their results (a horizon, a share of the labels; empty: the whole).
    """

    protocol: str
    metric: str
    greater_is_better: bool
    candidate: str
    scores: pd.DataFrame
    tests: pd.DataFrame
    over_sets: pd.DataFrame | None
    over_splits: pd.DataFrame
    notes: tuple[str, ...] = ()
    at: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "protocol": self.protocol,
            "metric": self.metric,
            "at": self.at,
            "greater_is_better": self.greater_is_better,
            "candidate": self.candidate,
            "scores": self.scores.to_dict("records"),
            "tests": self.tests.to_dict("records"),
            "over_splits": self.over_splits.to_dict("records"),
            "over_sets": None if self.over_sets is None else self.over_sets.to_dict("records"),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, eq=False)
class _Figure:
    """One row of one judgement under the names it has in the table."""

    row: str
    role: str
    data: str
    seed: int
    split: int
    value: float
    own_row: str
    at: str
    judged: Judgement


def compare(
    judged: Sequence[Judgement], *, metric: str | None = None, candidate: str | None = None, at: str = ""
) -> list[Comparison]:
    """One comparison for each definition of a protocol; `judged` has the newest first. Raises `NothingToCompare`.

    `at` chooses a place in the results: `h24` a horizon, `10%` a share of the labels; empty is the whole.

    Protocols without the metric, or without the candidate among their rows, are left out where others have it.
    """
    if not judged:
        raise NothingToCompare("no finished protocol stage was found; run a pipeline first")
    titles = names_of([(one.protocol, one.made["protocol"]) for one in judged])
    tables = {
        title: [one for one, its in zip(judged, titles, strict=True) if its == title] for title in dict.fromkeys(titles)
    }
    figures = {
        title: _figures(group, metric or protocol_named(group[0].protocol).headline, at)
        for title, group in tables.items()
    }
    figures = {title: found for title, found in figures.items() if found}
    if not figures:
        raise NothingToCompare(_absent(judged, metric, at))
    chosen = {title: _candidate(found, candidate) for title, found in figures.items()}
    if all(row is None for row in chosen.values()):
        rows = {one.row for found in figures.values() for one in found}
        raise NothingToCompare(f"there is no row {candidate!r}. {did_you_mean(str(candidate), rows)}")
    return [
        _comparison(title, found, metric or protocol_named(tables[title][0].protocol).headline, row)
        for title, found in figures.items()
        if (row := chosen[title]) is not None
    ]


def _absent(judged: Sequence[Judgement], metric: str | None, at: str) -> str:
    """What was asked for and is in no result: the metric, or the place."""
    metrics = {str(name) for one in judged for name in one.rows["metric"]}
    if metric is not None and metric not in metrics:
        return f"there is no metric {metric!r}. {did_you_mean(metric, metrics)}"
    places = {str(place) for one in judged for place in one.rows["at"]} - {""}
    remedy = (
        did_you_mean(at, places) if places else "These results have figures of the whole alone; leave the place out."
    )
    return f"there is nothing at {at!r}. {remedy}"


def _figures(group: Sequence[Judgement], metric: str, at: str) -> list[_Figure]:
    """The figures of one place under names that tell apart what was made differently; the newest of equal ones."""
    data = names_of([(one.data, _data(one)) for one in group])
    lines = [
        (one, name, str(row), str(role), float(value))
        for one, name in zip(group, data, strict=True)
        for row, role, value in _placed(one.rows, metric, at)[["row", "role", "value"]].itertuples(index=False)
    ]
    rows = names_of([(row, _recipe(row, one.made)) for one, _, row, _, _ in lines])
    found: dict[tuple[Any, ...], _Figure] = {}
    for (one, name, own, role, value), row in zip(lines, rows, strict=True):
        seed, split = int(one.made["seed"]), split_index(one.made)
        found.setdefault((row, name, seed, split), _Figure(row, role, name, seed, split, value, own, at, one))
    return list(found.values())


def _placed(rows: pd.DataFrame, metric: str, at: str) -> pd.DataFrame:
    return rows[(rows["metric"] == metric) & (rows["at"] == at)]


def _data(one: Judgement) -> dict[str, Any]:
    """What makes data other data: how they are read and divided, and their content; not which of several splits."""
    block = dict(one.made["data"])
    if block.get("split"):
        block["split"] = {key: value for key, value in block["split"].items() if key != "index"}
    return {**block, "content": one.made["digest"]}


def _recipe(row: str, made: Mapping[str, Any]) -> dict[str, Any]:
    """What a row depends on beside the data, the seed and the protocol: its method, or the encoder of an untrained control."""
    judged: Mapping[str, Any] = made["judged"]
    kind, _, of = row.partition(".")
    if kind in ENCODER_CONTROLS:
        blocks = [judged[of]] if of in judged else list(judged.values())
        encoders = [block.get("encoder", block) for block in blocks]
        return {"encoder": encoders[0]} if all(one == encoders[0] for one in encoders) else {"encoders": encoders}
    for name in sorted(judged, key=len, reverse=True):
        if row == name or row.startswith(f"{name}+"):
            return {**judged[name], "precision": made["precision"], "processes": made["world_size"]}
    return {}


def _candidate(figures: Sequence[_Figure], wanted: str | None) -> str | None:
    """The row that is tested against the others: the one asked for, by its own name if that is one row, or the first."""
    rows = dict.fromkeys(one.row for one in figures)
    if wanted is None:
        return next((one.row for one in figures if one.role == "candidate"), next(iter(rows)))
    own = dict.fromkeys(one.row for one in figures if one.own_row == wanted)
    return wanted if wanted in rows else next(iter(own), None)


def _comparison(title: str, figures: Sequence[_Figure], metric: str, candidate: str) -> Comparison:
    protocol = protocol_named(figures[0].judged.protocol)
    greater = protocol.greater_is_better_in(metric)
    columns = ["row", "role", "data", "seed", "split", "value"]
    table = pd.DataFrame([[getattr(one, name) for name in columns] for one in figures], columns=columns)
    per_seed = table.groupby(["row", "role", "data", "seed"], sort=False)["value"].mean().reset_index()
    scores = per_seed.groupby(["row", "role", "data"], sort=False)["value"].agg(mean="mean", std="std", seeds="count")
    sets = sorted(set(table["data"]))
    notes: list[str] = []
    tests = [_test(figures, data, metric, candidate, protocol.unit_kind, notes) for data in sets]
    tested = [one for one in tests if one is not None]
    if 1 < len(sets) < MIN_PAIRS:
        notes.append(
            f"{counted(len(sets), 'data set')} are {TOO_FEW} for a rank test over data sets, which needs {MIN_PAIRS}"
        )
    return Comparison(
        protocol=title,
        metric=metric,
        greater_is_better=greater,
        candidate=candidate,
        scores=scores.reset_index().sort_values("data", kind="stable", ignore_index=True),
        tests=pd.concat(tested, ignore_index=True) if tested else pd.DataFrame(),
        over_splits=_over_splits(figures, sets, candidate, greater, notes),
        over_sets=_over_sets(per_seed, candidate, greater) if len(sets) >= MIN_PAIRS else None,
        notes=tuple(dict.fromkeys(notes)),
        at=figures[0].at,
    )


def _test(
    figures: Sequence[_Figure], data: str, metric: str, candidate: str, kind: Kind, notes: list[str]
) -> pd.DataFrame | None:
    """The candidate against the other rows on one data set; units of several seeds are averaged by the test itself."""
    there = [one for one in figures if one.data == data]
    if any(math.isnan(one.value) for one in there):
        notes.append(_undefined(there, metric))
        there = [one for one in there if not math.isnan(one.value)]
        if not there:
            return None
    if candidate not in {one.row for one in there} or len({one.row for one in there}) < 2:
        notes.append(f"{data}: there are no two rows to test, {candidate} and another")
        return None
    units = [found for one in there if (found := _units(one, metric, kind)) is not None]
    if candidate not in {str(frame["row"].iloc[0]) for frame in units} or len(units) < 2:
        have = sorted({name for one in there if one.judged.units is not None for name in metrics_of(one.judged.units)})
        others = f"; {', '.join(have)} can be tested" if have else ""
        notes.append(f"{metric} is no mean over items or forecast starts, so no paired test of it is possible{others}")
        return None
    table, at = pd.concat(units, ignore_index=True), there[0].at
    if metric in table:
        if kind == "time" and not at and _horizons(there[0].judged, metric) > 1:
            notes.append(
                "differences are over the starts of forecasts that every horizon has, means over all that a horizon has"
            )
        return compare_rows(table, metric, candidate=candidate, kind=kind).assign(data=data)
    return compare_scores(table, metric, candidate=candidate, at=at).assign(data=data)


def _undefined(there: Sequence[_Figure], metric: str) -> str:
    """Which figures of a data set are not defined, and where else in the same results there are some."""
    missing = [one for one in there if math.isnan(one.value)]
    rows = some(list(dict.fromkeys(one.row for one in missing)))
    at, data = there[0].at, there[0].data
    found = pd.concat([one.judged.rows for one in missing], ignore_index=True)
    known = found.loc[(found["metric"] == metric) & found["value"].notna() & ~found["at"].isin(["", at]), "at"]
    elsewhere = f"; it is at {some(list(dict.fromkeys(known)))}" if len(known) else ""
    text = f"{data}: {metric}{f' at {at}' if at else ''} is not defined in {len(missing)} of {counted(len(there), 'figure')} ({rows})"
    return f"{text}, which take no part{elsewhere}"


def _horizons(one: Judgement, metric: str) -> int:
    places = set(one.rows.loc[one.rows["metric"] == metric, "at"])
    return len(places - {""})


def _units(one: _Figure, metric: str, kind: Kind) -> pd.DataFrame | None:
    """What the test of one row has to know; the items of several splits stay different ones."""
    units = one.judged.units
    if units is None:
        return None
    own = units[units["row"] == one.own_row]
    if metric in own and not own[metric].isna().all():
        if one.at or "pieces" in own:  # a record holds clusters of places as well
            own = own[own["at"] == one.at]
        if own.empty:
            return None
        own = clusters(own[[*(name for name in KEYS if name in own), metric]], kind=kind)
        # Groups keep their names over splits, so that a patient is resampled as one; the items of a split are its own.
        unit, group = own["unit"] + one.split * SPLIT_DISTANCE, own["group"].astype(str)
        return own.assign(unit=unit, group=group, row=one.row, seed=one.seed)
    if one.at:
        own = own[own["at"] == one.at]
    if metric in own or own.empty or ScoredMetric.named(metric, own) is None:
        return None
    return own.assign(group=own["group"].astype(str), row=one.row, seed=one.seed, split=one.split)


def _over_splits(
    figures: Sequence[_Figure], sets: Sequence[str], candidate: str, greater_is_better: bool, notes: list[str]
) -> pd.DataFrame:
    """For every data set that was split at least six times, the candidate against the other rows, paired over splits."""
    sign, tables = 1.0 if greater_is_better else -1.0, []
    for data in sets:
        there = [one for one in figures if one.data == data]
        scores = pd.DataFrame(
            {
                "split": [split_of(one.judged.made) for one in there],
                "row": [one.row for one in there],
                "value": [sign * one.value for one in there],
            }
        )
        count = scores["split"].nunique()
        if 1 < count < MIN_PAIRS:
            notes.append(f"{data}: {count} splits are {TOO_FEW} for a test over splits, which needs {MIN_PAIRS}")
        if count < MIN_PAIRS or candidate not in set(scores["row"]):
            continue
        found = compare_splits(
            scores, candidate=candidate, test_to_train=relative_test_size(there[0].judged.made, splits=count)
        )
        if sign < 0:
            found = found.assign(difference=-found["difference"], low=-found["high"], high=-found["low"])
        tables.append(found.assign(data=data))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


SPLIT_DISTANCE = 10**9
"""Units of different splits are further apart than any part is long."""


def _over_sets(per_seed: pd.DataFrame, candidate: str, greater_is_better: bool) -> pd.DataFrame:
    """Wins are the candidate's; differences are those of the metric itself."""
    sign = 1.0 if greater_is_better else -1.0
    found = compare_sets(
        per_seed.rename(columns={"data": "set"}).assign(value=sign * per_seed["value"]), candidate=candidate
    )
    return found.assign(difference=sign * found["difference"]) if len(found) else found
