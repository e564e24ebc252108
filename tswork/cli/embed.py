"""`tswork embed`: one vector a sequence for new data, from a finished training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tswork.cli.options import DataRoot, FinishedRun, Overrides, Root
from tswork.cli.predict import Member
from tswork.wording import counted


def embed(
    run: FinishedRun,
    data: Annotated[Path, typer.Argument(help="New data in the layout of the pipeline's own.", show_default=False)],
    out: Annotated[Path, typer.Option(help="File to write (.csv or .parquet).", show_default=False)],
    stage: Annotated[
        str | None, typer.Option(help="Method stage whose model is used; none: the only one.", show_default=False)
    ] = None,
    member: Member = None,
    overrides: Overrides = None,
    root: Root = None,
    data_root: DataRoot = None,
) -> None:
    """Write the embeddings of new data beside the ids of their sequences."""
    from tswork import door
    from tswork.cli.writing import check_out, write_frame

    check_out(out)
    frame = door.embed_new(
        run, data, stage=stage, member=member, overrides=overrides or (), root=root, data_root=data_root
    )
    write_frame(frame, out)
    typer.echo(f"wrote {counted(len(frame), 'embedding')} to {out}")
