"""Where results come from: experiments by name, or by a pipeline file that records into one."""

from __future__ import annotations

from pathlib import Path

from tswork.pipeline.loading import load_header


def experiment_of(name: str, *, beside: Path | None = None) -> str:
    """The experiment of a pipeline file (relative to `beside`, else to the working directory), or the name itself.

    The data of the pipeline need not be there: a page can be written where only its results are.
    """
    if not name.endswith((".yaml", ".yml")):
        return name
    return load_header(Path(name) if beside is None else beside / name).records_into
