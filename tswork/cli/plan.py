"""`tswork plan`: what would run, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from tswork.cli.options import DataRoot, Json, Overrides, PipelineFile, Root, SkipBad, print_json, with_skip_bad


def plan(
    pipeline: PipelineFile,
    overrides: Overrides = None,
    root: Root = None,
    data_root: DataRoot = None,
    skip_bad: SkipBad = False,
    verify: Annotated[bool, typer.Option(help="Rehash data files and stored results.")] = False,
    as_json: Json = False,
) -> None:
    """Show every stage with its key: cached, resume or run, and the reason."""
    from tswork.cli.console import console, plan_table
    from tswork.data.places import Places
    from tswork.pipeline.loading import load_pipeline
    from tswork.pipeline.plan import make_plan

    places = Places.here(root, data_root=data_root)
    loaded = load_pipeline(pipeline, places=places, overrides=with_skip_bad(overrides, skip_bad))
    planned = make_plan(loaded, verify=verify)
    if as_json:
        stages = [
            {
                "member": member.member.name,
                "name": stage.spec.name,
                "status": stage.status,
                "reason": stage.reason,
                "key": stage.key,
            }
            for member in planned.members
            for stage in member.stages
        ]
        print_json({"pipeline": loaded.name, "stages": stages})
    else:
        console().print(plan_table(planned))
