"""What recording costs inside the training loop: TS2Vec on ArrowHead, the time spent in recording against all time.

    python -m benchmarks.logging [--steps 500]

Counted as recording: naming and detaching of values, thinning, the watch for losses that are not finite, gradient norms
and the health panel, the recorder itself, and writing its Parquet file at the end.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch

from tswork.config import configure
from tswork.context import Context
from tswork.data.collection import Collection, DataInfo, Part
from tswork.pipeline.records import EntryRecorder
from tswork.recorder import MemoryRecorder, Recorder
from tswork.training import curves, loop, panel

COUNTED: tuple[tuple[Any, str], ...] = (
    (loop, "update_values"),
    (curves.Curves, "wants"),
    (curves.Curves, "count"),
    (curves.Curves, "point"),
    (curves.FiniteWatch, "add"),
    (curves.FiniteWatch, "fault"),
    (panel.Panel, "read_if_due"),
    (panel.Panel, "report_histograms"),
)


def main() -> None:
    """Print one line a recorder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=500)
    steps = parser.parse_args().steps
    part = arrow_head()
    with TemporaryDirectory() as folder:
        entry = EntryRecorder(journal=Path(folder) / "scalars.jsonl")
        for recorder, write in ((MemoryRecorder(), None), (entry, lambda: entry.write(Path(folder) / "entry"))):
            total, recording = measure(part, recorder, write, steps=steps)
            name = type(recorder).__name__
            print(f"{name}: {steps} steps {total:.2f} s, recording {1000 * recording:.1f} ms, {recording / total:.3%}")


def measure(part: Part, recorder: Recorder, write: Callable[[], None] | None, *, steps: int) -> tuple[float, float]:
    """Seconds of a whole training, and those spent in recording."""
    method = configure("method", {"uses": "ts2vec", "iterations": steps, "batch_size": 8}).build()
    spent: list[float] = []
    with counted(spent):
        empty = Part(part.collection, part.spans[:0])
        context = Context(recorder=recorder)
        trained = loop.train(method, train=part, validation=empty, info=DataInfo.of(part), context=context)
    started = time.perf_counter()
    if write is not None:
        write()
    written = time.perf_counter() - started
    return trained.seconds + written, sum(spent) + written


@contextmanager
def counted(spent: list[float]) -> Iterator[None]:
    """Note the time of every call of the functions that record."""
    originals = [(owner, name, getattr(owner, name)) for owner, name in COUNTED]
    for owner, name, original in originals:
        setattr(owner, name, timed(original, spent))
    try:
        yield
    finally:
        for owner, name, original in originals:
            setattr(owner, name, original)


def timed(function: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    """The function, noting how long each call takes."""

    def call(*arguments: Any, **keywords: Any) -> Any:
        started = time.perf_counter()
        result = function(*arguments, **keywords)
        spent.append(time.perf_counter() - started)
        return result

    return call


def arrow_head() -> Part:
    """The training half of a set that comes with aeon."""
    from aeon.datasets import load_arrow_head

    series, labels = load_arrow_head(split="train")
    values = torch.from_numpy(np.ascontiguousarray(series.transpose(0, 2, 1), dtype=np.float32))
    sequences, length, channels = values.shape
    return Part.whole(
        Collection(
            values=values.reshape(-1, channels),
            offsets=torch.arange(sequences + 1) * length,
            table=pd.DataFrame({"label": labels}),
            channels=("outline",),
            label="label",
        )
    )


if __name__ == "__main__":
    main()
