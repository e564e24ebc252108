"""One vector, or the logits of a head, for every item of a part, in batches of bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from tswork.context import Context
from tswork.data.batches import Batches
from tswork.data.collection import Part
from tswork.data.samplers import ByLength
from tswork.encoders.pooling import Pooling, pooled_dim
from tswork.methods.model import Model, evaluating


def embed_part(
    model: Model, part: Part, context: Context, *, pooling: Pooling | None = None, steps: int | None = None
) -> Float[Tensor, "item dim"]:
    """The embeddings of a part's spans in their order, float32 on the CPU; `pooling=None` takes the model's own.

    `steps` bounds a batch, padding included (None: as many as the encoder takes at once).
    """
    width = pooled_dim(model.encoder, pooling or model.pooling)
    return _by_length(model, part, context, partial(model.embed, pooling=pooling), width, steps)


def classify_part(
    model: Model, part: Part, context: Context, *, steps: int | None = None
) -> Float[Tensor, "item class"]:
    """The logits of a model's own head for a part's spans in their order, float32 on the CPU. Raises `ModelUnfit` without one."""
    return _by_length(model, part, context, model.classify, len(model.info.classes), steps)


def _by_length(
    model: Model, part: Part, context: Context, read: Callable[..., Tensor], width: int, steps: int | None
) -> Float[Tensor, "item width"]:
    """What `read` makes of the items, which are brought to it by their length."""
    model.to(context.device)
    encoder = model.encoder
    sampler = ByLength(part.lengths, steps=steps or encoder.steps_at_once, equal=not encoder.padding_invariant)
    batches = Batches(part, sampler=sampler, device=context.device, seed=context.seed)
    found = torch.empty(len(part), width)
    with evaluating(model):
        for step in range(batches.steps(0)):
            batch = batches.at(0, step)
            found[sampler.at(0, step)] = read(batch.x.float(), batch.lengths).float().cpu()
    return found
