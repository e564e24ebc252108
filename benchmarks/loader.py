"""The loader: window-steps a second from a collection in memory or mapped from a file, and memory over many epochs.

    python -m benchmarks.loader [--batch 64] [--length 256] [--channels 8] [--sequences 1024] [--time 1024] [--epochs 1000]

A window-step is one time step of one window, so a batch of 64 windows of 256 steps has 16,384, whatever the channels. What is
timed is whole epochs of `Batches.at`: order of the items, places of the crops, and the gather. Beside it the plain forms, in
the same process and by turns: one slice an item, stacked (`tests/reference/batches.py`), and a `DataLoader` of torch over the
same slices. Resident memory is read after a tenth of the epochs and after all of them. What a GPU gets is in `gpu.py`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.timing import best_times, machine
from tests.reference import batches as plain
from tswork.data.backends import Backend
from tswork.data.batches import Batches, Crop
from tswork.data.collection import Collection, Part
from tswork.data.samplers import Uniform


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=64, help="windows a batch")
    parser.add_argument("--length", type=int, default=256, help="steps of a window")
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--sequences", type=int, default=1024)
    parser.add_argument("--time", type=int, default=1024, help="steps of a sequence; windows are cropped from it")
    parser.add_argument("--epochs", type=int, default=1000, help="epochs over which memory is watched")
    parser.add_argument("--seconds", type=float, default=2.0, help="time for every figure")
    parser.add_argument("--growth", action="store_true", help="also how speed changes with batch, length and set")
    options = parser.parse_args()
    print(machine())
    with TemporaryDirectory() as folder:
        scratch = Path(folder) / "values.npy"
        compare(series(options.sequences, options.time, options.channels), options, scratch)
        if options.growth:
            grow(options, scratch)
    watch_memory(options)


def compare(part: Part, options: argparse.Namespace, scratch: Path) -> None:
    """Ours from both backends of the CPU, and the plain forms."""
    size = part.collection.values.numel() * 4 / 2**20
    print(f"\nbatches of {options.batch} windows of {options.length} x {options.channels} from {size:.0f} MiB")
    ours = {backend: batches(part, options, backend, scratch) for backend in ("device", "mapped")}
    rivals: dict[str, Callable[[], object]] = {name: epochs(loader) for name, loader in ours.items()}
    rivals["one slice an item"] = slices(part, ours["device"])
    rivals["torch DataLoader"] = torch_loader(part, options)
    steps = ours["device"].steps(0)
    seconds = best_times(rivals, seconds=options.seconds * len(rivals))
    for name, spent in seconds.items():
        rate = steps * options.batch * options.length / spent
        print(
            f"{name:20} {1e6 * spent / steps:8.1f} us a batch {rate / 1e6:7.0f} M window-steps/s"
            f" {spent / seconds['device']:6.1f}x the time"
        )


def grow(options: argparse.Namespace, scratch: Path) -> None:
    """The same rate (device backend) with one of the sizes changed at a time."""
    print("\nM window-steps/s with one size changed")
    sizes = {"batch": (8, 64, 512), "length": (16, 256, 1024), "sequences": (64, 1024, 16384)}
    for name, values in sizes.items():
        rates = []
        for value in values:
            changed = argparse.Namespace(**{**vars(options), name: value})
            part = series(changed.sequences, max(changed.time, changed.length), changed.channels)
            loader = batches(part, changed, "device", scratch)
            spent = best_times({"ours": epochs(loader)}, seconds=options.seconds)["ours"]
            rate = loader.steps(0) * loader.sampler.batch_size * changed.length / spent
            rates.append(f"{value}: {rate / 1e6:.0f}")
        print(f"{name:20} {', '.join(rates)}")


def watch_memory(options: argparse.Namespace) -> None:
    """Resident memory after a tenth of the epochs and after all."""
    loader = batches(series(options.sequences, options.time, options.channels), options, "device", None)
    process, early = psutil.Process(os.getpid()), max(1, options.epochs // 10)
    resident = {}
    for epoch in range(options.epochs):
        for step in range(loader.steps(epoch)):
            loader.at(epoch, step)
        if epoch + 1 in (early, options.epochs):
            resident[epoch + 1] = process.memory_info().rss
    change = resident[options.epochs] / resident[early] - 1
    shown = ", ".join(f"after epoch {epoch}: {size / 2**20:.1f} MiB" for epoch, size in resident.items())
    print(f"\nresident memory {shown} ({change:+.2%})")


def series(sequences: int, time: int, channels: int) -> Part:
    """Noise of that shape."""
    values = np.random.default_rng(0).normal(size=(sequences, time, channels))
    return Part.whole(Collection.from_array(values.astype(np.float32)))


def batches(part: Part, options: argparse.Namespace, backend: Backend, scratch: Path | None) -> Batches:
    sampler = Uniform(len(part), batch_size=options.batch, seed=0, drop_last=True)
    return Batches(part, sampler=sampler, crop=Crop(options.length), backend=backend, scratch=scratch)


def epochs(loader: Batches) -> Callable[[], None]:
    """A function that takes all batches of the next epoch."""
    numbers = iter(range(10**9))

    def run() -> None:
        epoch = next(numbers)
        for step in range(loader.steps(epoch)):
            loader.at(epoch, step)

    return run


def slices(part: Part, loader: Batches) -> Callable[[], None]:
    """The plain twin, on windows drawn beforehand."""
    spans = [loader.at(0, step).span for step in range(loader.steps(0))]

    def run() -> None:
        for span in spans:
            plain.gather(part, span)

    return run


class Crops(Dataset[Tensor]):
    """A random window of every sequence."""

    def __init__(self, part: Part, length: int) -> None:
        self._part = part
        self._length = length

    def __len__(self) -> int:
        return len(self._part)

    def __getitem__(self, index: int) -> Tensor:
        sequence = self._part.collection.sequence(index)
        start = int(torch.randint(len(sequence) - self._length + 1, ()))
        return sequence[start : start + self._length]


def torch_loader(part: Part, options: argparse.Namespace) -> Callable[[], None]:
    """Batches as most code gets them, in this process."""
    loader = DataLoader(Crops(part, options.length), batch_size=options.batch, shuffle=True, drop_last=True)

    def run() -> None:
        for _ in loader:
            pass

    return run


if __name__ == "__main__":
    main()
