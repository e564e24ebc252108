"""Features for forecasting: the last frame of every window of a series, against whole forward passes over the same windows.

    TSWORK_DATA=... python -m benchmarks.windows [--window 201] [--dim 320] [--plain 512] [--growth]

ETTh1 univariate (or noise of its shape): 17,420 windows of 201 steps and eight channels, one a step, each encoded by itself by
an untrained `dilated_conv` of the published size. The plain form encodes batches of whole windows and keeps their last frames;
it gets a shorter series (`--plain` windows), and the ratio compares times for that one. Memory is the largest of the process.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.electricity import univariate
from benchmarks.timing import best_times, machine
from tswork.data.collection import DataInfo
from tswork.encoders.base import Encoder
from tswork.encoders.dilated_conv import DilatedConv, DilatedConvConfig
from tswork.encoders.windows import encode_last_windows
from tswork.random import seeded

BATCH = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--window", type=int, default=201, help="steps of a window")
    parser.add_argument("--dim", type=int, default=320, help="width of a feature")
    parser.add_argument("--plain", type=int, default=512, help="windows that the plain form encodes")
    parser.add_argument("--growth", action="store_true", help="also how time grows with windows and series")
    options = parser.parse_args()
    print(machine())
    part, name = univariate()
    series = part.collection.values
    encoder = untrained(series.shape[1], options.dim)
    spent = best_times({"all": lambda: encode_last_windows(encoder, series, window=options.window)})["all"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\n{name}: {len(series):,} windows of {options.window} steps to {options.dim} features")
    print(
        f"all windows          {spent:8.2f} s, {1e6 * spent / len(series):6.0f} us a window, largest memory {peak:.2f} GiB"
    )
    compare(encoder, series[: options.plain], options.window)
    if options.growth:
        grow(encoder, series, options.window)


def compare(encoder: DilatedConv, series: Tensor, window: int) -> None:
    """Both forms on a short series, and how far apart their features are."""
    rivals: dict[str, Callable[[], Tensor]] = {
        "ours": lambda: encode_last_windows(encoder, series, window=window),
        "whole forward passes": lambda: forward_passes(encoder, series, window),
    }
    apart = float((rivals["ours"]() - rivals["whole forward passes"]()).abs().max())
    best = best_times(rivals, seconds=5.0)
    print(f"\n{len(series)} windows")
    for name, spent in best.items():
        print(f"{name:20} {spent:8.3f} s, {1e6 * spent / len(series):6.0f} us a window, {spent / best['ours']:5.1f}x")
    print(f"largest difference   {apart:8.1e}")


@torch.no_grad()
def forward_passes(encoder: Encoder, series: Tensor, window: int) -> Tensor:
    """Each window whole through the encoder, in batches; the last frame is kept."""
    padded = torch.cat([series.new_full((window - 1, series.shape[1]), torch.nan), series])
    windows = padded.unfold(0, window, 1).transpose(1, 2)
    return torch.cat([encoder(chunk.contiguous()).values[:, -1] for chunk in windows.split(BATCH)])


def grow(encoder: DilatedConv, series: Tensor, window: int) -> None:
    """Microseconds a window as windows grow, and seconds as there are more of them."""
    print("\nmicroseconds a window")
    for length in (51, 101, 201, 401, 801):
        some = series[:4096]
        spent = best_times({"ours": lambda some=some, n=length: encode_last_windows(encoder, some, window=n)})["ours"]  # type: ignore[misc]
        print(f"windows of {length:4} steps {1e6 * spent / len(some):8.0f}")
    print("\nseconds")
    for count in (1024, 4096, 16384):
        some = series[:count]
        spent = best_times({"ours": lambda some=some: encode_last_windows(encoder, some, window=window)})["ours"]  # type: ignore[misc]
        print(f"{count:6} windows {spent:8.3f}")


def untrained(channels: int, dim: int) -> DilatedConv:
    """The published encoder before training, ready to judge."""
    info = DataInfo(tuple(f"channel_{number}" for number in range(channels)))
    with seeded(0):
        encoder = DilatedConv(DilatedConvConfig(dim=dim), info)
    encoder.eval()
    return encoder


if __name__ == "__main__":
    main()
