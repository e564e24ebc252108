"""Where runs are recorded: beside the project, unless the environment names a server."""

from __future__ import annotations

import os
from pathlib import Path

SERVER = "MLFLOW_TRACKING_URI"


def tracking_uri(root: Path) -> str:
    """`$MLFLOW_TRACKING_URI`, else a SQLite database below the root."""
    return os.environ.get(SERVER) or f"sqlite:///{database(root).absolute()}"


def database(root: Path) -> Path:
    """The database of a project that names no server."""
    return root / ".tswork" / "mlflow.db"


def artifact_location(root: Path) -> str | None:
    """Where artifacts go: beside the project, or (None) where a server puts them."""
    without_server = tracking_uri(root).startswith(("sqlite:", "file:", "/"))
    return (root / ".tswork" / "artifacts").absolute().as_uri() if without_server else None


def ui_command(root: Path, *, port: int = 5000) -> list[str]:
    """The command that shows the runs, on this machine only."""
    own = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]  # for one reader; each takes seconds to start
    command = ["mlflow", "ui", "--backend-store-uri", tracking_uri(root), *own]
    location = artifact_location(root)
    return [*command, "--default-artifact-root", location] if location else command
