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
    records: Annotated[
        list[Path] | None,
        typer.Option(help="A file of results, beside those that the page names; repeatable.", show_default=False),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Write the results of the page to the first file that it names in `records`.")
    ] = False,
    root: Root = None,
) -> None:
    """Write a page of tables from finished runs, with controls, published figures and the test of a difference."""
    from tswork.cli.writing import check_out, write_text
    from tswork.data.places import Places
    from tswork.reports.gathering import gather
    from tswork.reports.page import write_page
    from tswork.reports.page_spec import read_page

    spec = read_page(page)
    check_out(out)
    gathered = gather(spec, page, Places.here(root), more=records or (), keep=keep)
    text = write_page(spec, gathered.materials, command=f"tswork report {page}")
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_text(text, out)
