"""The table at the end of a run: which metrics it shows, and which row is in bold."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from rich.console import Console

from tests.pipeline.waves import write_pipeline
from tswork.cli.console import result_table
from tswork.data.places import Places
from tswork.pipeline.loading import load_pipeline
from tswork.pipeline.outcome import outcome, outcomes
from tswork.pipeline.runner import MemberReport
from tswork.protocols.base import Result, make_rows
from tswork.protocols.continual import Continual
from tswork.protocols.finetune_fraction import FinetuneFraction
from tswork.protocols.probe_classify import ProbeClassify
from tswork.protocols.ridge_forecast import RidgeForecast

ROWS = make_rows(
    [
        (row, role, metric, "", value + shift)
        for row, role, shift in (("random", "control", 0.0), ("er", "candidate", 0.1))
        for metric, value in (("average_accuracy_by_sample", 0.5), ("triangle_accuracy", 0.4), ("forgetting", 0.3))
    ]
)


def printed(rows: pd.DataFrame, protocol: type[Continual | ProbeClassify]) -> list[str]:
    screen = Console(width=200, no_color=True)
    with screen.capture() as captured:
        screen.print(result_table(outcome("judge", rows, protocol)))
    return captured.get().splitlines()


def test_all_metrics_are_shown_or_those_that_the_protocol_names() -> None:
    assert "triangle_accuracy" in printed(ROWS, ProbeClassify)[0]
    lines = printed(ROWS, Continual)
    assert lines[0].split() == ["judge", "average_accuracy_by_sample", "forgetting"]
    assert lines[2].split() == ["er", "0.6000", "0.4000"]


def test_as_markdown_the_best_row_is_bold_whichever_way_is_better() -> None:
    rows = make_rows(
        [
            (row, "candidate", "mse", at, value)
            for row, value in (("near", 0.25), ("far", 1.0), ("undefined", float("nan")))
            for at in ("", "h24")
        ]
    )
    assert outcome("forecast", rows, RidgeForecast).markdown().splitlines() == [
        "**forecast** (mse: smaller is better)",
        "",
        "| row | mse |",
        "| --- | --- |",
        "| **near** | 0.2500 |",
        "| far | 1.0000 |",
        "| undefined | - |",
    ]


def test_a_share_that_has_figures_stands_for_a_mean_that_is_not_defined_and_without_any_there_is_no_best_row() -> None:
    nan = float("nan")
    rows = make_rows(
        [
            (row, role, "macro_f1", at, value)
            for row, role, half in (("random", "control", 0.5), ("ours", "candidate", 0.6))
            for at, value in (("", nan), ("100%", nan), ("50%", half), ("1%", nan))
        ]
    )
    table = outcome("tune", rows, FinetuneFraction).markdown().splitlines()
    assert table[0] == "**tune, 50%** (macro_f1: greater is better)"
    assert table[-2:] == ["| random | 0.5000 |", "| **ours** | 0.6000 |"]
    nothing = outcome("tune", rows.assign(value=nan), FinetuneFraction)
    assert (nothing.title, nothing.best) == ("tune", None)
    assert nothing.markdown().splitlines()[-1] == "| ours | - |"


def test_the_title_tells_how_many_of_the_seeds_have_a_figure(tmp_path: Path) -> None:
    write_pipeline(tmp_path)
    stages = load_pipeline(tmp_path / "waves.yaml", places=Places.here(tmp_path)).members[0].stages
    values = (0.5, float("nan"), 0.75)
    members = [
        MemberReport(
            f"seed={seed}",
            {"seed": seed},
            None,
            results={"probe": Result(make_rows([("ts2vec", "candidate", "accuracy", "", value)]))},
        )
        for seed, value in enumerate(values)
    ]
    assert [one.title for one in outcomes(stages, members)] == ["probe (mean of 2 of 3 seeds)"]
    assert [one.title for one in outcomes(stages, members[:1] * 2)] == ["probe (mean of 2 seeds)"]


def test_what_a_protocol_shows_it_has() -> None:
    assert set(Continual.summary) <= set(Continual.metrics)
    assert Continual.headline in Continual.summary
    assert ProbeClassify.summary == ()
