"""`tswork ui`: the MLflow UI on the store in use."""

from __future__ import annotations

from typing import Annotated

import typer

from tswork.cli.options import Root


def ui(
    root: Root = None, port: Annotated[int, typer.Option(help="Port on this machine.", min=1, max=65535)] = 5000
) -> None:
    """Open the MLflow UI on this project's runs; it listens on this machine only."""
    import os
    import subprocess
    import sys

    from tswork.data.places import Places
    from tswork.tracking.locations import ui_command

    command = ui_command(Places.here(root).root, port=port)
    typer.echo(f"open http://127.0.0.1:{port} when startup is complete, in some seconds  (stop with Ctrl-C)", err=True)
    quiet = {"PYTHONWARNINGS": "ignore", **os.environ}  # MLflow's own libraries warn each other
    sys.exit(subprocess.call([sys.executable, "-m", *command] if command[0] == "mlflow" else command, env=quiet))
