"""`tswork ui`: the MLflow UI on the store in use."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated

import typer

from tswork.cli.options import Root

PATIENCE_SECONDS = 5.0
"""How long a server may take to stop."""


def ui(
    root: Root = None, port: Annotated[int, typer.Option(help="Port on this machine.", min=1, max=65535)] = 5000
) -> None:
    """Open the MLflow UI on this project's runs; it listens on this machine only."""
    import sys

    from tswork.data.places import Places
    from tswork.tracking.locations import ui_command

    command = ui_command(Places.here(root).root, port=port)
    typer.echo(f"open http://127.0.0.1:{port} when startup is complete, in some seconds  (stop with Ctrl-C)", err=True)
    raise typer.Exit(serve([sys.executable, "-m", *command] if command[0] == "mlflow" else command))


def serve(command: Sequence[str]) -> int:
    """Run a server until it ends, or until this process is told to stop: then nothing that it started stays behind."""
    import os
    import subprocess

    import psutil

    from tswork.cli.run import terminated_as_interrupted

    quiet = {"PYTHONWARNINGS": "ignore", **os.environ}  # MLflow's own libraries warn each other
    server = subprocess.Popen(command, env=quiet)
    try:
        with terminated_as_interrupted():
            return server.wait()
    except KeyboardInterrupt:
        with suppress(psutil.Error):  # whatever has ended by itself
            started = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
            for one in started:
                with suppress(psutil.Error):
                    one.terminate()
            for one in psutil.wait_procs(started, timeout=PATIENCE_SECONDS)[1]:
                one.kill()
        server.wait()
        return 0
