"""`tswork predict`: forecasts or classes for new data, from a finished pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tswork.cli.options import DataRoot, FinishedRun, Overrides, Root

DIGITS = "%.7g"
"""As many as single precision has."""
Member = Annotated[
    str | None,
    typer.Option("--member", help="A member of the sweep, such as 'seed=42'; none: the first.", show_default=False),
]


def predict(
    run: FinishedRun,
    data: Annotated[Path, typer.Argument(help="New data in the layout of the pipeline's own.", show_default=False)],
    horizon: Annotated[
        int | None, typer.Option(help="Steps to forecast; none: the longest of the pipeline.", min=1)
    ] = None,
    stage: Annotated[
        str | None, typer.Option(help="Protocol stage whose heads are used; none: the only one.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write (.csv or .parquet); none: CSV on stdout.", show_default=False)
    ] = None,
    ignore_unknown: Annotated[
        bool,
        typer.Option(
            "--ignore-unknown", help="Predict rows whose class the model never saw, instead of refusing them."
        ),
    ] = False,
    member: Member = None,
    overrides: Overrides = None,
    root: Root = None,
    data_root: DataRoot = None,
) -> None:
    """Predict new data with the heads and models of a finished pipeline, in original units."""
    from tswork import door
    from tswork.cli.writing import check_out, write_frame

    check_out(out)
    frame = door.predict(
        run,
        data,
        stage=stage,
        horizon=horizon,
        member=member,
        ignore_unknown=ignore_unknown,
        overrides=overrides or (),
        root=root,
        data_root=data_root,
    )
    if out is None:
        typer.echo(frame.to_csv(index=False, float_format=DIGITS), nl=False)
    else:
        write_frame(frame, out, digits=DIGITS)
