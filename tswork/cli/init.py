"""`tswork init`: a pipeline file to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def init(
    template: Annotated[
        str | None, typer.Argument(help="A shipped pipeline, such as quickstart; none: list them.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write; none: its own name here.", show_default=False)
    ] = None,
) -> None:
    """Copy a shipped pipeline into the working directory, or list the shipped ones."""
    from tswork.cli.writing import check_out, write_text
    from tswork.data.places import shipped
    from tswork.errors import ComponentUnknown, InvalidInput, Location, Problem

    folder = shipped("pipelines")
    templates = {file.relative_to(folder).with_suffix("").as_posix(): file for file in sorted(folder.rglob("*.yaml"))}
    if template is None:
        typer.echo("\n".join(templates))
        return
    if template not in templates:
        raise ComponentUnknown("template", template, list(templates))
    target = out or Path(templates[template].name)
    if target.exists():
        raise InvalidInput(
            [
                Problem(
                    "there is a file already", location=Location(str(target)), remedy="Choose another name with --out."
                )
            ]
        )
    check_out(target)
    write_text(templates[template].read_text(encoding="utf-8"), target)
    typer.echo(f"wrote {target}; run it with: tswork run {target}")
