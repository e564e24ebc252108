"""What recording costs inside the training loop: 500 steps of the quickstart, the time spent in recording against all time.

    python -m benchmarks.logging [--steps 500] [--pipeline FILE] [--stage ts2vec]

Data, encoder and method are those of the pipeline file; the recorder is what `tswork run` uses: the entry of the store and a
run of MLflow (SQLite in a temporary root) at once. Counted as recording: naming and detaching of values, thinning, the watch
for losses that are not finite, gradient norms and the health panel with its forward passes, the recorder itself, the Parquet
file written at the end, and the CPU time of the thread that sends points to MLflow. Not counted: opening the store of runs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.timing import machine
from tswork.context import Context
from tswork.data.collection import DataInfo
from tswork.data.opening import open_splits
from tswork.data.places import Places
from tswork.pipeline.loading import load_pipeline
from tswork.pipeline.records import EntryRecorder
from tswork.recorder import MemoryRecorder, Recorder, Tee
from tswork.tracking.client import Tracking
from tswork.tracking.outbox import Outbox, Recipient
from tswork.tracking.recorder import RunRecorder
from tswork.training import curves, loop, panel

QUICKSTART = Path(__file__).resolve().parents[1] / "pipelines" / "quickstart.yaml"

COUNTED: tuple[tuple[Any, str, Callable[[], float]], ...] = (
    (loop, "update_values", time.perf_counter),
    (curves.Curves, "wants", time.perf_counter),
    (curves.Curves, "count", time.perf_counter),
    (curves.Curves, "point", time.perf_counter),
    (curves.FiniteWatch, "add", time.perf_counter),
    (curves.FiniteWatch, "fault", time.perf_counter),
    (panel.Panel, "read_if_due", time.perf_counter),
    (panel.Panel, "report_histograms", time.perf_counter),
    (Outbox, "flush", time.thread_time),  # in a thread of its own, which waits for the disk while training goes on
)


def main() -> None:
    """Print one line a recorder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--pipeline", type=Path, default=QUICKSTART)
    parser.add_argument("--stage", default="ts2vec")
    options = parser.parse_args()
    print(machine())
    with TemporaryDirectory() as folder:
        root = Path(folder)
        print_share("in memory", MemoryRecorder(), None, options, root)
        entry = EntryRecorder(journal=root / "scalars.jsonl")
        tracking = Tracking.open(root, experiment="logging")
        run = Recipient("the run", tracking.start("logging", parent=None))
        outbox = Outbox(tracking)
        live = RunRecorder(outbox, tracking, run, options.stage)

        def finish() -> None:
            entry.write(root / "entry")
            outbox.close()

        print_share("store and MLflow", Tee([entry, live]), finish, options, root)


def print_share(
    name: str, recorder: Recorder, finish: Callable[[], None] | None, options: argparse.Namespace, root: Path
) -> None:
    """Train with a recorder and print how much of the time went into recording."""
    overrides = [f"stages.{options.stage}.iterations={options.steps}"]
    member = load_pipeline(options.pipeline, places=Places.here(root), overrides=overrides).members[0]
    split = open_splits(member.data, Places.here(root, beside=options.pipeline.parent), seed=member.header.seed)[0]
    spent: list[float] = []
    with counted(spent):
        trained = loop.train(
            member.stage(options.stage).component.build(),
            train=split.train,
            validation=split.validation,
            info=DataInfo.of(split.train),
            context=Context(recorder=recorder, seed=member.header.seed),
        )
    started = time.perf_counter()
    if finish is not None:
        finish()
    finishing = time.perf_counter() - started
    total, recording = trained.seconds + finishing, sum(spent) + finishing
    share = recording / total
    print(f"{name:20} {options.steps} steps {total:7.2f} s, recording {1000 * recording:7.1f} ms, {share:.3%}")


@contextmanager
def counted(spent: list[float]) -> Iterator[None]:
    """Note the time of every call of the functions that record."""
    originals = [(owner, name, getattr(owner, name), clock) for owner, name, clock in COUNTED]
    for owner, name, original, clock in originals:
        setattr(owner, name, timed(original, clock, spent))
    try:
        yield
    finally:
        for owner, name, original, _ in originals:
            setattr(owner, name, original)


def timed(function: Callable[..., Any], clock: Callable[[], float], spent: list[float]) -> Callable[..., Any]:
    """The function, noting how long each call takes."""

    def call(*arguments: Any, **keywords: Any) -> Any:
        started = clock()
        result = function(*arguments, **keywords)
        spent.append(clock() - started)
        return result

    return call


if __name__ == "__main__":
    main()
