"""`tswork compare`: methods against data sets, with controls, spread over seeds, and the test of a difference."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tswork.cli.options import Json, Root, print_json

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
    root: Root = None,
    as_json: Json = False,
) -> None:
    """Compare finished runs: mean and spread over seeds, and whether the candidate differs from the other rows."""
    from tswork.cli.console import console
    from tswork.data.places import Places
    from tswork.reports import compare as reports
    from tswork.tracking.client import Tracking
    from tswork.tracking.reading import experiments, judgements

    tracking = Tracking.attach(Places.here(root).root)
    chosen = [_experiment(name) for name in runs or []] or list(experiments(tracking))
    found = reports.compare(judgements(tracking, chosen), metric=metric, candidate=candidate)
    if as_json:
        print_json([one.to_json() for one in found])
        return
    screen = console()
    for one in found:
        screen.print(_scores(one))
        screen.print()
        if len(one.tests):
            screen.print(_tests(one.tests, f"{one.candidate} minus row, {one.metric}"))
            screen.print()
        if one.over_sets is not None:
            screen.print(_tests(one.over_sets, f"{one.candidate} against rows over data sets (greater is better)"))


def _experiment(name: str) -> str:
    """The experiment of a pipeline file, or the name itself."""
    from tswork.source import read_yaml

    if not name.endswith((".yaml", ".yml")):
        return name
    head = read_yaml(Path(name)).data
    return str(head.get("experiment") or head["name"])


def _scores(one: Comparison) -> Table:
    from rich.table import Table

    sets = list(dict.fromkeys(one.scores["data"]))
    table = Table(f"{one.protocol}, {one.metric}", *sets, box=None, header_style="bold", pad_edge=False)
    for row in dict.fromkeys(one.scores["row"]):
        lines = one.scores[one.scores["row"] == row].set_index("data")
        cells = [_spread(lines.loc[name]) if name in lines.index else "-" for name in sets]
        style = "dim" if (lines["role"] == "control").all() else "bold" if row == one.candidate else ""
        table.add_row(row, *cells, style=style)
    return table


def _spread(line: pd.Series) -> str:
    text = f"{line['mean']:.4f}"
    return text if line["seeds"] < 2 else f"{text} ± {line['std']:.4f} ({line['seeds']:.0f})"


def _tests(frame: pd.DataFrame, title: str) -> Table:
    from rich.table import Table

    shown = [name for name in frame.columns if name not in ("row",)]
    table = Table(title, *shown, box=None, header_style="bold", pad_edge=False)
    for line in frame.to_dict("records"):
        table.add_row(str(line["row"]), *(_cell(line[name]) for name in shown))
    return table


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "-" if value != value else f"{value:.4g}"
    return str(value)
