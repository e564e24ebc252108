"""`tswork schema`: the JSON schema of pipeline files, for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tswork.cli.options import Root


def schema(
    out: Annotated[
        Path | None, typer.Option(help="File to write; none: <root>/.tswork/schema.json.", show_default=False)
    ] = None,
    root: Root = None,
) -> None:
    """Write the JSON schema of pipeline files, so that an editor completes and checks them."""
    from tswork.cli.writing import check_out, write_text
    from tswork.data.places import Places
    from tswork.pipeline.schema import pipeline_schema

    path = out or Places.here(root).root / ".tswork" / "schema.json"
    check_out(path)
    write_text(json.dumps(pipeline_schema(), indent=1), path)
    typer.echo(str(path))
