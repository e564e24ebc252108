"""COMET: a training step, its group loss and its masks, against the plain form of the same, in the same process and by turns.

    python -m benchmarks.comet [--batch 256] [--length 256] [--channels 16] [--plain-batch 256] [--least 2] [--memory] [--losses]

The encoder has its published size; series are noise, of nine samples a trial and several trials a patient. The plain form
(`tests/reference/comet.py`) makes eight passes through plain convolutions where ours makes three, draws masks by loops on the
host, compares identities as text and keeps every matrix of similarities whole. `--plain-batch` (and ours beside it) makes the
comparison of steps smaller where the plain form would take too long. On a CPU, times are processor seconds of all threads, so that
what else the machine does counts little; on a GPU they are seconds by the clock.

`--losses` compares the group losses alone. Beside them stand the matrix products that no form of them can do without.

`--memory` makes two steps in a process of its own for each form and prints the largest resident memory, with that of a process
that has built the model and made none, or that of the GPU where there is one.

Runs where only torch, numpy, scipy and scikit-learn are installed, as `benchmarks/gpu.py` does.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from benchmarks import stand_ins

ABSENT = stand_ins.provide()

from benchmarks.causal_mixture import largest_resident  # noqa: E402
from benchmarks.step import TrainingStep  # noqa: E402
from benchmarks.timing import CLOCK, DEVICE, best_times, machine  # noqa: E402
from tests.reference import comet as plain  # noqa: E402
from tswork.augment.mask import draw_channel_mask, draw_mask  # noqa: E402
from tswork.config import configure  # noqa: E402
from tswork.context import Context  # noqa: E402
from tswork.data.batches import Batch  # noqa: E402
from tswork.data.collection import DataInfo  # noqa: E402
from tswork.encoders.dilated_conv import DilatedConv  # noqa: E402
from tswork.methods.base import Method, build_model  # noqa: E402
from tswork.methods.model import Model  # noqa: E402
from tswork.objectives.comet import contrast_groups, group_contrast  # noqa: E402

DIM = 320
MEMORY_STEPS = 2
SAMPLES, TRIALS = 9, 2
"""Samples of a trial, and trials of a patient."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=256, help="samples a batch")
    parser.add_argument("--length", type=int, default=256, help="steps of a sample")
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--plain-batch", type=int, help="samples a batch where steps are compared; none: as --batch")
    parser.add_argument("--least", type=int, default=2, help="runs of each form; the best counts")
    parser.add_argument("--losses", action="store_true", help="compare the group losses alone")
    parser.add_argument("--memory", action="store_true", help="also the largest memory of each form in training")
    parser.add_argument("--only", choices=["nothing", *FORMS], help="train this form alone and print its memory in MiB")
    options = parser.parse_args()
    smaller = options.plain_batch or options.batch
    if options.only:
        print(peak_of(options.only, smaller, options.length, options.channels))
        return
    print(machine())
    if ABSENT:
        print(f"stand-ins for {', '.join(ABSENT)}")
    if options.losses:
        compare_group_losses(options.batch, options.length)
        return
    compare_steps(smaller, options.length, options.channels, options.least)
    compare_group_losses(options.batch, options.length)
    compare_masks(options.batch, options.length)
    if options.memory:
        compare_memory(smaller, options.length, options.channels)


class Published:
    """A step in the published structure, and an averaged copy of the model that is updated tensor by tensor."""

    def __init__(self, method: Method[Any], model: Model) -> None:
        self.model = model.train()
        self.average = AveragedModel(model)
        self.optimiser = method.optimisers(model)["model"]
        self.masks = torch.Generator().manual_seed(0)

    def __call__(self, batch: Batch, context: Context) -> Tensor:
        self.optimiser.zero_grad()
        loss = plain.published_step_loss(_encoder(self.model), batch.x, _groups(batch), generator=self.masks)
        loss.backward()
        self.optimiser.step()
        self.average.update_parameters(self.model)
        return loss.detach()


FORMS: dict[str, type[TrainingStep] | type[Published]] = {"ours": TrainingStep, "plain": Published}


def compare_steps(size: int, length: int, channels: int, least: int) -> None:
    """Whole steps of both forms, and the loss of both where nothing is drawn."""
    batch = noise(size, length, channels)
    forms = {name: partial(form(*untrained(channels)), batch, Context(device=DEVICE)) for name, form in FORMS.items()}
    best = best_times(forms, seconds=0, least=least, clock=CLOCK)
    method, model = untrained(channels, dropout=0.0, step_mask="all_true")
    with torch.no_grad():
        (update,) = method.updates(model, batch, Context(device=DEVICE))
        twin = plain.published_step_loss(
            _encoder(model), batch.x, _groups(batch), generator=torch.Generator(), dropout=0.0, hides=False
        )
    print(f"\ntraining step, {size} samples of {length} x {channels}")
    show(best, unit="s")
    print(f"relative difference of a loss without draws {abs(float(update.loss / twin) - 1):.1e}")


