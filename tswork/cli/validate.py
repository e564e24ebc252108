"""`tswork validate`: is the pipeline file right?"""

from __future__ import annotations

import typer

from tswork.cli.failing import failure_document
from tswork.cli.options import DataRoot, Json, Overrides, PipelineFile, Root, SkipBad, print_json, with_skip_bad
from tswork.errors import InvalidInput
from tswork.wording import counted


def validate(
    pipeline: PipelineFile,
    overrides: Overrides = None,
    root: Root = None,
    data_root: DataRoot = None,
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Check a pipeline file, its card, its data files, their columns and checkpoints without reading values; tells all faults at once."""
    from tswork.cli.console import console
    from tswork.data.places import Places
    from tswork.pipeline.checkpoints import with_checkpoints
    from tswork.pipeline.data_files import check_files
    from tswork.pipeline.loading import load_pipeline

    places = Places.here(root, data_root=data_root)
    try:
        loaded = load_pipeline(pipeline, places=places, overrides=with_skip_bad(overrides, skip_bad))
        check_files(loaded)
        with_checkpoints(loaded)
    except InvalidInput as fault:
        if not as_json:
            raise
        typer.echo(str(fault), err=True)
        print_json({"valid": False, **failure_document(fault, str(fault), fault.exit_code)})
        raise typer.Exit(fault.exit_code) from fault
    stages = len(loaded.members[0].stages)
    if as_json:
        print_json({"valid": True, "problems": [], "members": len(loaded.members), "stages": stages})
    else:
        console().print(f"{pipeline} is valid: {counted(stages, 'stage')}, {counted(len(loaded.members), 'member')}")
