"""On a GPU: windows a second from each backend of the loader, in training, and how busy the device is.

    python -m benchmarks.gpu [--batch 64] [--length 256] [--channels 8] [--sequences 4096] [--time 1024] [--steps 100]

Three tables. The loader alone: batches are drawn and nothing else is done. Training: steps of TS2Vec (encoder of the published
size, hierarchical loss, AdamW, mean of iterates) on the batches of each backend; *busy* is the share of a step's time in which a
kernel or a copy runs on the device, with the device's time from torch's profiler and the step's from a run without it. Encoding:
the last frame of every window of a series. The backends are described in `tswork/data/backends.py`.

Runs where only torch, numpy, scipy and scikit-learn are installed, from a checkout, without installing tswork: packages that
take no part in what is measured get stand-ins (`stand_ins.py`). Without a GPU it says so and measures the backends of the CPU.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from benchmarks import stand_ins

ABSENT = stand_ins.provide()

from benchmarks.step import TrainingStep  # noqa: E402
from benchmarks.timing import machine  # noqa: E402
from tswork.config import configure  # noqa: E402
from tswork.context import Context  # noqa: E402
from tswork.data.backends import Backend  # noqa: E402
from tswork.data.batches import Batches, Crop  # noqa: E402
from tswork.data.collection import Collection, DataInfo, Part  # noqa: E402
from tswork.data.samplers import Uniform  # noqa: E402
from tswork.encoders.windows import encode_last_windows  # noqa: E402
from tswork.methods.base import Method, build_model  # noqa: E402

ON_DEVICE = {"kernel", "gpu_memcpy", "gpu_memset"}
"""Categories of a profiler's trace that are work of the device."""
WARM_UP = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=64, help="windows a batch")
    parser.add_argument("--length", type=int, default=256, help="steps of a window")
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--sequences", type=int, default=4096)
    parser.add_argument("--time", type=int, default=1024, help="steps of a sequence; windows are cropped from it")
    parser.add_argument(
        "--steps", type=int, default=100, help="training steps; the loader alone makes ten times as many"
    )
    parser.add_argument("--windows", type=int, default=17_420, help="windows of the series that is encoded")
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(machine())
    if ABSENT:
        print(f"stand-ins for {', '.join(ABSENT)}")
    backends: tuple[Backend, ...] = ("device", "pinned", "mapped")
    if device.type == "cpu":
        backends = ("device", "mapped")
        print(
            "no CUDA device: the backends of the CPU are measured, pinned is not, and there is no device to keep busy"
        )
    part = noise(options.sequences, options.time, options.channels)
    print(f"batches of {options.batch} windows of {options.length} x {options.channels}")
    with TemporaryDirectory() as folder:
        loaders = {
            backend: batches(part, options, backend, device, Path(folder) / "values.npy") for backend in backends
        }
        measure_loaders(loaders, 10 * options.steps)
        measure_training(part, loaders, options.steps)
    measure_encoding(options.windows, options.channels, device)


def measure_loaders(loaders: Mapping[Backend, Batches], steps: int) -> None:
    """Batches and nothing else."""
    print("\nloader alone")
    for backend, loader in loaders.items():
        seconds = per_step(lambda step, loader=loader: take(loader, step), steps, loader.device)  # type: ignore[misc]
        windows = loader.sampler.batch_size / seconds
        print(f"{backend:8} {windows:12,.0f} windows/s {1e6 * seconds:10.1f} us a batch")


def measure_training(part: Part, loaders: Mapping[Backend, Batches], steps: int) -> None:
    """Steps of TS2Vec on each backend's batches; all see the same ones."""
    print("\ntraining TS2Vec")
    info = DataInfo.of(part)
    for backend, loader in loaders.items():
        method: Method[Any] = configure("method", "ts2vec").build()
        train = TrainingStep(method, build_model(method, info, seed=0).to(loader.device))

        def step(number: int, train: TrainingStep = train, loader: Batches = loader) -> None:
            epoch, within = divmod(number, loader.steps(0))
            train(loader.at(epoch, within), Context(loader.device).at(epoch, within))

        seconds = per_step(step, steps, loader.device)
        shown = f"{backend:8} {loader.sampler.batch_size / seconds:12,.0f} windows/s {1e3 * seconds:10.2f} ms a step"
        if loader.device.type == "cuda":
            shown += f"   busy {device_seconds(step, steps) / steps / seconds:6.1%}"
        print(shown)


def measure_encoding(windows: int, channels: int, device: torch.device) -> None:
    """The last frames of all windows of 201 steps of one series."""
    print("\nencoding")
    info = DataInfo(tuple(f"channel_{number}" for number in range(channels)))
    series = torch.randn(windows, channels)
    for name in ("dilated_conv", "causal_mixture"):
        encoder = configure("encoder", name).build(info).to(device)
        seconds = per_step(lambda _, encoder=encoder: encode_last_windows(encoder, series), 3, device, warm_up=1)  # type: ignore[misc]
        print(f"{name:16} {windows / seconds:12,.0f} windows/s of 201 steps to {encoder.dim} features")


def per_step(step: Callable[[int], object], steps: int, device: torch.device, *, warm_up: int = WARM_UP) -> float:
    """Seconds a step, the device waited for at both ends."""
    for number in range(warm_up):
        step(number)
    wait_for(device)
    started = time.perf_counter()
    for number in range(warm_up, warm_up + steps):
        step(number)
    wait_for(device)
    return (time.perf_counter() - started) / steps


def device_seconds(step: Callable[[int], object], steps: int) -> float:
    """Time in which the device works on these steps, from torch's profiler."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        for number in range(WARM_UP, WARM_UP + steps):
            step(number)
        torch.cuda.synchronize()
    with TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(trace))
        return busy_seconds(json.loads(trace.read_text())["traceEvents"])


def busy_seconds(events: Iterable[Mapping[str, Any]]) -> float:
    """Length of the union of all work of the device in a trace (times in microseconds)."""
    work = sorted((event["ts"], event["ts"] + event["dur"]) for event in events if event.get("cat") in ON_DEVICE)
    busy, reached = 0.0, float("-inf")
    for start, stop in work:
        busy += max(0.0, stop - max(start, reached))
        reached = max(reached, stop)
    return busy / 1e6


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def take(loader: Batches, step: int) -> None:
    loader.at(*divmod(step, loader.steps(0)))


def batches(part: Part, options: argparse.Namespace, backend: Backend, device: torch.device, scratch: Path) -> Batches:
    sampler = Uniform(len(part), batch_size=options.batch, seed=0, drop_last=True)
    return Batches(part, sampler=sampler, crop=Crop(options.length), device=device, backend=backend, scratch=scratch)


def noise(sequences: int, time: int, channels: int) -> Part:
    """Noise of that shape."""
    values = np.random.default_rng(0).standard_normal((sequences, time, channels), dtype=np.float32)
    return Part.whole(Collection.from_array(values))


if __name__ == "__main__":
    main()
