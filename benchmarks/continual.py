"""Steps of continual methods in a later task against those of plain replay, on one batch of sound, in one process and by turns.

    python -m benchmarks.continual [--answer text] [--batch 32] [--from-memory 8] [--clips 96] [--seconds 3] [--least 4]

Clips are noise of a third of `--seconds` to all of it at 16 kHz, in four classes of which two are in the memory, each with a text of
random words; the encoder is `conformer_small` behind log-mel frames, the decoder of four layers. All methods keep the same samples and
see the same batch, with the loss, backward pass, optimiser and averaging of a real step. Nothing is trained, and the end is made so
unlikely that what a teacher writes has as many tokens as the data allow. What a method makes once a task, before the first step, has a
column of its own. On a CPU, times are processor seconds of all threads; on a GPU they are seconds by the clock.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.step import TrainingStep
from benchmarks.timing import CLOCK, DEVICE, best_times, machine, wait
from tswork.config import configure
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import Collection, DataInfo, Part
from tswork.data.rehearsal import MEMORY_ROW
from tswork.data.tasks_spec import TasksSpec
from tswork.data.text_spec import TextSpec
from tswork.methods.base import Method, build_model
from tswork.methods.model import Model
from tswork.text.tokenizer import END
from tswork.text.writing import decoder_of

RATE = 16_000
CLASSES = 4
WORDS = ["please", "turn", "the", "light", "of", "kitchen", "and", "hall", "on", "off", "now", "then", "up", "down"]
RIVALS: dict[str, dict[str, Any]] = {
    "er": {"uses": "er"},
    "coconut": {"uses": "coconut"},
    "coconut, sequences": {"uses": "coconut", "sequence_weight": 1.0},
    "sequence_kd": {"uses": "sequence_kd"},
    "audio_kd": {"uses": "audio_kd"},
    "token_kd": {"uses": "token_kd"},
    "derpp": {"uses": "derpp"},
}
SAME: dict[str, Any] = {"selection": "random", "pooling": "mean"}
"""Options that make all methods keep and see the same."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answer", choices=["class", "text"], default="text")
    parser.add_argument("--batch", type=int, default=32, help="clips a batch")
    parser.add_argument("--from-memory", type=int, default=8, help="those of them that are of the memory")
    parser.add_argument("--clips", type=int, default=96, help="clips in all, half of them new")
    parser.add_argument("--memory", type=int, default=32, help="clips that are kept, half of them in the second task")
    parser.add_argument("--seconds", type=float, default=3.0, help="the longest clip")
    parser.add_argument("--dim", type=int, default=144, help="width of encoder and decoder")
    parser.add_argument("--layers", type=int, default=4, help="layers of each")
    parser.add_argument("--least", type=int, default=4, help="steps of each method; the best counts")
    options = parser.parse_args()
    print(machine())
    part = clips(options.clips, options.seconds)
    rivals = {name: given for name, given in RIVALS.items() if options.answer == "text" or "sequence" not in name}
    steps = {name: LaterTask(part, {**given, **SAME}, options) for name, given in rivals.items()}
    best = best_times(dict(steps), seconds=0, least=options.least, clock=CLOCK)
    show(steps, best)


class LaterTask:
    """A method in its second task, of which a call makes one step."""

    def __init__(self, part: Part, given: dict[str, Any], options: argparse.Namespace) -> None:
        self._method, model = untrained(part, given, options)
        self._context = Context(device=DEVICE)
        first, second = self._method.tasks(part)
        self._method.begin(model, 0, first, self._context)
        self._method.batches(model, first, self._context)
        self._method.finish(model, 0, first, self._context)
        began = CLOCK()
        self._method.begin(model, 1, second, self._context)
        batches = self._method.batches(model.to(DEVICE), second, self._context)
        wait()
        self.once = CLOCK() - began
        """Seconds of what is made once a task."""
        self.batch: Batch = batches.at(0, 0)
        self._step: Callable[..., object] = TrainingStep(self._method, model)

    def __call__(self) -> None:
        self._step(self.batch, self._context)


def untrained(part: Part, given: dict[str, Any], options: argparse.Namespace) -> tuple[Method[Any], Model]:
    """A method and its model."""
    small = {"dim": options.dim, "layers": options.layers}
    block = {
        "encoder": {"uses": "conformer_small", **small},
        "decoder": {**small, "heads": 4},
        "answer": options.answer,
        "memory": options.memory,
        "batch_size": options.batch,
        "from_memory": options.from_memory,
        **given,
    }
    method: Method[Any] = configure("method", block).build()
    model = build_model(method, DataInfo.of(part), seed=0).to(DEVICE)
    if options.answer == "text":
        with torch.no_grad():
            decoder_of(model).out.bias[END] = -100.0
    return method, model


def clips(count: int, longest: float) -> Part:
    """Noise of unequal length with texts of ten words."""
    random = np.random.default_rng(0)
    lengths = random.permutation(np.linspace(longest / 3, longest, count) * RATE).astype(int)
    sounds = [0.1 * random.normal(size=(length, 1)).astype(np.float32) for length in lengths]
    said = [" ".join(random.choice(WORDS, size=10)) for _ in range(count)]
    table = pd.DataFrame({"label": [f"intent{number % CLASSES}" for number in range(count)], "said": said})
    collection = Collection.from_sequences(
        sounds,
        table=table,
        label="label",
        rate=float(RATE),
        tasks=TasksSpec(step=CLASSES // 2),
        text=TextSpec(transcript="said", vocabulary=100, longest=30),
    )
    return Part.whole(collection)


def show(steps: dict[str, LaterTask], best: dict[str, float]) -> None:
    """A line a method, beside replay."""
    batch = steps["er"].batch
    seconds, old = float(batch.lengths.sum()) / RATE, int((batch.codes[MEMORY_ROW] >= 0).sum())
    print(f"\n{len(batch)} clips of {seconds:.0f} s in all, {old} of them of the memory")
    for name, spent in best.items():
        once = steps[name].once - steps["er"].once
        print(f"{name:20} step {spent:7.3f} s   this / er {spent / best['er']:5.2f}   once a task {once:7.3f} s more")


if __name__ == "__main__":
    main()
