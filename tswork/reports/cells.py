"""How figures, rows and tests are written in the tables of a page."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from tswork.reports.page_spec import SectionSpec


def by_row(frame: pd.DataFrame) -> dict[str, dict[Any, Any]]:
    """The lines of a table by their row."""
    return {str(line["row"]): line for line in frame.to_dict("records")}


def shown(spec: SectionSpec, scores: dict[str, dict[Any, Any]]) -> list[str]:
    """The rows that a section shows, in its order."""
    return [row for row in spec.rows if row in scores] if spec.rows is not None else list(scores)


def best(spec: SectionSpec, scores: dict[str, dict[Any, Any]], *, greater: bool) -> str | None:
    """The row with the best mean; None where no row has one."""
    rows = [row for row in shown(spec, scores) if not math.isnan(scores[row]["mean"])]
    return (max if greater else min)(rows, key=lambda row: float(scores[row]["mean"])) if rows else None


def label(spec: SectionSpec, row: str) -> str:
    """What a section calls a row."""
    return (spec.rows or {}).get(row, row).replace("|", "\\|")


def spread(line: dict[Any, Any] | None) -> str:
    """Mean and standard deviation over seeds; a dash where no seed has a figure."""
    if line is None or math.isnan(line["mean"]):
        return "-"
    return f"{line['mean']:.4f}" if line["seeds"] < 2 else f"{line['mean']:.4f} ± {line['std']:.4f}"


def tested(test: dict[Any, Any] | None) -> tuple[str, str]:
    """A difference with its interval, and whether it is significant."""
    if test is None:
        return "", ""
    if math.isnan(test["low"]):
        return f"{test['difference']:+.4f}", test["note"]
    return f"{test['difference']:+.4f} ({interval(test)})", "yes" if test["significant"] else "no"


def remarks(notes: Iterable[str]) -> list[str]:
    """Notes of comparisons as sentences below a table, each once."""
    return [f"*{note[0].upper()}{note[1:]}.*" for note in dict.fromkeys(notes)]


def interval(test: dict[Any, Any]) -> str:
    """The 95 % interval of a difference."""
    return f"{test['low']:+.4f} to {test['high']:+.4f}"
