"""The health panel during training: the same sample looked at about twenty times a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tswork.data.batches import Batch
from tswork.methods.base import Method
from tswork.methods.model import Model, evaluating
from tswork.random import derive, reseed
from tswork.recorder import Recorder
from tswork.training.health import BINS, examine, gradient_norms
from tswork.training.runtime import Runtime
from tswork.training.task import Task

if TYPE_CHECKING:
    import pandas as pd

READINGS = 20
"""Readings in a run, as far as `SPACING` allows."""
SPACING = 50
"""Steps from one reading to the next at least: two forward passes in so many steps cost about one per cent."""
SAMPLE = 64
"""Sequences looked at."""


class Panel:
    """Reads the embeddings of the first batch of a task, and the gradients of the step just made."""

    def __init__(self, method: Method[Any], recorder: Recorder, runtime: Runtime) -> None:
        self._method = method
        self._recorder = recorder
        self._runtime = runtime
        self._looks = type(method).views is not Method.views or type(method).health is not Method.health
        self._histograms: list[tuple[int, Tensor, Tensor]] = []

    def read_if_due(self, task: Task, model: Model) -> bool:
        """Report `health/...` after the first step and then at equal distances; whether it was time to."""
        distance = max(SPACING, -(-task.total // READINGS))
        if task.done != 1 and task.done % distance:
            return False
        step = task.position - 1
        values = {f"gradient_norm/{name}": norm for name, norm in gradient_norms(model).items()}
        views, more = self._looked(task, model) if self._looks else (None, {})
        values.update(more)
        if views is not None:
            health = examine(*views)
            values.update(health.scalars)
            self._histograms.append((step, health.positive, health.negative))
        self._recorder.scalars({f"health/{name}": value for name, value in values.items()}, step=step)
        return True

    def report_histograms(self) -> None:
        """Report all similarity histograms as the table `health/similarities`."""
        if self._histograms:
            self._recorder.table("health/similarities", self.histograms())

    def histograms(self) -> pd.DataFrame:
        """Columns step, similarity (the middle of a bin), positive and negative (shares of the pairs)."""
        import pandas as pd

        middles = ((torch.arange(BINS) + 0.5) * (2 / BINS) - 1).tolist()
        rows = [
            (step, *row)
            for step, positive, negative in self._histograms
            for row in zip(middles, positive.tolist(), negative.tolist(), strict=True)
        ]
        return pd.DataFrame(rows, columns=["step", "similarity", "positive", "negative"])

    def state_dict(self) -> dict[str, Any]:
        """All histograms so far."""
        return {"histograms": [(step, positive.cpu(), negative.cpu()) for step, positive, negative in self._histograms]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self._histograms = list(state["histograms"])

    def _looked(self, task: Task, model: Model) -> tuple[tuple[Tensor, Tensor] | None, Mapping[str, Tensor]]:
        """The views of the sample, and what else the method sees in it."""
        first = task.batches.at(0, 0)
        sample = Batch(
            first.x[:SAMPLE],
            first.lengths[:SAMPLE],
            first.span[:SAMPLE],
            {name: codes[:SAMPLE] for name, codes in first.codes.items()},
        )
        reseed(derive(task.context.seed, "panel"), self._runtime.device)
        with evaluating(model), self._runtime.autocast():
            views = self._method.views(model, sample, task.context)
            return views, self._method.health(model, sample, task.context)
