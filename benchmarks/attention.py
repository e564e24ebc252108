"""A forward and a backward pass of the transformer, with and without dropout on the weights of attention.

    OMP_NUM_THREADS=1 python -m benchmarks.attention [--batch 32] [--steps 315]

With dropout the weights of every pair of frames have to be made and kept; without it they never are. Both alternate in one process, and
the best of each counts, in processor seconds; `--wall` counts by the clock.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch

from benchmarks.timing import best_times, machine
from tswork.data.collection import DataInfo
from tswork.encoders.transformer import Transformer, TransformerConfig
from tswork.random import seeded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32, help="sequences of a batch")
    parser.add_argument("--steps", type=int, nargs="+", default=[64, 315, 1000], help="steps of a sequence")
    parser.add_argument("--dim", type=int, default=64, help="width of a frame")
    parser.add_argument("--wall", action="store_true", help="by the clock")
    options = parser.parse_args()
    print(machine())
    for steps in options.steps:
        runs = {
            name: run_of(share, options.batch, steps, options.dim) for name, share in (("without", 0.0), ("with", 0.1))
        }
        spent = best_times(runs, clock=time.perf_counter if options.wall else time.process_time)
        print(
            f"{options.batch} x {steps} steps: {1000 * spent['without']:8.1f} ms without, {1000 * spent['with']:8.1f} ms with"
            f" dropout on weights: {spent['with'] / spent['without']:4.1f}x"
        )


def run_of(share: float, batch: int, steps: int, dim: int) -> Callable[[], None]:
    """One pass there and back."""
    with seeded(0):
        config = TransformerConfig(dim=dim, attention_dropout=share)
        encoder = Transformer(config, DataInfo(channels=("a", "b", "c")))
        x = torch.randn(batch, steps, 3)

    def run() -> None:
        encoder(x).values.sum().backward()
        encoder.zero_grad(set_to_none=True)

    return run


if __name__ == "__main__":
    main()
