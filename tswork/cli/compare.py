"""`tswork compare`: methods against data sets, with controls, spread over seeds, and the test of a difference."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tswork.cli.options import Json, Root, print_json
from tswork.cli.tables import block_table, column_blocks

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from tswork.reports.compare import Comparison


def compare(
    runs: Annotated[
        list[str] | None, typer.Argument(help="Experiments or pipeline files; none: all.", show_default=False)
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="Metric; none: the protocol's headline.", show_default=False)
    ] = None,
    candidate: Annotated[
        str | None, typer.Option(help="Row tested against the others; none: the first.", show_default=False)
    ] = None,
    at: Annotated[
        str, typer.Option(help="Place in the results: h24 a horizon, 10% a share of the labels; none: the whole.")
    ] = "",
    root: Root = None,
    as_json: Json = False,
) -> None:
    """Compare finished runs: mean and spread over seeds, and whether the candidate differs from the other rows."""
    from rich.markup import escape

    from tswork.cli.console import console
    from tswork.data.places import Places
    from tswork.reports import compare as reports
    from tswork.reports.sources import experiment_of
    from tswork.tracking.client import Tracking
    from tswork.tracking.reading import experiments, judgements

    places = Places.here(root)
    tracking = Tracking.attach(places.root)
    chosen = [experiment_of(name) for name in runs or []] or list(experiments(tracking))
    found = reports.compare(judgements(tracking, chosen), metric=metric, candidate=candidate, at=at)
    if as_json:
        print_json([one.to_json() for one in found])
        return
    screen = console()
    for one in found:
        for table in _all_tables(one, screen.width):
            screen.print(table)
            screen.print()
        for note in one.notes:
            screen.print(f"[yellow]note[/yellow] {escape(note)}")
    if any(len(one.tests) or len(one.over_splits) or one.over_sets is not None for one in found):
        screen.print(f"[dim]{READING}[/dim]")


def _all_tables(one: Comparison, width: int) -> Iterator[Table]:
    better = "greater is better" if one.greater_is_better else "smaller is better"
    metric = f"{one.metric} at {one.at}" if one.at else one.metric
    yield from _scores(one, f"{one.protocol}, {metric} ({better})", width)
    for data, frame in one.tests.groupby("data", sort=False) if len(one.tests) else ():
        yield from _tests(frame.drop(columns=["data", "p"]), f"{one.candidate} minus row, on {data}", width)
    for data, frame in one.over_splits.groupby("data", sort=False) if len(one.over_splits) else ():
        yield from _tests(frame.drop(columns=["data", "p"]), f"{one.candidate} minus row, over splits of {data}", width)
    if one.over_sets is not None:
        yield from _tests(one.over_sets.drop(columns=["p"]), f"{one.candidate} minus row, over all data sets", width)


def _scores(one: Comparison, title: str, width: int) -> list[Table]:
    """Methods down and data sets across, or the other way round where that takes less room; in several tables if need be."""
    cells = {(str(line["row"]), str(line["data"])): _spread(line) for line in one.scores.to_dict("records")}
    styles = {
        str(row): "dim" if (lines["role"] == "control").all() else "bold" if row == one.candidate else ""
        for row, lines in one.scores.groupby("row", sort=False)
    }
    sets = [str(name) for name in dict.fromkeys(one.scores["data"])]
    down = [[row, *(cells.get((row, name), "-") for name in sets)] for row in styles]
    across = [[name, *(cells.get((row, name), "-") for row in styles)] for name in sets]
    methods_down = column_blocks([title, *sets], down, width)
    sets_down = column_blocks([title, *styles], across, width)
    if len(methods_down) <= len(sets_down):
        return [block_table([title, *sets], down, block, list(styles.values())) for block in methods_down]
    return [block_table([title, *styles], across, block) for block in sets_down]


def _spread(line: dict[Hashable, Any]) -> str:
    from tswork.reports.cells import spread

    return spread(line) if line["seeds"] < 2 else f"{spread(line)} ({line['seeds']:.0f})"


def _tests(frame: pd.DataFrame, title: str, width: int) -> list[Table]:
    """The rows and what is known of each difference; in several tables where one would be cut at the width."""
    from rich.markup import escape

    shown = [name for name in frame.columns if name != "row" and not (name == "note" and not frame["note"].any())]
    heads = ["row", *(HEADS.get(name, name) for name in shown)]
    rows = [[str(line["row"]), *(_cell(line[name]) for name in shown)] for line in frame.to_dict("records")]
    escaped = [list(map(escape, row)) for row in rows]
    tables = [block_table(heads, escaped, block) for block in column_blocks(heads, rows, width)]
    tables[0].title, tables[0].title_justify, tables[0].title_style = escape(title), "left", "bold"
    return tables


HEADS = {"low": "95 % from", "high": "to", "p_holm": "p (Holm)"}
NOTHING = 1e-12
"""What rounding leaves of equal figures."""
READING = (
    "difference: candidate minus row, and its 95 % interval; interval, p and significant are corrected for the rows of a table "
    "(Holm); detectable: the smallest true difference that a test of this row alone would find in four of five cases; pairs: "
    "independent units"
)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "-" if value != value else "0" if abs(value) < NOTHING else f"{value:.4g}"
    return str(value)
