"""Channels that hold nothing but one value, left out: meters that were not yet installed, sensors that were switched off.

With `steps` only the first steps of each sequence are looked at, so that a channel which begins late is left out as well. Where
the split is in time these steps should lie in the training part; then nothing is chosen by what comes later.
"""

from __future__ import annotations

from jaxtyping import Bool
from pydantic import Field
from torch import Tensor

from tswork.config import Config
from tswork.data.collection import Affine, Collection
from tswork.data.faults import some
from tswork.data.prepare.base import Preparation
from tswork.data.prepare.requirements import positions
from tswork.errors import DataInvalid, Problem
from tswork.registry import register


class DropChannelsConfig(Config):
    value: float = Field(default=0.0, description="a channel that holds only this value is left out")
    steps: int | None = Field(
        default=None, ge=1, description="first steps of every sequence that are looked at; none: all"
    )


@register("preparation", "drop_channels", version=1, config=DropChannelsConfig)
class DropChannels(Preparation[DropChannelsConfig]):
    """Leaves out channels that hold one value throughout, or through the first steps of all sequences."""

    def apply(self, collection: Collection) -> Collection:
        kept = ~self._held(collection)
        if bool(kept.all()):
            return collection
        index = kept.nonzero().flatten()
        channels = tuple(collection.channels[place] for place in index.tolist())
        targets = tuple(name for name in collection.targets if name in channels)
        if not channels or (collection.targets and not targets):
            what, names = ("target", collection.targets) if collection.targets else ("channel", collection.channels)
            text = f"no {what} is left: {some(names)} hold only {self.config.value:g}"
            raise DataInvalid(
                [Problem(text, "data.prepare", remedy="Leave out 'drop_channels', or look at more steps.")]
            )
        affine = collection.affine
        return collection.replaced(
            values=collection.values[:, index],
            channels=channels,
            targets=targets,
            affine=Affine(affine.scale[:, index], affine.offset[:, index]) if affine is not None else None,
        )

    def _held(self, collection: Collection) -> Bool[Tensor, "channel"]:
        """Channels that hold only the value in the steps that are looked at; a missing value is another one."""
        values = collection.values
        if self.config.steps is not None:
            values = values[positions(collection.offsets[:-1], collection.lengths.clamp(max=self.config.steps))]
        return (values == self.config.value).all(dim=0)
