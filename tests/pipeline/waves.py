"""A small labelled set of waves on disk, and pipelines on it that take a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np

PIPELINE = """\
version: 1
name: waves
seed: 7
data:
  reader: arrays
  path: waves.npz
  split: {by: official}
encoder: {uses: dilated_conv, depth: 2, dim: 8, hidden: 4}
stages:
  ts2vec: {uses: ts2vec, iterations: 6, batch_size: 8}
  probe:  {uses: probe_classify, needs: ts2vec, heads: [logistic]}
"""


def write_waves(folder: Path, *, name: str = "waves.npz", seed: int = 0, classes: int = 2, cases: int = 24) -> Path:
    """Sines whose frequency is the class, in official halves."""
    draw = np.random.default_rng(seed)
    labels = np.arange(cases) % classes
    time = np.arange(40)
    waves = np.sin(time * (0.2 + 0.3 * labels[:, None]) + draw.uniform(0, 6, (cases, 1))) + 0.1 * draw.normal(
        size=(cases, 40)
    )
    halves = {
        f"{kind}_{half}": array[start::2]
        for half, start in (("train", 0), ("test", 1))
        for kind, array in (
            ("X", waves[:, None].astype(np.float32)[np.argsort(labels, kind="stable")]),
            ("y", np.sort(labels).astype(str)),
        )
    }
    path = folder / name
    np.savez(path, **halves)  # type: ignore[arg-type]
    return path


def write_pipeline(folder: Path, text: str = PIPELINE, *, name: str = "waves.yaml") -> Path:
    """The waves and a pipeline beside them."""
    if not (folder / "waves.npz").exists():
        write_waves(folder)
    path = folder / name
    path.write_text(text)
    return path
