"""What a run found, as tables for people: one a protocol, of the only member or the mean over members that repeat one question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from tswork.pipeline.loading import member_name
from tswork.pipeline.spec import StageSpec
from tswork.wording import decimals, markdown_table

if TYPE_CHECKING:
    from tswork.pipeline.runner import MemberReport
    from tswork.protocols.base import Protocol, Result

REPEATED = {"seed": "seeds", "data.split.index": "divisions"}
"""Axes whose members repeat one question; tables show the mean over them."""


@dataclass(frozen=True)
class Outcome:
    """One table: a line a row of the protocol, a column a metric of the whole."""

    title: str
    at: str
    """The place of the figures in the result (a share of the labels, a horizon); empty: the whole."""
    figures: pd.DataFrame
    roles: Mapping[str, str]
    headline: str
    greater_is_better: bool

    @property
    def best(self) -> str | None:
        """The row with the best headline; None where no row has one."""
        headline = self.figures.get(self.headline, pd.Series(dtype=float)).dropna()
        if headline.empty:
            return None
        return str(headline.idxmax() if self.greater_is_better else headline.idxmin())

    def markdown(self) -> str:
        """The table as Markdown, its best row in bold."""
        better = "greater" if self.greater_is_better else "smaller"
        lines = [
            [f"**{row}**" if row == self.best else str(row), *map(decimals, line)]
            for row, line in self.figures.iterrows()
        ]
        table = markdown_table(["row", *self.figures.columns], lines)
        return f"**{self.title}** ({self.headline}: {better} is better)\n\n{table}"


def outcome(title: str, rows: pd.DataFrame, protocol: type[Protocol[Any]]) -> Outcome:
    """The table of a result's rows, repeated rows averaged; a protocol may name the metrics that are shown.

    Where the whole has no headline (a mean over shares of the labels of which one was too small), the first place that has one stands
    for it, and the title names it.
    """
    first_head = rows[~rows["metric"].str.contains(".", regex=False)]
    known = first_head.loc[(first_head["metric"] == protocol.headline) & first_head["value"].notna(), "at"]
    place = "" if known.empty or (known == "").any() else str(known.iloc[0])
    whole = first_head[first_head["at"] == place]
    title = f"{title}, {place}" if place else title
    metrics = [one for one in dict.fromkeys(whole["metric"]) if not protocol.summary or one in protocol.summary]
    figures = whole.pivot_table(index="row", columns="metric", values="value", aggfunc="mean", sort=False, dropna=False)
    roles = dict(zip(whole["row"].astype(str), whole["role"].astype(str), strict=True))
    return Outcome(title, place, figures.reindex(columns=metrics), roles, protocol.headline, protocol.greater_is_better)


def outcomes(stages: Sequence[StageSpec], members: Sequence[MemberReport]) -> Iterator[Outcome]:
    """The tables of all protocols; members that differ in more than their seed or their division stand in tables of their own."""
    repeated = " and ".join(name for axis, name in REPEATED.items() if axis in members[0].axes)
    for stage in stages:
        if stage.trains:
            continue
        groups: dict[str, list[pd.DataFrame]] = {}
        for member in members:
            rest = member_name({axis: value for axis, value in member.axes.items() if axis not in REPEATED})
            groups.setdefault(rest, []).append(member.results[stage.name].rows)
        for rest, frames in groups.items():
            found = outcome(f"{stage.name} {rest}".strip(), pd.concat(frames, ignore_index=True), stage.protocol)
            if len(frames) > 1:
                count = sum(_has_headline(frame, found) for frame in frames)
                few = f"{count} of " if 0 < count < len(frames) else ""
                found = replace(found, title=f"{found.title} (mean of {few}{len(frames)} {repeated})")
            yield found


def _has_headline(rows: pd.DataFrame, table: Outcome) -> bool:
    """Whether one of the results that a table is the mean of has its headline at all."""
    headlines = rows[(rows["metric"] == table.headline) & (rows["at"] == table.at)]
    return bool(headlines["value"].notna().any())


def remarks(results: Mapping[str, Result]) -> list[str]:
    """What the protocols of a member warn of, each once."""
    return list(dict.fromkeys(text for result in results.values() for text in result.warnings))


def all_rows(members: Sequence[MemberReport]) -> pd.DataFrame:
    """Every figure of every member: its axes, then stage, row, role, metric, at, value."""
    frames = [
        pd.DataFrame({**dict(member.axes), "stage": stage}, index=result.rows.index).join(result.rows)
        for member in members
        for stage, result in member.results.items()
    ]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
