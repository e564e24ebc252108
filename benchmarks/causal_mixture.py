"""AutoTCL's encoder: a training step and the features of windows, against the plain form of eight convolutions one by one.

    python -m benchmarks.causal_mixture [--batch 32] [--length 257] [--windows 2048] [--plain 32] [--memory]

The encoder has its published size (26,752,256 parameters for eight channels); series are noise. Training: two views forward
and backward, as one batch and one after the other. Evaluation: the last frame of every window of a series, `--windows` of them
by our form and `--plain` of them by whole forward passes; the ratio is of times a window. On a CPU, times are processor seconds
of all threads, so that what else the machine does counts little; on a GPU they are seconds by the clock. The plain form
(`tests/reference/encoders.py`) runs in the same process. It takes most of a minute a step on two CPU cores.

`--memory` makes a few whole training steps (AdamW, mean of iterates) in a process of its own for each form, and prints the
largest resident memory, or that of the GPU where there is one.

Runs where only torch, numpy, scipy and scikit-learn are installed, as `benchmarks/gpu.py` does.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import stand_ins

ABSENT = stand_ins.provide()

from benchmarks.timing import CLOCK, DEVICE, best_times, machine  # noqa: E402
from tests.reference import encoders as plain  # noqa: E402
from tswork.data.collection import DataInfo  # noqa: E402
from tswork.encoders.base import with_steps_before  # noqa: E402
from tswork.encoders.causal_mixture import CausalMixture, CausalMixtureConfig  # noqa: E402
from tswork.encoders.windows import encode_last_windows  # noqa: E402
from tswork.random import seeded  # noqa: E402
from tswork.training.averaging import WeightAverage  # noqa: E402

CHANNELS = 8
MEMORY_STEPS = 3

Views = Callable[[CausalMixture, Tensor, Tensor], tuple[Tensor, Tensor]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32, help="windows a training step")
    parser.add_argument("--length", type=int, default=257, help="steps of a training window")
    parser.add_argument("--window", type=int, default=201, help="steps of a window that is encoded")
    parser.add_argument("--windows", type=int, default=2048, help="windows of the series that our form encodes")
    parser.add_argument("--plain", type=int, default=32, help="windows that the plain form encodes")
    parser.add_argument("--least", type=int, default=2, help="runs of each form; the best counts")
    parser.add_argument("--memory", action="store_true", help="also the largest memory of each form in training")
    parser.add_argument("--only", choices=sorted(FORMS), help="train this form alone and print its memory in MiB")
    options = parser.parse_args()
    if options.only:
        print(peak_of(options.only, options.batch, options.length))
        return
    print(machine())
    if ABSENT:
        print(f"stand-ins for {', '.join(ABSENT)}")
    encoder = untrained()
    compare_training(encoder, options.batch, options.length, options.least)
    compare_windows(encoder, options.window, options.windows, options.plain, options.least)
    if options.memory:
        compare_memory(options.batch, options.length)


def as_one_batch(encoder: CausalMixture, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    one, other = encoder(torch.cat([first, second])).values.chunk(2)
    return one, other


def one_by_one(encoder: CausalMixture, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    return encoder(first).values, encoder(second).values


def plainly(encoder: CausalMixture, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    return plain.causal_mixture(encoder, first), plain.causal_mixture(encoder, second)


FORMS: dict[str, Views] = {"ours": as_one_batch, "ours, view by view": one_by_one, "plain": plainly}


def compare_training(encoder: CausalMixture, batch: int, length: int, least: int) -> None:
    """Two views forward and backward, by each form."""
    views = noise(2, batch, length, CHANNELS)
    gradients: dict[str, list[Tensor]] = {}

    def step(form: str) -> None:
        loss = loss_of(FORMS[form], encoder, *views)
        gradients[form] = list(torch.autograd.grad(loss, list(encoder.parameters())))

    best = best_times({form: partial(step, form) for form in FORMS}, seconds=0, least=least, clock=CLOCK)
    apart = max(relative(ours, theirs) for ours, theirs in zip(gradients["ours"], gradients["plain"], strict=True))
    print(f"\ntraining step, two views of {batch} windows of {length} x {CHANNELS}, forward and backward")
    for form, spent in best.items():
        print(f"{form:20} {spent:8.3f} s   plain / this {best['plain'] / spent:6.1f}")
    print(f"largest relative difference of a gradient {apart:.1e}")


def compare_windows(encoder: CausalMixture, window: int, count: int, few: int, least: int) -> None:
    """The last frames of windows by our form, and of fewer windows by whole forward passes."""
    series = noise(count, CHANNELS)
    apart = relative(encode_last_windows(encoder, series, window=window)[:few], passes(encoder, series[:few], window))
    forms: dict[str, Callable[[], Tensor]] = {
        "ours": lambda: encode_last_windows(encoder, series, window=window),
        "plain": lambda: passes(encoder, series[:few], window),
    }
    best = best_times(forms, seconds=0, least=least, clock=CLOCK)
    ours, theirs = best["ours"] / count, best["plain"] / few
    print(f"\nlast frame of every window of {window} steps")
    print(f"ours, {count:7,} windows {1e3 * ours:8.3f} ms a window, {1 / ours:10,.0f} windows/s")
    print(f"plain, {few:6,} windows {1e3 * theirs:8.3f} ms a window, {1 / theirs:10,.0f} windows/s")
    print(f"plain / ours {theirs / ours:.0f}   largest relative difference {apart:.1e}")


@torch.no_grad()
def passes(encoder: CausalMixture, series: Tensor, window: int) -> Tensor:
    """Each window whole through the plain form; the last frame is kept."""
    windows = with_steps_before(series, window - 1, torch.nan).unfold(0, window, 1).transpose(1, 2)
    return plain.causal_mixture(encoder, windows.contiguous())[:, -1]


def compare_memory(batch: int, length: int) -> None:
    """The largest memory of each form in training, alone in its process."""
    print(f"\nlargest memory over {MEMORY_STEPS} training steps (AdamW, mean of iterates)")
    for form in FORMS:
        command = [sys.executable, "-m", "benchmarks.causal_mixture", "--only", form]
        done = subprocess.run(
            [*command, "--batch", str(batch), "--length", str(length)], capture_output=True, text=True, check=True
        )
        print(f"{form:20} {float(done.stdout) / 1024:6.2f} GiB")


def peak_of(form: str, batch: int, length: int) -> float:
    """Train a form for a few steps and give the largest memory of this process, in MiB."""
    encoder = untrained().train()
    optimiser, average = torch.optim.AdamW(encoder.parameters()), WeightAverage(encoder)
    for _ in range(MEMORY_STEPS):
        optimiser.zero_grad(set_to_none=True)
        loss_of(FORMS[form], encoder, *noise(2, batch, length, CHANNELS)).backward()
        optimiser.step()
        average.update()
    if DEVICE.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return largest_resident()


def largest_resident() -> float:
    """Of this program, in MiB. What the system counts as usage of a process includes the program that started it, so Linux is
    asked for the memory itself."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def loss_of(form: Views, encoder: CausalMixture, first: Tensor, second: Tensor) -> Tensor:
    one, other = form(encoder, first, second)
    return -(one * other).mean()


def untrained() -> CausalMixture:
    """The published encoder before training."""
    info = DataInfo(tuple(f"channel_{number}" for number in range(CHANNELS)))
    with seeded(0):
        encoder = CausalMixture(CausalMixtureConfig(), info)
    return encoder.to(DEVICE)


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(DEVICE)


def relative(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


if __name__ == "__main__":
    main()
