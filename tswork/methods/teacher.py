"""A teacher: the model as it was at the end of the previous task, which learns nothing any more.

It is a copy of the whole model with its heads, in evaluation mode, taken when a task begins (a resumed training takes the same one,
for it begins every task again). What it makes of samples that do not change is made once a task and looked up.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tswork.context import Context
from tswork.data.batches import Batches
from tswork.data.collection import Part
from tswork.data.samplers import ByLength
from tswork.methods.model import Model, evaluating


def teacher_of(model: Model) -> Model:
    """A frozen copy of a model."""
    teacher = copy.deepcopy(model).eval()
    for parameter in teacher.parameters():
        parameter.requires_grad_(False)
        parameter.grad = None
    return teacher


def looked_up(
    teacher: Model, part: Part, context: Context, read: Callable[[Tensor, Tensor | None], Float[Tensor, "batch width"]]
) -> Float[Tensor, "span width"]:
    """What `read` makes of each sequence of a part (values and lengths given), in the part's order, on the device."""
    sampler = ByLength(part.lengths, steps=teacher.encoder.steps_at_once, equal=not teacher.encoder.padding_invariant)
    batches = Batches(part, sampler=sampler, device=context.device)
    order, found = [], []
    with evaluating(teacher):
        for step in range(batches.steps(0)):
            batch = batches.at(0, step)
            order.append(sampler.at(0, step))
            found.append(read(batch.x, batch.unequal_lengths))
    place: Int[Tensor, "span"] = torch.cat(order).argsort().to(context.device)
    return torch.cat(found)[place]
