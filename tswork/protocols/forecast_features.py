"""The representation of every forecast start: the last vector of the window that ends there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from tswork.context import Context
from tswork.data.collection import Collection
from tswork.encoders.windows import encode_last_windows
from tswork.errors import ModelUnfit
from tswork.methods.model import Model
from tswork.protocols.forecast_samples import Origins, Sample
from tswork.wording import counted


class Represented:
    """Samples with the representation of the model that a row asks for, computed when it is first asked for.

    That of one model is held at a time; rows of one model follow one another.
    """

    def __init__(self, models: Mapping[str, Model], samples: Sequence[Sample], context: Context) -> None:
        self._models, self._context = models, context
        self._samples = list(samples)
        self._held: str | None = None

    def by(self, name: str | None) -> list[Sample]:
        """The samples with the representation of a model; None: of no matter which. Raises what `represented` raises."""
        if name is not None and name != self._held:
            bare = [replace(sample, features={}) for sample in self._samples]
            self._samples = bare  # that of the last model goes before that of the next one comes
            self._samples, self._held = represented({name: self._models[name]}, bare, self._context), name
        return self._samples


def represented(models: Mapping[str, Model], samples: Sequence[Sample], context: Context) -> list[Sample]:
    """Samples of one series with the representations of some models. Raises `ModelUnfit` for one that is not finite."""
    series, window = samples[0].series, samples[0].window
    origins = [sample.origins for sample in samples]
    features = {
        name: encode_origins(model, series.collection, origins, window, context) for name, model in models.items()
    }
    for name, of_parts in features.items():
        if wrong := sum(int((~part.isfinite()).any(dim=1).sum()) for part in of_parts):
            whole = sum(len(part) for part in of_parts)
            reason = f"the representation of {wrong} of {counted(whole, 'window')} is not finite"
            raise ModelUnfit(name, reason, "Look at its loss and weights, or scale the data with `standardize`.")
    return [
        replace(sample, features={name: of_parts[part] for name, of_parts in features.items()})
        for part, sample in enumerate(samples)
    ]


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
