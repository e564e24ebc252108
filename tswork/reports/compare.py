"""Methods against data sets over many runs, with their controls and the test of a difference.

For one protocol and metric: mean and spread over seeds of every row on every data set; for every data set the paired test of
one candidate against the other rows; and over six or more data sets Wilcoxon's signed-rank test. Results that were made
with other options are other rows, other data are other columns, and another definition of a protocol is another table:
nothing is averaged but seeds and the splits of one seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from tswork import registry
from tswork.errors import UserError, did_you_mean
from tswork.metrics.clusters import KEYS, clusters, metrics_of
from tswork.metrics.significance import MIN_PAIRS, TOO_FEW, Kind, compare_rows, compare_sets
from tswork.protocols.base import MODEL_CONTROLS
from tswork.reports.naming import names_of

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
    (difference is candidate minus row). `over_sets`: the same over data sets, None with fewer than six. `notes` say what
    could not be tested, and why.
    """

    protocol: str
    metric: str
    greater_is_better: bool
    candidate: str
    scores: pd.DataFrame
    tests: pd.DataFrame
    over_sets: pd.DataFrame | None
    notes: tuple[str, ...] = ()

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
    judged: Judgement


def compare(
    judged: Sequence[Judgement], *, metric: str | None = None, candidate: str | None = None
) -> list[Comparison]:
    """One comparison for each definition of a protocol; `judged` has the newest first. Raises `NothingToCompare`.

    Protocols without the metric, or without the candidate among their rows, are left out where others have it.
    """
    if not judged:
        raise NothingToCompare("no finished protocol stage was found; run a pipeline first")
    titles = names_of([(one.protocol, one.made["protocol"]) for one in judged])
    tables = {
        title: [one for one, its in zip(judged, titles, strict=True) if its == title] for title in dict.fromkeys(titles)
    }
    figures = {title: _figures(group, metric or _protocol(group).headline) for title, group in tables.items()}
    figures = {title: found for title, found in figures.items() if found}
    if not figures:
        known = {str(name) for one in judged for name in one.rows["metric"]}
        raise NothingToCompare(f"there is no metric {metric!r}. {did_you_mean(str(metric), known)}")
    chosen = {title: _candidate(found, candidate) for title, found in figures.items()}
    if all(row is None for row in chosen.values()):
        rows = {one.row for found in figures.values() for one in found}
        raise NothingToCompare(f"there is no row {candidate!r}. {did_you_mean(str(candidate), rows)}")
    return [
        _comparison(title, found, metric or _protocol(tables[title]).headline, row)
        for title, found in figures.items()
        if (row := chosen[title]) is not None
    ]


def _protocol(group: Sequence[Judgement]) -> Any:
    return registry.find("protocol", group[0].protocol).target


def _figures(group: Sequence[Judgement], metric: str) -> list[_Figure]:
    """The figures of the whole under names that tell apart what was made differently; the newest of equal ones."""
    data = names_of([(one.data, _data(one)) for one in group])
    lines = [
        (one, name, str(row), str(role), float(value))
        for one, name in zip(group, data, strict=True)
        for row, role, value in _whole(one.rows, metric)[["row", "role", "value"]].itertuples(index=False)
    ]
    rows = names_of([(row, _recipe(row, one.made)) for one, _, row, _, _ in lines])
    found: dict[tuple[Any, ...], _Figure] = {}
    for (one, name, own, role, value), row in zip(lines, rows, strict=True):
        seed, split = int(one.made["seed"]), (one.made["data"].get("split") or {}).get("index") or 0
        found.setdefault((row, name, seed, split), _Figure(row, role, name, seed, split, value, own, one))
    return list(found.values())


def _whole(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    return rows[(rows["metric"] == metric) & (rows["at"] == "")]


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
    if kind in MODEL_CONTROLS:
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
    protocol = _protocol([figures[0].judged])
    columns = ["row", "role", "data", "seed", "split", "value"]
    table = pd.DataFrame([[getattr(one, name) for name in columns] for one in figures], columns=columns)
    per_seed = table.groupby(["row", "role", "data", "seed"], sort=False)["value"].mean().reset_index()
    scores = per_seed.groupby(["row", "role", "data"], sort=False)["value"].agg(mean="mean", std="std", seeds="size")
    sets = list(dict.fromkeys(table["data"]))
    notes: list[str] = []
    tests = [_test(figures, data, metric, candidate, protocol.unit_kind, notes) for data in sets]
    tested = [one for one in tests if one is not None]
    if 1 < len(sets) < MIN_PAIRS:
        notes.append(f"{len(sets)} data sets are {TOO_FEW} for a rank test over data sets, which needs {MIN_PAIRS}")
    return Comparison(
        protocol=title,
        metric=metric,
        greater_is_better=protocol.greater_is_better,
        candidate=candidate,
        scores=scores.reset_index(),
        tests=pd.concat(tested, ignore_index=True) if tested else pd.DataFrame(),
        over_sets=_over_sets(per_seed, candidate, protocol.greater_is_better) if len(sets) >= MIN_PAIRS else None,
        notes=tuple(dict.fromkeys(notes)),
    )


def _test(
    figures: Sequence[_Figure], data: str, metric: str, candidate: str, kind: Kind, notes: list[str]
) -> pd.DataFrame | None:
    """The candidate against the other rows on one data set; units of several seeds are averaged by the test itself."""
    there = [one for one in figures if one.data == data]
    if candidate not in {one.row for one in there} or len({one.row for one in there}) < 2:
        notes.append(f"{data}: there are no two rows to test, {candidate} and another")
        return None
    units = [found for one in there if (found := _units(one, metric, kind)) is not None]
    if candidate not in {str(frame["row"].iloc[0]) for frame in units} or len(units) < 2:
        have = sorted({name for one in there if one.judged.units is not None for name in metrics_of(one.judged.units)})
        others = f"; {', '.join(have)} can be tested" if have else ""
        notes.append(f"{metric} is no mean over items or forecast starts, so no paired test of it is possible{others}")
        return None
    return compare_rows(pd.concat(units, ignore_index=True), metric, candidate=candidate, kind=kind).assign(data=data)


def _units(one: _Figure, metric: str, kind: Kind) -> pd.DataFrame | None:
    """What the test of one row has to know; the items of several splits stay different ones."""
    units = one.judged.units
    if units is None or metric not in units:
        return None
    own = units[units["row"] == one.own_row]
    if own.empty or bool(own[metric].isna().all()):
        return None
    if "pieces" in own:  # clusters, of places as well
        own = own[own["at"] == ""]
    found = clusters(own[[*(name for name in KEYS if name in own), metric]], kind=kind)
    # Groups keep their names over splits, so that a patient is resampled as one; the items of a split are its own.
    return found.assign(unit=found["unit"] + one.split * SPLIT_DISTANCE, row=one.row, seed=one.seed)


SPLIT_DISTANCE = 10**9
"""Units of different splits are further apart than any part is long."""


def _over_sets(per_seed: pd.DataFrame, candidate: str, greater_is_better: bool) -> pd.DataFrame:
    """Wins are the candidate's; differences are those of the metric itself."""
    sign = 1.0 if greater_is_better else -1.0
    found = compare_sets(
        per_seed.rename(columns={"data": "set"}).assign(value=sign * per_seed["value"]), candidate=candidate
    )
    return found.assign(difference=sign * found["difference"]) if len(found) else found
