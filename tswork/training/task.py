"""The state of training on one task: position, optimisers, averaging and selection, and how it is saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from tswork.context import Context
from tswork.data.batches import Batches
from tswork.data.collection import Part
from tswork.errors import DataInvalid, Problem
from tswork.methods.base import Method
from tswork.methods.model import Model
from tswork.methods.weights import load_changing_weights
from tswork.training.averaging import WeightAverage
from tswork.training.checkpoints import Snapshot
from tswork.training.selection import Selection


@dataclass
class Task:
    """One task under way. `done` counts its steps; `before` counts those of the tasks before it."""

    index: int
    part: Part
    context: Context
    batches: Batches
    total: int
    before: int
    optimisers: Mapping[str, Optimizer]
    schedulers: Mapping[str, LRScheduler]
    average: WeightAverage | None
    selection: Selection
    best: dict[str, Tensor] | None = None
    epoch: int = 0
    step: int = 0
    done: int = 0

    @staticmethod
    def start(
        method: Method[Any], model: Model, index: int, part: Part, context: Context, *, before: int, validates: bool
    ) -> Task:
        """A task at its first step. Raises `DataInvalid` when its data do not suit or give no batches."""
        method.check(part)
        batches = method.batches(model, part, context)
        if batches.steps(0) == 0:
            fault = Problem("the training part gives no batch", remedy="Check the split and `batch_size`.")
            raise DataInvalid([fault])
        config = method.config
        optimisers = method.optimisers(model)
        total = method.steps(part, batches)
        return Task(
            index=index,
            part=part,
            context=context,
            batches=batches,
            total=total,
            before=before,
            optimisers=optimisers,
            schedulers=method.schedulers(optimisers, total),
            average=WeightAverage(model, after=method.average_after(total)) if config.averaging == "mean" else None,
            selection=Selection(method.monitored(index) if validates else None, patience=config.patience),
        )

    @property
    def over(self) -> bool:
        """Whether its budget is spent or its patience is."""
        return self.done >= self.total or self.selection.exhausted

    @property
    def position(self) -> int:
        """Steps done since training began, earlier tasks included."""
        return self.before + self.done

    def advance(self) -> bool:
        """Count a step; True when it was the last of its epoch."""
        self.done += 1
        self.step += 1
        if self.step < self.batches.steps(self.epoch):
            return False
        self.epoch, self.step = self.epoch + 1, 0
        return True

    def prefix(self, optimiser: str) -> str:
        """What stands before the names of an optimiser's values: its name, when there are several."""
        return f"{optimiser}/" if len(self.optimisers) > 1 else ""

    def learning_rates(self) -> dict[str, float]:
        """The learning rate of each optimiser's first group."""
        return {
            f"{self.prefix(name)}lr": float(optimiser.param_groups[0]["lr"])
            for name, optimiser in self.optimisers.items()
        }

    def settle(self, model: Model) -> None:
        """Set the model to the weights that are judged: the best validated, else the mean, else the latest."""
        if self.best is not None:
            load_changing_weights(model, self.best, source="the best weights")
        elif self.average is not None:
            self.average.apply()

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes, without weights."""
        return {
            "before": self.before,
            "position": [self.epoch, self.step, self.done],
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
            "schedulers": {name: scheduler.state_dict() for name, scheduler in self.schedulers.items()},
            "selection": self.selection.state_dict(),
            "averaged": self.average.count if self.average is not None else None,
        }

    def load_state_dict(self, state: dict[str, Any], snapshot: Snapshot) -> None:
        """Go on from what `state_dict` gave, with the averaged and the best weights of the checkpoint."""
        self.epoch, self.step, self.done = state["position"]
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        for name, scheduler in self.schedulers.items():
            scheduler.load_state_dict(state["schedulers"][name])
        self.selection.load_state_dict(state["selection"])
        if self.average is not None:
            self.average.restore(snapshot.weights["mean"], state["averaged"])
        if self.selection.best_step is not None:
            self.best = dict(snapshot.kept[f"best-{self.selection.best_step}"])
