"""`tswork data import`: the recordings of a published layout as a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tswork.cli.options import DataRoot, ReaderOptions, Root, reader_options
from tswork.wording import counted


def import_layout(
    layout: Annotated[
        str, typer.Argument(help="A layout, such as kaldi or audiofolder; a wrong one shows all.", show_default=False)
    ],
    path: Annotated[Path, typer.Argument(help="The folder of the set, or one file of it.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The manifest to write (CSV).")] = Path("manifest.csv"),
    option: ReaderOptions = None,
    root: Root = None,
    data_root: DataRoot = None,
) -> None:
    """Write the recordings of a published layout (Kaldi, Lhotse, ...) as a manifest that can be looked at and mended."""
    from tswork.data.importing import write_manifest
    from tswork.data.places import Places

    places = Places.here(root, data_root=data_root)
    done = write_manifest(layout, path, out, options=reader_options(option or ()), places=places)
    typer.echo(f"reader: manifest\npath: {done.path}" + (f"\n{done.cut}" if done.cut else ""))
    typer.echo(f"wrote {done.path}: {counted(done.rows, 'row')} with {', '.join(done.columns)}", err=True)
