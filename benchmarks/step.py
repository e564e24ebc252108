"""One training step as the training loop makes it, without recording, checkpoints and looks at the clock."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from tswork.context import Context
from tswork.data.batches import Batch
from tswork.methods.base import Method
from tswork.methods.model import Model
from tswork.training.averaging import WeightAverage


class TrainingStep:
    """The update of a method that makes one a step, its optimiser, and the mean of all iterates."""

    def __init__(self, method: Method[Any], model: Model) -> None:
        self.method = method
        self.model = model.train()
        self.optimiser = method.optimisers(model)["model"]
        self.average = WeightAverage(model)

    def __call__(self, batch: Batch, context: Context) -> Tensor:
        """Make the step and give its loss, which nobody has waited for."""
        (update,) = self.method.updates(self.model, batch, context)
        loss = update.loss
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        self.average.update()
        return loss.detach()
