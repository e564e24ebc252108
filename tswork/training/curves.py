"""What training reports while it runs: curves thinned to about a thousand points, a watch for losses that are not
finite, and progress for the eyes. Values stay on the device until somebody reads them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import torch
from jaxtyping import Int
from torch import Tensor

from tswork.errors import TrainingDiverged
from tswork.methods.base import Update
from tswork.recorder import Recorder

POINTS = 1000
"""About as many points a curve gets at most."""
PROGRESS_SECONDS = 0.5

Progress = Callable[[int, int, Mapping[str, float]], None]
"""`progress(done, total, values)`: steps done, steps known so far, and the newest values worth showing."""


def update_values(
    update: Update, loss: Tensor, norm: Tensor | None, changed: Mapping[str, Tensor], *, prefix: str
) -> dict[str, Tensor]:
    """What an update shows, without gradients: `loss`, `terms/NAME` where there are several, the norm of the gradient
    before clipping, and what the method observed, also when it changed gradients."""
    values = {f"{prefix}loss": loss.detach()}
    if len(update.terms) > 1:
        values.update({f"{prefix}terms/{name}": term.detach() for name, term in update.terms.items()})
    if norm is not None:
        values[f"{prefix}gradient_norm"] = norm.detach()
    for name, value in {**(update.observed or {}), **changed}.items():
        values[prefix + name] = value.detach()
    return values


class FiniteWatch:
    """Keeps the values of recent steps and, when asked, looks at all of them in one transfer."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._recent: list[tuple[int, Tensor, dict[str, Tensor], Tensor]] = []

    def add(self, step: int, loss: Tensor, values: dict[str, Tensor], *, span: Int[Tensor, "batch 3"]) -> None:
        """Remember an update's loss, what it shows, and what its batch held (on the host)."""
        self._recent.append((step, loss.detach(), values, span))

    def fault(self) -> TrainingDiverged | None:
        """The first step since the last look whose loss is not finite, and forget all."""
        recent, self._recent = self._recent, []
        if not recent:
            return None
        finite = torch.stack([loss.isfinite() for _, loss, *_ in recent]).tolist()
        if all(finite):
            return None
        step, _, values, span = recent[finite.index(False)]
        terms = {name: float(value) for name, value in values.items()}
        batch = [(sequence, start, stop) for sequence, start, stop in span.tolist()]
        return TrainingDiverged(self._stage, step, terms, batch)


class Curves:
    """Hands a thinned choice of steps to the recorder, with learning rates and speed."""

    def __init__(self, recorder: Recorder, *, steps: int) -> None:
        self._recorder = recorder
        self._stride = max(1, -(-steps // POINTS))
        self._clock = time.perf_counter()
        self._counted = [0, 0]

    def wants(self, step: int) -> bool:
        """Whether a step (counted from 0) is on the curves."""
        return step % self._stride == 0

    def count(self, sequences: int) -> None:
        """One more step was made on so many sequences."""
        self._counted[0] += 1
        self._counted[1] += sequences

    def point(self, values: Mapping[str, float | Tensor], *, step: int) -> None:
        """One point on each curve, and the speed since the last."""
        now = time.perf_counter()
        seconds = max(now - self._clock, 1e-9)
        speed = {
            "speed/steps_per_second": self._counted[0] / seconds,
            "speed/sequences_per_second": self._counted[1] / seconds,
        }
        self._clock, self._counted = now, [0, 0]
        self._recorder.scalars({**values, **speed}, step=step)


class Ticker:
    """Calls a progress function now and then; only then a value is waited for."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._clock = 0.0
        self._done: int | None = None

    def tick(self, done: int, total: int, values: Mapping[str, float | Tensor], *, last: bool) -> None:
        """Show the position, the losses and the speed, at most every half second and at the end of a task."""
        now = time.perf_counter()
        if self._progress is None or (now - self._clock < PROGRESS_SECONDS and not last):
            return
        shown = {name: float(value) for name, value in values.items() if name.endswith("loss")}
        if self._done is not None:
            shown["steps_per_second"] = (done - self._done) / max(now - self._clock, 1e-9)
        self._clock, self._done = now, done
        self._progress(done, total, shown)
