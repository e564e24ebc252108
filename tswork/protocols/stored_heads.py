"""Fitted heads as one safetensors file, and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tswork.disk import disk_errors
from tswork.protocols.base import Heads


def save_heads(path: Path, heads: Heads) -> None:
    """Write all arrays, named by their row and their own name; no file where there are none."""
    from safetensors.numpy import save_file

    arrays = {
        f"{row}\n{name}": np.ascontiguousarray(array) for row, named in heads.items() for name, array in named.items()
    }
    if arrays:
        with disk_errors(path):
            save_file(arrays, path)


def load_heads(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """The heads that `save_heads` wrote."""
    from safetensors.numpy import load_file

    heads: dict[str, dict[str, np.ndarray]] = {}
    for key, array in load_file(path).items() if path.exists() else ():
        row, _, name = key.partition("\n")
        heads.setdefault(row, {})[name] = array
    return heads
