"""Sound: decoding once, opening what was decoded, and batches of log-mel frames as a multiple of real time.

    TSWORK_DATA=... python -m benchmarks.sound [--set fsdd/manifest.csv] [--rate 16000] [--batch 32] [--seconds 2] [--wall]

Times of decoding and opening are of one run each in an empty store: the first reads, checks, resamples and writes every file, the
second finds the collection, the third (other label, other order) finds the decoded samples and decodes nothing. Batches are those
of a whole epoch: buckets of similar length with at most `--batch` clips, gathered as float32, then turned to 80 log-mel bands.
Real time is the sum of the clips' durations, so padding is no gain; the plain rival decodes each clip of a batch when it is
drawn, one by one, and pads random batches.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from benchmarks.timing import best_times, machine
from tswork.config import configure
from tswork.data.batches import Batches
from tswork.data.collection import Collection, DataInfo, Part
from tswork.data.files import find_file
from tswork.data.opening import open_collection
from tswork.data.places import Places
from tswork.data.readers.decoders.sound import Sound, SoundConfig
from tswork.data.samplers import Buckets, Sampler, Uniform
from tswork.data.spec import DataOptions, DataSpec
from tswork.encoders.front_ends.base import FrontEnd
from tswork.store import Store

LONGEST_SECONDS = 20.0
"""Seconds of a clip for which a bucket of `--batch` clips still has room."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", default="fsdd/manifest.csv", help="a manifest below TSWORK_DATA")
    parser.add_argument("--rate", type=float, default=16000.0, help="samples a second")
    parser.add_argument("--batch", type=int, default=32, help="clips a batch")
    parser.add_argument("--seconds", type=float, default=2.0, help="time for every figure")
    parser.add_argument("--wall", action="store_true", help="batches by the clock instead of the processor's seconds")
    options = parser.parse_args()
    print(machine())
    with TemporaryDirectory() as folder:
        source = find_file(Path(options.set), Places.here(Path(folder)))
        part = Part.whole(decode(source, Path(folder), options))
    load(part, source, options)


def decode(source: Path, folder: Path, options: argparse.Namespace) -> Collection:
    """The collection, opened three times."""
    print()
    for what, block in (
        ("decoding once", {}),
        ("opening again", {}),
        ("another order", {"columns": {"other": "path2"}}),
    ):
        place = Places.here(folder, beside=folder)
        rows = pd.read_csv(source, dtype=str)
        rows["path"] = [str(source.parent / path) for path in rows["path"]]
        rows["path2"] = rows["path"]
        rows.iloc[:: -1 if block else 1].to_csv(folder / "all.csv", index=False)
        spec = DataSpec.parse({"reader": "manifest", "path": "all.csv", "cut": "none", "rate": options.rate, **block})
        wall, processor = time.perf_counter(), time.process_time()
        found = open_collection(spec, place, store=Store(place.store))
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        seconds = len(found.values) / options.rate
        print(
            f"{what:16} {len(found):5} files, {seconds:6.0f} s of sound: {wall:6.2f} s ({processor:.2f} s of the processor)"
        )
    size = sum(file.stat().st_size for file in place.store.rglob("*") if file.is_file())
    print(f"{'store':16} {size / 2**20:5.1f} MiB for {found.values.numel() * 2 / 2**20:.1f} MiB of samples")
    return found


def load(part: Part, source: Path, options: argparse.Namespace) -> None:
    """An epoch of batches, with and without log-mel frames, and the same clip by clip."""
    front = configure("front_end", "log_mel").build(DataInfo.of(part)).eval()
    room = int(options.batch * LONGEST_SECONDS * options.rate)
    buckets = Buckets(part.lengths, steps=room, seed=0, batch_size=options.batch)
    uniform = Uniform(len(part), batch_size=options.batch, seed=0)
    files = [Path(name) for name in part.table["id"]]
    rivals: dict[str, Callable[[], object]] = {
        "buckets": epoch(part, buckets, None),
        "buckets, log-mel": epoch(part, buckets, front),
        "random, log-mel": epoch(part, uniform, front),
    }
    clock = time.perf_counter if options.wall else time.process_time
    ratios = f"{padding(part, buckets):.3f}x in buckets, {padding(part, uniform):.3f}x at random"
    told = "of the clock" if options.wall else "of the processor, all threads"
    print(f"\nbatches of {options.batch} clips, padded to {ratios}; seconds are {told}")
    spent = best_times(rivals, seconds=options.seconds * len(rivals), clock=clock)
    few = Part(part.collection, part.spans[: 10 * options.batch])
    some = {"decoded each time, log-mel": plain(few, files, front, options)}
    spent |= best_times(some, seconds=options.seconds, least=1, clock=clock)
    for name, seconds in spent.items():
        real = float((few if name in some else part).lengths.sum()) / options.rate
        print(f"{name:28} {real / seconds:9.0f}x real time")


def epoch(part: Part, sampler: Sampler, front: FrontEnd | None) -> Callable[[], object]:
    """A function that takes all batches of the next epoch."""
    batches = Batches(part, sampler=sampler)
    numbers: Iterator[int] = iter(range(10**9))

    @torch.no_grad()
    def run() -> None:
        number = next(numbers)
        for step in range(batches.steps(number)):
            batch = batches.at(number, step)
            if front is not None:
                front(batch.x, batch.lengths)

    return run


def plain(part: Part, files: list[Path], front: FrontEnd, options: argparse.Namespace) -> Callable[[], object]:
    """Each clip of a random batch decoded when it is drawn, and its frames computed by itself."""
    decoder, asked = Sound(SoundConfig()), DataOptions(rate=options.rate)

    @torch.no_grad()
    def run() -> list[Tensor]:
        found = []
        for row in np.random.default_rng(0).permutation(len(part)).tolist():
            samples = decoder.read(files[row], asked).values.astype(np.float32) / 32768
            found.append(front(torch.from_numpy(samples)[None]).values)
        return found

    return run


def padding(part: Part, sampler: Sampler) -> float:
    """Padded steps of an epoch over the steps that are there."""
    batches = [part.lengths[sampler.at(0, step)] for step in range(sampler.steps(0))]
    return sum(float(len(lengths) * lengths.max()) for lengths in batches) / float(part.lengths.sum())


if __name__ == "__main__":
    main()
