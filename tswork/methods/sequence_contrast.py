"""What methods share that contrast the sequences of a batch with one another: TS-TCC, CLOCS, TF-C and Mixing-up.

A batch holds whole sequences or, with `window`, a random window of each (a long series then gives as many items as it has
windows); each sequence comes once an epoch, and a smaller last batch is left out. A method says how a batch becomes
vectors that are compared; data of which no batch holds two sequences are refused.

In several processes what is compared is gathered from all, with gradients, so that the loss is that of the whole batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeVar

import torch
from jaxtyping import Int
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Optimizer

from tswork.augment.base import Augmentation, View, changed_by
from tswork.config import Configured, Uses, configure
from tswork.context import Context
from tswork.data.batches import Batch, Batches, Crop
from tswork.data.collection import Part
from tswork.encoders.pooling import Pooling
from tswork.methods.base import Method, MethodConfig, check_company, parameter_groups, sequence_batches
from tswork.methods.model import Model
from tswork.training.optimisers import Adam


class SequenceContrastConfig(MethodConfig):
    encoder: Annotated[Configured, Uses("encoder")] = Field(
        default_factory=lambda: configure("encoder", "dilated_conv"), description="what is trained"
    )
    window: int | None = Field(
        default=None, ge=2, description="train on random windows of this many steps; none: on whole sequences"
    )
    pooling: Pooling = Field(default="max", description="from frames to one vector a sequence")


C = TypeVar("C", bound=SequenceContrastConfig)


class SequenceContrast(Method[C]):
    """Batches of sequences, or of windows of them, that are contrasted with one another."""

    def batches(self, model: Model, part: Part, context: Context) -> Batches:
        window = self.read_steps
        batches = sequence_batches(
            part if window is None else part.pieces(window),
            encoder=model.encoder,
            context=context,
            batch_size=self.config.batch_size,
            drop_last=True,
            columns=self.columns,
            crop=None if window is None else Crop(window),
        )
        check_company(batches)
        return batches

    @property
    def read_steps(self) -> int | None:
        """Steps that are read of each sequence; None: all."""
        return self.config.window

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the table whose codes a batch carries."""
        return ()


def changed_view(batch: Batch, changes: Iterable[Augmentation[Any]], generator: torch.Generator) -> View:
    """A batch after several changes."""
    return changed_by(changes, View(batch.x, batch.lengths), generator=generator)


def padding_of(view: View, batch: Batch) -> Int[Tensor, "batch"] | None:
    """The lengths of a view where it may hold padding, else None."""
    return batch.unequal_lengths if view.lengths is batch.lengths else view.lengths


def projection(wide: int, hidden: int, narrow: int) -> nn.Sequential:
    """A head of two layers, used in training only."""
    return nn.Sequential(nn.Linear(wide, hidden), nn.ReLU(), nn.Linear(hidden, narrow))


def adam(model: Model, config: MethodConfig, *, betas: tuple[float, float]) -> Mapping[str, Optimizer]:
    """Adam over all of a model, its weight decay added to the gradient."""
    rate, decay = config.learning_rate, config.weight_decay
    return {"model": Adam(parameter_groups(model, config), lr=rate, betas=betas, weight_decay=decay)}
