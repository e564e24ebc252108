"""With what a result was made: versions, commit, machine. Recorded with the result, never keyed."""

from __future__ import annotations

import functools
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

import tswork

PACKAGES = ("torch", "numpy", "pandas", "scikit-learn", "aeon", "tsai", "mlflow")


@functools.cache
def provenance() -> dict[str, Any]:
    """tswork's version and commit, package versions, Python, platform and threads."""
    return {
        "tswork": tswork.__version__,
        "commit": git_commit(),
        "packages": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
    }


def git_commit() -> str | None:
    """The commit of the checkout tswork runs from (`+` marks uncommitted changes), or None outside of one."""
    folder = Path(tswork.__file__).resolve().parents[1]
    if not (folder / ".git").exists():
        return None
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return commit + ("+" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
    )
    return done.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
