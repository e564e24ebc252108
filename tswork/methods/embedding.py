"""One vector, the logits of a head, or a text for every item of a part, in batches of bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tswork.context import Context
from tswork.data.batches import Batch, Batches
from tswork.data.collection import Part
from tswork.data.locating import named
from tswork.data.samplers import ByLength
from tswork.encoders.pooling import Pooling, pooled_dim
from tswork.errors import ModelUnfit
from tswork.methods.model import Model, evaluating
from tswork.wording import counted

HYPOTHESES_AT_ONCE = 256
"""Texts that are written at once, of which a decoder keeps what it knows of every token."""


def embed_part(
    model: Model, part: Part, context: Context, *, pooling: Pooling | None = None, steps: int | None = None
) -> Float[Tensor, "item dim"]:
    """The embeddings of a part's spans in their order, float32 on the CPU; `pooling=None` takes the model's own.

    `steps` bounds a batch, padding included (None: as many as the encoder takes at once).
    """
    width = pooled_dim(model.encoder, pooling or model.pooling)
    return _read(model, part, context, partial(model.embed, pooling=pooling), width, steps)


def embedding_table(
    part: Part, embedded: Float[np.ndarray, "item dim"], *, places: Mapping[str, np.ndarray] | None = None
) -> pd.DataFrame:
    """Embeddings (`e0`, `e1`, ...) behind the table of their part, and `places` before it.

    A column of the table that has the name of one of these gets `_` behind it.
    """
    numbers = pd.DataFrame(embedded.astype(np.float32), columns=[f"e{column}" for column in range(embedded.shape[1])])
    before = pd.DataFrame(places or {}, index=numbers.index)
    table, taken = part.table.reset_index(drop=True), {*before, *numbers}
    for name in taken.intersection(table):
        free = f"{name}_"
        while free in taken or free in table:
            free += "_"
        table = table.rename(columns={name: free})
    return pd.concat([before, table, numbers], axis=1)


def classify_part(
    model: Model, part: Part, context: Context, *, steps: int | None = None
) -> Float[Tensor, "item class"]:
    """The logits of a model's own head for a part's spans in their order, float32 on the CPU. Raises `ModelUnfit` without one."""
    return _read(model, part, context, model.classify, len(model.info.classes), steps)


def transcribe_part(model: Model, part: Part, context: Context, *, beams: int = 1, longest: int = 130) -> list[str]:
    """What a model writes of a part's spans, in their order; by one beam greedily. Raises `ModelUnfit` when it cannot."""
    found = [""] * len(part)
    for rows, batch in by_length(model, part, context, most=written_at_once(beams)):
        texts = model.transcribe(batch.x.float(), batch.lengths, beams=beams, longest=longest)
        for row, text in zip(rows.tolist(), texts, strict=True):
            found[row] = text
    return found


def written_at_once(beams: int) -> int:
    """Items of which texts are written at once, with so many hypotheses each."""
    return max(1, HYPOTHESES_AT_ONCE // beams)


def by_length(
    model: Model,
    part: Part,
    context: Context,
    *,
    steps: int | None = None,
    most: int | None = None,
    columns: tuple[str, ...] = (),
) -> Iterator[tuple[Int[Tensor, "batch"], Batch]]:
    """Batches of items of similar length, with their places in the part, while the model is in evaluation mode without gradients.

    `steps` bounds a batch, padding included (None: as many as the encoder takes at once), and `most` its items.
    """
    model.to(context.device)
    encoder = model.encoder
    equal = not encoder.padding_invariant
    sampler = ByLength(part.lengths, steps=steps or encoder.steps_at_once, most=most, equal=equal)
    batches = Batches(part, sampler=sampler, device=context.device, seed=context.seed, columns=columns)
    with evaluating(model):
        for step in range(batches.steps(0)):
            yield sampler.at(0, step), batches.at(0, step)


def _read(
    model: Model, part: Part, context: Context, read: Callable[..., Tensor], width: int, steps: int | None
) -> Float[Tensor, "item width"]:
    """What `read` makes of the items. Raises `ModelUnfit` where that is not finite: a class of it would be any class."""
    found = torch.empty(len(part), width)
    for rows, batch in by_length(model, part, context, steps=steps):
        found[rows] = read(batch.x.float(), batch.lengths).float().cpu()
    wrong = torch.nonzero(~found.isfinite().all(dim=1)).flatten()
    if len(wrong):
        items = named(part.collection, part.spans[wrong, 0].tolist())
        reason = f"makes of {len(wrong)} of {counted(len(part), 'item')} what is not finite: {items}"
        remedy = "Look for extreme values with `tswork data check`, and scale the data."
        raise ModelUnfit(type(model.encoder).__name__, reason, remedy)
    return found
