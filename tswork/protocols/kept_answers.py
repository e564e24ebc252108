"""What models said of a part, as pieces of their protocol that outlive an interruption: numbers and texts, as files and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tswork.context import Context

NUMBERS = "numbers.npy"
TEXTS = "texts.json"


def kept_numbers(context: Context, key: dict[str, Any], make: Callable[[Context], np.ndarray]) -> np.ndarray:
    """An array that `make` gives, or that an interrupted run of the stage kept under this key."""

    def write(folder: Path, numbers: np.ndarray) -> None:
        np.save(folder / NUMBERS, numbers, allow_pickle=False)

    return context.kept(key, make, write=write, read=lambda folder: np.load(folder / NUMBERS, allow_pickle=False))


def kept_texts(context: Context, key: dict[str, Any], make: Callable[[Context], Sequence[str]]) -> Sequence[str]:
    """The same of texts."""

    def write(folder: Path, texts: Sequence[str]) -> None:
        (folder / TEXTS).write_text(json.dumps(list(texts)), encoding="utf-8")

    def read(folder: Path) -> Sequence[str]:
        texts: list[str] = json.loads((folder / TEXTS).read_text(encoding="utf-8"))
        return texts

    return context.kept(key, make, write=write, read=read)
