"""CoST's encoder: a training step and the features of windows, against the structure of the published code.

    python -m benchmarks.trend_seasonal [--batch 32] [--windows 1024] [--plain 32]

The encoder has its published size; series are noise of eight channels, windows have 201 steps. Training: what the losses look at
(the trend at one step, all seasonal frames) of one view, forward and backward. Evaluation: the last frame of every window of a
series, `--windows` of them by our form and `--plain` of them by whole forward passes; the ratio is of times a window. Times are
processor seconds of all threads. The published structure (`tests/reference/cost.py`) runs in the same process.
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import Tensor

from benchmarks.timing import best_times, machine
from tests.reference import cost as plain
from tswork.data.collection import DataInfo
from tswork.encoders.base import with_steps_before
from tswork.encoders.trend_seasonal import TrendSeasonal, TrendSeasonalConfig
from tswork.encoders.windows import encode_last_windows
from tswork.random import seeded

CHANNELS = 8
WINDOW = 201


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32, help="windows a training step")
    parser.add_argument("--windows", type=int, default=1024, help="windows of the series that our form encodes")
    parser.add_argument("--plain", type=int, default=32, help="windows that the published structure encodes")
    parser.add_argument("--least", type=int, default=2, help="runs of each form; the best counts")
    options = parser.parse_args()
    print(machine())
    with seeded(0):
        encoder = TrendSeasonal(TrendSeasonalConfig(dropout=0.0), DataInfo(tuple("abcdefgh")))
    compare_training(encoder, options.batch, options.least)
    compare_windows(encoder, options.windows, options.plain, options.least)


def compare_training(encoder: TrendSeasonal, batch: int, least: int) -> None:
    """One view forward and backward, by both forms."""
    x, at = noise(batch, WINDOW, CHANNELS), torch.full((batch,), WINDOW // 2)
    gradients: dict[str, list[Tensor]] = {}

    def ours() -> None:
        parts = encoder.parts(x, at)
        step("ours", parts.trend, parts.seasonal)

    def published() -> None:
        trend, seasonal = plain.published(encoder, x).chunk(2, dim=2)
        step("published", trend[:, WINDOW // 2], seasonal)

    def step(form: str, trend: Tensor, seasonal: Tensor) -> None:
        loss = trend.square().mean() + seasonal.square().mean()
        gradients[form] = list(torch.autograd.grad(loss, list(encoder.parameters())))

    best = best_times({"ours": ours, "published": published}, seconds=0, least=least, clock=time.process_time)
    apart = max(relative(*pair) for pair in zip(gradients["ours"], gradients["published"], strict=True))
    print(f"\none view of {batch} windows, forward and backward")
    print(f"ours {best['ours']:.3f} s, published {best['published']:.3f} s: {best['published'] / best['ours']:.1f}x")
    print(f"largest relative difference of a gradient {apart:.1e}")


def compare_windows(encoder: TrendSeasonal, count: int, few: int, least: int) -> None:
    """The last frames of windows by our form, and of fewer windows by whole forward passes."""
    series = noise(count, CHANNELS)
    forms = {
        "ours": lambda: encode_last_windows(encoder, series, window=WINDOW),
        "published": lambda: passes(encoder, series[:few]),
    }
    apart = relative(forms["ours"]()[:few], forms["published"]())
    best = best_times(forms, seconds=0, least=least, clock=time.process_time)
    ours, theirs = best["ours"] / count, best["published"] / few
    print("\nlast frame of every window")
    print(f"ours {1e3 * ours:.3f} ms, published {1e3 * theirs:.3f} ms a window: {theirs / ours:.0f}x")
    print(f"largest relative difference {apart:.1e}")


@torch.no_grad()
def passes(encoder: TrendSeasonal, series: Tensor) -> Tensor:
    """Each window whole through the published structure; the last frame is kept."""
    windows = with_steps_before(series, WINDOW - 1, torch.nan).unfold(0, WINDOW, 1).transpose(1, 2)
    return plain.published(encoder, windows.contiguous())[:, -1]


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


if __name__ == "__main__":
    main()
