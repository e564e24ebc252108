"""`tswork run`: train and judge what is not in the store yet, and record everything."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tswork.cli.options import DataRoot, Json, Overrides, PipelineFile, Root, SkipBad, print_json, with_skip_bad

if TYPE_CHECKING:
    from rich.console import Console

    from tswork.pipeline.plan import Plan
    from tswork.pipeline.runner import MemberReport, RunReport


def run(
    pipeline: PipelineFile,
    overrides: Overrides = None,
    root: Root = None,
    data_root: DataRoot = None,
    skip_bad: SkipBad = False,
    verify: Annotated[bool, typer.Option(help="Rehash data files and stored results first.")] = False,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu, cuda or cuda:N; none: the pipeline's.", show_default=False)
    ] = None,
    checkpoint_every: Annotated[
        float, typer.Option(help="Seconds from one checkpoint of a training to the next.", min=0)
    ] = 30.0,
    as_json: Json = False,
) -> None:
    """Run a pipeline: stages in the store are reused, interrupted ones go on, the others are computed."""
    from tswork.cli.console import ConsoleObserver, console
    from tswork.data.places import Places
    from tswork.pipeline.loading import load_pipeline
    from tswork.pipeline.plan import make_plan
    from tswork.pipeline.reporting import Unreported
    from tswork.pipeline.runner import run_plan
    from tswork.tracking.reporter import MlflowReporter
    from tswork.training.runtime import own_rank, process_count

    screen = console(stderr=as_json)
    places = Places.here(root, data_root=data_root)
    loaded = load_pipeline(pipeline, places=places, overrides=with_skip_bad(overrides, skip_bad))
    plan = make_plan(loaded, verify=verify, world_size=process_count())
    if own_rank():
        run_plan(plan, reporter=Unreported(), device=device, checkpoint_seconds=checkpoint_every)
        return
    reporter = MlflowReporter(plan)
    observer = ConsoleObserver(screen)
    try:
        with terminated_as_interrupted():
            report = run_plan(
                plan, reporter=reporter, observer=observer, device=device, checkpoint_seconds=checkpoint_every
            )
    finally:
        observer.close()
    missing = list(reporter.incomplete.missing) if reporter.incomplete is not None else []
    if as_json:
        print_json({**_document(report), "not_recorded": missing})
    else:
        _print_results(screen, plan, report)
        at = f" --root {root}" if root is not None else ""
        screen.print(f"\nlook at it with: tswork ui{at}")
    if reporter.incomplete is not None:
        raise typer.Exit(reporter.incomplete.exit_code)


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends a run like Ctrl-C, wherever it is: the runs are closed and nothing finished is lost."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _document(report: RunReport) -> dict[str, Any]:
    members = [_member(member) for member in report.members]
    if len(members) == 1:
        return {**members[0], "run_id": report.run_id}
    return {"run_id": report.run_id, "members": members}


def _member(member: MemberReport) -> dict[str, Any]:
    stages = [
        {"name": one.name, "status": one.status, "key": one.key, "seconds": round(one.seconds, 3)}
        for one in member.stages
    ]
    return {
        "name": member.name,
        "run_id": member.run_id,
        "axes": dict(member.axes),
        "stages": stages,
        "results": member.metrics,
    }


def _print_results(screen: Console, plan: Plan, report: RunReport) -> None:
    from tswork.cli.console import result_table
    from tswork.pipeline.outcome import outcomes

    for found in outcomes([stage.spec for stage in plan.members[0].stages], report.members):
        screen.print()
        screen.print(result_table(found))
