"""Training of TS2Vec: our steps against the published form of the same steps, in the same process and by turns.

    TSWORK_DATA=... python -m benchmarks.ts2vec [--steps 20] [--losses] [--memory]

ETTh1 univariate as published: two pieces of 4,320 hours cropped to 3,000, encoder of 637,248 parameters and eight channels,
AdamW, mean of all iterates. Both sides see the same batches, crops and masks and start from the same weights. Ours is what
`tswork run` calls a step. The published form is written from the paper in the structure of the reference code: blocks one by
one, every similarity matrix whole, its triangles put together, a log-softmax over all of it, an averaged copy of the model
updated tensor by tensor, and the loss read every step. A step's time depends on its crops, so ratios are taken step by step.

`--losses` times the loss alone, forward and backward, as series grow. `--memory` trains each form in a process of its own and
prints the largest resident memory of each.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from benchmarks.electricity import training
from benchmarks.step import TrainingStep
from benchmarks.timing import best_times, machine
from tests.reference import encoders as plain_encoders
from tests.reference.ts2vec import published_hierarchical_contrast
from tswork.augment.mask import draw_mask
from tswork.augment.overlap import Crop, overlapping_crops
from tswork.config import configure
from tswork.context import Context
from tswork.data.batches import Batch, Batches
from tswork.data.collection import DataInfo
from tswork.encoders.dilated_conv import DilatedConv
from tswork.methods.base import Method, build_model
from tswork.methods.model import Model
from tswork.objectives.ts2vec import hierarchical_contrast


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--losses", action="store_true", help="also the loss alone at several lengths")
    parser.add_argument("--memory", action="store_true", help="also the largest resident memory of each form")
    parser.add_argument("--only", choices=sorted(FORMS), help="train this form alone and print its memory in MiB")
    options = parser.parse_args()
    if options.only:
        print(peak_of(options.only, options.steps))
        return
    print(machine())
    compare(options.steps)
    if options.losses:
        compare_losses()
    if options.memory:
        compare_memory(options.steps)


class Published:
    """The same step in the structure of the published code."""

    def __init__(self, method: Method[Any], model: Model) -> None:
        self.model = model.train()
        self.average = AveragedModel(model)
        self.average.update_parameters(model)
        self.optimiser = method.optimisers(model)["model"]

    def __call__(self, batch: Batch, context: Context) -> Tensor:
        lengths = batch.span[:, 2] - batch.span[:, 1]
        crops = overlapping_crops(batch.x, lengths, generator=context.host_generator("crops"))
        masks = context.generator("crops/masks")
        self.optimiser.zero_grad()
        z1, z2 = (crops.of(self.encode(crop, masks), crop) for crop in (crops.first, crops.second))
        loss = published_hierarchical_contrast(z1, z2)
        loss.backward()
        self.optimiser.step()
        self.average.update_parameters(self.model)
        return loss.detach()

    def encode(self, crop: Crop, masks: torch.Generator) -> Tensor:
        """Frames of a crop, with the steps hidden that ours hides."""
        encoder = self.model.encoder
        assert isinstance(encoder, DilatedConv)
        keep = draw_mask("binomial", crop.lengths, crop.x.shape[1], generator=masks)
        frames: Tensor = encoder.dropout(plain_encoders.dilated_conv(encoder, crop.x, keep))
        return frames


FORMS: dict[str, type[TrainingStep] | type[Published]] = {"ours": TrainingStep, "published": Published}


def compare(steps: int) -> None:
    """Both forms, step by step in turns."""
    batches, name, forms = prepared(*FORMS)
    spent: dict[str, list[float]] = {form: [] for form in forms}
    apart = 0.0
    for step in range(steps):
        losses = {}
        for form, side in forms.items():
            started = time.perf_counter()
            losses[form] = run_step(side, batches, step)
            spent[form].append(time.perf_counter() - started)
        apart = max(apart, abs(losses["ours"] / losses["published"] - 1))
    ratios = [published / ours for ours, published in zip(spent["ours"], spent["published"], strict=True)]
    print(f"\n{name}: {steps} training steps")
    for form, seconds in spent.items():
        print(f"{form:12} {sum(seconds):7.1f} s, {statistics.median(seconds):6.3f} s a step (median)")
    print(
        f"published / ours: {sum(spent['published']) / sum(spent['ours']):.2f} in all, {statistics.median(ratios):.2f} (median)"
    )
    print(f"largest relative difference of a loss: {apart:.1e}")


def prepared(*names: str) -> tuple[Batches, str, dict[str, TrainingStep | Published]]:
    """The batches, what to call them, and forms that start from the same weights."""
    part, name = training()
    info = DataInfo.of(part)
    method: Method[Any] = configure("method", {"uses": "ts2vec", "batch_size": 8}).build()
    models = {form: build_model(method, info, seed=0) for form in names}
    batches = method.batches(next(iter(models.values())), part, Context())
    return batches, name, {form: FORMS[form](method, model) for form, model in models.items()}


def run_step(side: TrainingStep | Published, batches: Batches, step: int) -> float:
    epoch, within = divmod(step, batches.steps(0))
    torch.manual_seed(step)  # dropout draws alike on both sides
    return float(side(batches.at(epoch, within), Context().at(epoch, within)))


def compare_losses() -> None:
    """Forward and backward of the loss alone, ours and with whole matrices."""
    print("\nloss alone, seconds forward and backward (ours, published, ratio)")
    for batch, time_steps in ((2, 500), (2, 1000), (2, 2000), (2, 3000), (8, 200), (8, 1000), (64, 200)):
        z1, z2 = torch.randn(2, batch, time_steps, 320).requires_grad_().unbind()
        rivals: dict[str, Callable[[], object]] = {
            form: lambda loss=loss, z1=z1, z2=z2: loss(z1, z2).backward(retain_graph=True)  # type: ignore[misc]
            for form, loss in (("ours", hierarchical_contrast), ("published", published_hierarchical_contrast))
        }
        best = best_times(rivals, seconds=3.0)
        ratio = best["published"] / best["ours"]
        print(f"batch {batch:3}, {time_steps:5} steps  {best['ours']:8.4f} {best['published']:8.4f} {ratio:6.2f}")


def compare_memory(steps: int) -> None:
    """The largest resident memory of either form, alone in its process."""
    print(f"\nlargest resident memory over {steps} steps")
    for form in FORMS:
        command = [sys.executable, "-m", "benchmarks.ts2vec", "--only", form, "--steps", str(steps)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        print(f"{form:12} {float(done.stdout) / 1024:6.2f} GiB")


def peak_of(form: str, steps: int) -> float:
    """Train a form and give the largest resident memory of this process, in MiB."""
    batches, _, forms = prepared(form)
    for step in range(steps):
        run_step(forms[form], batches, step)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
