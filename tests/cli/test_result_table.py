"""The table at the end of a run: which metrics it shows, and which row is in bold."""

from __future__ import annotations

from rich.console import Console

from tswork.cli.console import result_table
from tswork.protocols.base import make_rows
from tswork.protocols.continual import Continual
from tswork.protocols.probe_classify import ProbeClassify

ROWS = make_rows(
    [
        (row, role, metric, "", value + shift)
        for row, role, shift in (("random", "control", 0.0), ("er", "candidate", 0.1))
        for metric, value in (("average_accuracy_by_sample", 0.5), ("triangle_accuracy", 0.4), ("forgetting", 0.3))
    ]
)


def shown(*only: str) -> str:
    table = result_table("judge", ROWS, greater_is_better=True, headline="average_accuracy_by_sample", only=only)
    screen = Console(width=200, no_color=True)
    with screen.capture() as captured:
        screen.print(table)
    return captured.get()


def test_all_metrics_are_shown_or_those_that_are_named() -> None:
    assert "triangle_accuracy" in shown()
    assert "triangle_accuracy" not in shown(*Continual.summary)
    lines = shown(*Continual.summary).splitlines()
    assert lines[0].split() == ["judge", "average_accuracy_by_sample", "forgetting"]
    assert lines[2].split() == ["er", "0.6000", "0.4000"]


def test_what_a_protocol_shows_it_has() -> None:
    assert set(Continual.summary) <= set(Continual.metrics)
    assert Continual.headline in Continual.summary
    assert ProbeClassify.summary == ()
