"""`tswork list`: which components there are."""

from __future__ import annotations

from typing import Annotated

import typer

from tswork.cli.options import Json, print_json


def list_components(
    kind: Annotated[
        str | None, typer.Argument(help="One kind, such as encoder or method; none: all.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """List the components a pipeline can use."""
    from rich.table import Table

    from tswork import registry
    from tswork.cli.console import console
    from tswork.errors import ComponentUnknown

    if kind is not None and kind not in registry.kinds():
        raise ComponentUnknown("kind", kind, registry.kinds())
    found = [one for each in registry.kinds() if kind in (None, each) for one in registry.components(each)]
    if as_json:
        print_json(
            [{"kind": one.kind, "name": one.name, "version": one.version, "summary": one.summary} for one in found]
        )
        return
    table = Table("kind", "name", "what it is", box=None, header_style="bold", pad_edge=False)
    for one in found:
        table.add_row(one.kind, one.name, one.summary)
    console().print(table)