def compare_group_losses(size: int, length: int) -> None:
    """The loss of one level, forward and backward, from similarities, from vectors, and from whole representations."""
    group = _groups(noise(size, 1, 1))["trial"]
    views = {"ours": group_contrast, "products alone": products, "plain": plain.published_group_contrast}
    compare_losses(
        "similarities", {"ours": contrast_groups, "plain": plain.published_contrast_of}, group, (size, size), 1
    )
    compare_losses(f"vectors of {DIM}", views, group, (size, 1, DIM), 2)
    compare_losses(f"representations of {length} x {DIM}", views, group, (size, length, DIM), 2)


def products(h1: Tensor, h2: Tensor, group: Tensor) -> Tensor:
    """The matrix products that no form of the loss can do without: one forward, two backward."""
    return (h1.flatten(1) @ h2.flatten(1).T).sum()


def compare_losses(
    what: str, forms: dict[str, Callable[..., Tensor]], group: Tensor, shape: tuple[int, ...], count: int
) -> None:
    """All forms of one level, of so many inputs of a shape."""
    generator = torch.Generator().manual_seed(0)
    inputs = [(torch.rand(shape, generator=generator) * 2 - 1).to(DEVICE).requires_grad_() for _ in range(count)]

    def step(form: Callable[..., Tensor]) -> None:
        torch.autograd.grad(form(*inputs, group), inputs)

    best = best_times({name: partial(step, form) for name, form in forms.items()}, seconds=1, clock=CLOCK)
    print(f"\ngroup loss of {len(group)} samples from {what}, forward and backward")
    show({name: 1e3 * spent for name, spent in best.items()}, unit="ms")


def compare_masks(size: int, length: int) -> None:
    """One mask of spans, and one of single channels of a projection of 64."""
    lengths = torch.full((size,), length, device=DEVICE)
    generator, host = torch.Generator(DEVICE), torch.Generator()
    rivals: dict[str, Callable[[], Tensor]] = {
        "ours": lambda: draw_mask("continuous", lengths, length, generator=generator),
        "ours, channels": lambda: draw_channel_mask("channel_continuous", lengths, length, 64, generator=generator),
        "plain": lambda: plain.published_spans(size, length, generator=host),
    }
    best = best_times(rivals, seconds=1, clock=CLOCK)
    print(f"\nmask of spans for {size} samples of {length} steps")
    show({name: 1e3 * spent for name, spent in best.items()}, unit="ms")


def compare_memory(size: int, length: int, channels: int) -> None:
    """The largest memory of each form in training, alone in its process."""
    print(f"\nlargest memory over {MEMORY_STEPS} training steps of {size} samples of {length} x {channels}")
    shape = ["--plain-batch", str(size), "--length", str(length), "--channels", str(channels)]
    found = {}
    for form in ("nothing", *FORMS):
        command = [sys.executable, "-m", "benchmarks.comet", "--only", form, *shape]
        found[form] = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        print(f"{form:15} {found[form] / 1024:7.2f} GiB")
    ours, theirs = (found[form] - found["nothing"] for form in ("ours", "plain"))
    print(f"ours / plain {found['ours'] / found['plain']:.2f}, beyond nothing {ours / theirs:.2f}")


def peak_of(form: str, size: int, length: int, channels: int) -> float:
    """Train a form for a few steps and give the largest memory of this process, in MiB."""
    method, model = untrained(channels)
    batch = noise(size, length, channels)
    if form != "nothing":
        step = FORMS[form](method, model)
        for number in range(MEMORY_STEPS):
            step(batch, Context(device=DEVICE).at(0, number))
    return torch.cuda.max_memory_allocated() / 2**20 if DEVICE.type == "cuda" else largest_resident()


def untrained(channels: int, **options: Any) -> tuple[Method[Any], Model]:
    """The method with its published encoder before training."""
    method: Method[Any] = configure("method", {"uses": "comet", **options}).build()
    info = DataInfo(tuple(f"channel_{number}" for number in range(channels)))
    return method, build_model(method, info, seed=0).to(DEVICE)


def noise(size: int, length: int, channels: int) -> Batch:
    """A batch of noise; its samples are of trials and patients in turn, as whole trials in a batch are."""
    x = torch.randn(size, length, channels, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    lengths = torch.full((size,), length, device=DEVICE)
    span = torch.stack([torch.arange(size), torch.zeros(size).long(), torch.full((size,), length)], dim=1)
    trial = torch.arange(size, device=DEVICE) // SAMPLES
    return Batch(x, lengths, span, {"patient": trial // TRIALS, "trial": trial})


def _groups(batch: Batch) -> dict[str, Tensor]:
    return dict(batch.codes)


def _encoder(model: Model) -> DilatedConv:
    assert isinstance(model.encoder, DilatedConv)
    return model.encoder


def show(best: dict[str, float], *, unit: str) -> None:
    for name, spent in best.items():
        print(f"{name:15} {spent:10.3f} {unit}   plain / this {best['plain'] / spent:8.1f}")


if __name__ == "__main__":
    main()
