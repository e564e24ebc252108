"""Where results come from: experiments by name, or by a pipeline file that records into one."""

from __future__ import annotations

from pathlib import Path

from tswork.data.places import Places
from tswork.pipeline.loading import load_pipeline


def experiment_of(name: str, places: Places, *, beside: Path | None = None) -> str:
    """The experiment of a pipeline file (relative to `beside`, else to the working directory), or the name itself."""
    if not name.endswith((".yaml", ".yml")):
        return name
    return load_pipeline(Path(name) if beside is None else beside / name, places=places).experiment
