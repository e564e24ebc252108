"""One vector for every item of a part, in batches of bounded memory."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from tswork.context import Context
from tswork.data.batches import Batches
from tswork.data.collection import Part
from tswork.data.samplers import ByLength
from tswork.encoders.pooling import Pooling, pooled_dim
from tswork.methods.model import Model


@torch.no_grad()
def embed_part(
    model: Model, part: Part, context: Context, *, pooling: Pooling | None = None, steps: int | None = None
) -> Float[Tensor, "item dim"]:
    """The embeddings of a part's spans in their order, float32 on the CPU; `pooling=None` takes the model's own.

    `steps` bounds a batch, padding included (None: as many as the encoder takes at once).
    """
    model.to(context.device).eval()
    encoder = model.encoder
    sampler = ByLength(part.lengths, steps=steps or encoder.steps_at_once, equal=not encoder.padding_invariant)
    batches = Batches(part, sampler=sampler, device=context.device, seed=context.seed)
    found = torch.empty(len(part), pooled_dim(model.encoder, pooling or model.pooling))
    for step in range(batches.steps(0)):
        batch = batches.at(0, step)
        embedded = model.embed(batch.x.float(), batch.lengths, pooling=pooling)
        found[sampler.at(0, step)] = embedded.float().cpu()
    return found
