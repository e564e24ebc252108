"""No front end: an encoder reads the channels of its data as they are."""

from __future__ import annotations

from jaxtyping import Bool, Float, Int
from torch import Tensor

from tswork.config import NoOptions
from tswork.data.collection import DataInfo
from tswork.encoders.base import Frames, full_lengths
from tswork.encoders.front_ends.base import FrontEnd, marked, seen_samples
from tswork.registry import register


@register("front_end", "none", version=1, config=NoOptions)
class NoFrontEnd(FrontEnd):
    """Channels as they are."""

    def __init__(self, config: NoOptions, info: DataInfo) -> None:
        super().__init__()
        self.channels = info.channels

    def forward(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        keep: Bool[Tensor, "batch time"] | None = None,
    ) -> Frames:
        seen = seen_samples(x, lengths, keep).any(dim=2)
        return Frames(marked(x, lengths, seen), full_lengths(x) if lengths is None else lengths)
