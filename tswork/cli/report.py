"""`tswork report`: a page of results in Markdown, written from finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tswork.cli.options import Root


def report_page(
    page: Annotated[Path, typer.Argument(help="A YAML file that says what stands on the page.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="File to write; none: Markdown on stdout.", show_default=False)
    ] = None,
    root: Root = None,
) -> None:
    """Write a page of tables from finished runs, with controls, published figures and the test of a difference."""
    from tswork.data.places import Places
    from tswork.reports.page import Material, write_page
    from tswork.reports.page_spec import read_page
    from tswork.reports.sources import experiment_of
    from tswork.tracking.client import Tracking
    from tswork.tracking.reading import hours, judgements

    places, spec = Places.here(root), read_page(page)
    tracking = Tracking.attach(places.root)
    materials = []
    for section in spec.sections:
        chosen = [experiment_of(name, places, beside=page.parent) for name in section.runs]
        materials.append(Material(judgements(tracking, chosen), hours(tracking, chosen)))
    text = write_page(spec, materials, command=f"tswork report {page}")
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text)
