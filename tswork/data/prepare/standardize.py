"""Zero mean and unit variance a channel, as scikit-learn's StandardScaler: population variance, constant channels to zero.

`per: data` learns mean and deviation from the training spans alone. `per: recording` scales every sequence by itself; a
sequence that is cut in time is scaled by its training spans, so that nothing of its future is used. Missing values take no
part. The way back to the user's units stays in `Collection.affine`.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from tswork.config import Config, Many
from tswork.data.collection import Affine, Collection, Part
from tswork.data.prepare.base import Preparation
from tswork.errors import DataInvalid, Problem, did_you_mean
from tswork.registry import register


class StandardizeConfig(Config):
    per: Literal["data", "recording"] = Field(default="data", description="one scale for all data, or one a sequence")
    channels: Many[str] | None = Field(default=None, description="channels to scale; none: all")


@register("preparation", "standardize", version=1, config=StandardizeConfig)
class Standardize(Preparation[StandardizeConfig]):
    """Scales channels to zero mean and unit variance, fitted on the training part (or on each sequence)."""

    fitted = True

    def __init__(self, config: StandardizeConfig) -> None:
        super().__init__(config)
        self._train: Part | None = None

    def fit(self, train: Part) -> None:
        self._train = train

    def apply(self, collection: Collection) -> Collection:
        if self._train is None:
            raise RuntimeError("fit comes before apply")
        chosen = self._chosen(collection)
        owner = torch.repeat_interleave(torch.arange(len(collection)), collection.lengths)
        if self.config.per == "data":
            values, _ = _in_spans(self._train)
            mean, deviation = moments(values, torch.zeros(len(values), dtype=torch.int64), 1)
            row = torch.zeros_like(owner)
        else:
            mean, deviation = self._each(collection, owner)
            row = owner
        mean = torch.where(chosen, mean, 0.0)
        deviation = torch.where(chosen, deviation, 1.0)
        values = ((collection.values - mean[row]) / deviation[row]).to(torch.float32)
        identity = Affine(torch.ones(1, len(collection.channels)), torch.zeros(1, len(collection.channels)))
        before = collection.affine or identity
        return collection.replaced(values=values, affine=before.after(deviation.float(), mean.float()))

    def _each(
        self, collection: Collection, owner: Int[Tensor, "time"]
    ) -> tuple[Float[Tensor, "sequence channel"], Float[Tensor, "sequence channel"]]:
        """Moments of every sequence: of its training spans where it has any, else of all of it."""
        mean, deviation = moments(collection.values, owner, len(collection))
        train = self._train
        if train is not None and train.collection is collection:  # new data have no training spans
            values, sequence = _in_spans(train)
            trained = torch.bincount(sequence, minlength=len(collection))[:, None] > 0
            seen_mean, seen_deviation = moments(values, sequence, len(collection))
            mean, deviation = torch.where(trained, seen_mean, mean), torch.where(trained, seen_deviation, deviation)
        return mean, deviation

    def _chosen(self, collection: Collection) -> Bool[Tensor, "channel"]:
        names = self.config.channels
        unknown = [name for name in names or () if name not in collection.channels]
        if unknown:
            raise DataInvalid(
                [
                    Problem(
                        f"there is no channel {name!r}", "data.prepare", remedy=did_you_mean(name, collection.channels)
                    )
                    for name in unknown
                ]
            )
        return torch.tensor([names is None or name in names for name in collection.channels])


def _in_spans(part: Part) -> tuple[Float[Tensor, "time channel"], Int[Tensor, "time"]]:
    """The values inside a part's spans, and the sequence each step belongs to."""
    start = part.collection.offsets[part.spans[:, 0]] + part.spans[:, 1]
    lengths = part.lengths
    first = torch.repeat_interleave(lengths.cumsum(0) - lengths, lengths)
    index = torch.repeat_interleave(start, lengths) + torch.arange(int(lengths.sum())) - first
    return part.collection.values[index], torch.repeat_interleave(part.spans[:, 0], lengths)


def moments(
    values: Float[Tensor, "time channel"], owner: Int[Tensor, "time"], owners: int
) -> tuple[Float[Tensor, "owner channel"], Float[Tensor, "owner channel"]]:
    """Mean and deviation of each owner's steps in float64; missing values take no part, a deviation of zero counts as one."""
    wide = values.double()
    present = ~torch.isnan(wide)
    shape = (owners, values.shape[1])
    count = torch.zeros(shape, dtype=torch.float64).index_add_(0, owner, present.double()).clamp(min=1)
    mean = torch.zeros(shape, dtype=torch.float64).index_add_(0, owner, wide.nan_to_num()) / count
    centred = torch.where(present, wide - mean[owner], 0.0)
    variance = torch.zeros(shape, dtype=torch.float64).index_add_(0, owner, centred.square()) / count
    deviation = variance.sqrt()
    # A channel that is constant up to rounding stays constant instead of becoming amplified noise.
    constant = deviation <= 10 * torch.finfo(torch.float32).eps * mean.abs()
    return mean, torch.where(constant | (deviation == 0), 1.0, deviation)
