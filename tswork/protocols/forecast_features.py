"""The representation of every forecast start: the last vector of the window that ends there."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from tswork.context import Context
from tswork.data.collection import Collection
from tswork.encoders.windows import encode_last_windows
from tswork.methods.model import Model
from tswork.protocols.forecast_samples import Origins


@torch.no_grad()
def encode_origins(
    model: Model, collection: Collection, origins: Sequence[Origins], window: int, context: Context
) -> list[Float[Tensor, "origin dim"]]:
    """The last vector of the window that ends at each origin, for several sets of origins (each sequence is read once).

    Windows that end between origins are not encoded.
    """
    model.to(context.device).eval()
    found: list[Tensor | None] = [None] * len(origins)
    sequences = torch.cat([one.sequence for one in origins])
    positions = torch.cat([one.position for one in origins])
    for sequence in sequences.unique().tolist():
        wanted = positions[sequences == sequence].unique()
        first = max(0, int(wanted[0]) - window + 1)
        series = collection.sequence(sequence)[first : int(wanted[-1]) + 1].to(context.device, torch.float32)
        features = encode_last_windows(model.encoder, series, wanted - first, window=window)
        for part, one in enumerate(origins):
            rows = (one.sequence == sequence).nonzero()[:, 0]
            into = found[part]
            if into is None:
                into = found[part] = features.new_empty(len(one), features.shape[1])
            into[rows.to(into.device)] = features[torch.searchsorted(wanted, one.position[rows]).to(features.device)]
    return [part if part is not None else torch.empty(0, 0) for part in found]
