"""`tswork data import`: the recordings of a published layout as a manifest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from tswork.cli.options import DataRoot, Root
from tswork.wording import counted


def import_layout(
    layout: Annotated[
        str, typer.Argument(help="A layout, such as kaldi or audiofolder; a wrong one shows all.", show_default=False)
    ],
    path: Annotated[Path, typer.Argument(help="The folder of the set, or one file of it.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The manifest to write (CSV).")] = Path("manifest.csv"),
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option", "-o", help="An option of the layout's reader, as NAME=VALUE; repeatable.", show_default=False
        ),
    ] = None,
    root: Root = None,
    data_root: DataRoot = None,
) -> None:
    """Write the recordings of a published layout (Kaldi, Lhotse, ...) as a manifest that can be looked at and mended."""
    from tswork.data.importing import write_manifest
    from tswork.data.places import Places

    places = Places.here(root, data_root=data_root)
    done = write_manifest(layout, path, out, options=_options(option or ()), places=places)
    typer.echo(f"reader: manifest\npath: {done.path}" + (f"\n{done.cut}" if done.cut else ""))
    typer.echo(f"wrote {done.path}: {counted(done.rows, 'row')} with {', '.join(done.columns)}", err=True)


def _options(given: Sequence[str]) -> dict[str, Any]:
    """Options as YAML values. Raises `DataInvalid` for what is not NAME=VALUE."""
    from tswork.errors import DataInvalid, Problem
    from tswork.source import parse_yaml

    wrong = [text for text in given if "=" not in text]
    if wrong:
        raise DataInvalid([Problem(f"{text!r} should be NAME=VALUE", "--option") for text in wrong])
    pairs = (text.split("=", 1) for text in given)
    return {name.strip(): parse_yaml(value, f"--option {name.strip()}").data for name, value in pairs}
