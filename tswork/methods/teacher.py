"""A teacher: the model as it was at the end of the previous task, which learns nothing any more.

It is a copy of the whole model with its heads, in evaluation mode, taken when a task begins (a resumed training takes the same one,
for it begins every task again). What it makes of samples that do not change is made once a task and looked up; of samples that the
student sees changed, it hears the same view in the step itself, those of the memory alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tswork.augment.base import View
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import Part
from tswork.data.rehearsal import MEMORY_ROW
from tswork.methods.embedding import by_length
from tswork.methods.model import Model

T = TypeVar("T")


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
    found, place = in_batches(teacher, part, context, lambda batch: read(batch.x, batch.unequal_lengths))
    return torch.cat(found)[place.to(context.device)]


def in_batches(
    model: Model,
    part: Part,
    context: Context,
    read: Callable[[Batch], T],
    *,
    columns: tuple[str, ...] = (),
    most: int | None = None,
) -> tuple[list[T], Int[Tensor, "span"]]:
    """What `read` makes of a part's sequences, batch after batch, and where each of them stands among all rows of these.

    In evaluation mode and without gradients, in batches of similar length and of at most so many sequences; `columns` are the codes
    that they carry.
    """
    found, order = [], []
    for rows, batch in by_length(model, part, context, most=most, columns=columns):
        found.append(read(batch))
        order.append(rows)
    return found, torch.cat(order).argsort()


def memory_places(batch: Batch) -> Int[Tensor, "old"]:
    """Where samples of the memory stand in a batch, on the host, without waiting for the device."""
    return torch.nonzero(batch.on_host(MEMORY_ROW) >= 0).flatten()


def chosen(batch: Batch, view: View, places: Int[Tensor, "some"]) -> tuple[Batch, View]:
    """Some samples of a batch, at places that are known on the host, and of a view of it. Padding stays as it is."""
    there = places.to(batch.x.device, non_blocking=True)
    codes = {column: values[there] for column, values in batch.codes.items()}
    planned = {column: values[places] for column, values in batch.planned.items()}
    few = Batch(batch.x[there], batch.lengths[there], batch.span[places], codes, planned)
    keep = None if view.keep is None else view.keep[there]
    # What a batch and its view share tells that nothing was cut.
    lengths = few.lengths if view.lengths is batch.lengths else view.lengths[there]
    return few, replace(view, x=view.x[there], lengths=lengths, keep=keep)
