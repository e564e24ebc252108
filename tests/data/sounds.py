"""Sounds as files: tones in any format that soundfile writes, and manifests of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

BLOCK: dict[str, Any] = {"reader": "manifest", "path": "all.csv"}
FORMATS = {
    ".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS"), ".oga": ("OGG", "OPUS"),
    ".opus": ("OGG", "OPUS"), ".mp3": ("MP3", "MPEG_LAYER_III"), ".aiff": ("AIFF", "PCM_16"), ".aif": ("AIFF", "PCM_16"),
    ".aifc": ("AIFF", "PCM_16"), ".au": ("AU", "PCM_16"), ".caf": ("CAF", "PCM_16"), ".w64": ("W64", "PCM_16"),
    ".sph": ("NIST", "PCM_16"),
}  # fmt: skip


def tone(
    frequency: float = 440.0, *, rate: int = 16000, seconds: float = 0.5, length: int | None = None, level: float = 0.5
) -> np.ndarray:
    """A sine of float32 samples."""
    count = length if length is not None else round(seconds * rate)
    return (level * np.sin(2 * np.pi * frequency * np.arange(count) / rate)).astype(np.float32)


def write(path: Path, samples: np.ndarray, rate: int = 16000, *, subtype: str | None = None) -> None:
    """A sound file in the format of its suffix; several channels stand side by side in `samples`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    form, usual = FORMATS[path.suffix]
    soundfile.write(path, samples, rate, format=form, subtype=subtype or usual)


def manifest(folder: Path, rows: Sequence[str], *, head: str = "path", name: str = "all.csv") -> None:
    """A manifest of some rows."""
    (folder / name).write_text("\n".join([head, *rows]) + "\n")
