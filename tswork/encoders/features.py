"""Features that were computed before (the preparation `frozen_features`): as they are, or a learnt sum of their layers.

Of several layers that stand side by side in the channels a frame is their softmax-weighted sum, whose weights are learnt (SUPERB, Yang et
al., Interspeech 2021); of one layer nothing is left to learn, and frames are the steps. Hidden and missing steps are zero vectors. Since
the features come from a checkpoint, the control of such a pipeline is `as_loaded`: there is no random form of them.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tswork.data.collection import DataInfo
from tswork.encoders.base import Encoder, Frames, full_lengths, valid_steps
from tswork.encoders.layers import layers_of
from tswork.encoders.speech import weighted_sum
from tswork.encoders.with_front_end import EncoderConfig
from tswork.errors import ModelUnfit
from tswork.registry import register


class FeaturesConfig(EncoderConfig):
    """No further options: how many layers there are follows from the names of the channels."""


@register("encoder", "features", version=1, config=FeaturesConfig)
class Features(Encoder):
    """Features of a frozen encoder that were computed before; of several layers their learnt weighted sum."""

    masks = "input"
    exportable = True
    loaded = True

    def __init__(self, config: FeaturesConfig, info: DataInfo) -> None:
        super().__init__()
        self.layers = layers_of(info.channels)
        if not self.layers:
            reason = f"takes what the preparation `frozen_features` gives, and the channels are {', '.join(info.channels[:5])}"
            raise ModelUnfit("features", reason, "Add `frozen_features` to `prepare`, or use another encoder.")
        self.dim = len(info.channels) // self.layers
        self.layer_weights = nn.Parameter(torch.zeros(self.layers)) if self.layers > 1 else None

    @staticmethod
    def usable() -> str:
        return "reads what the preparation `frozen_features` stores; needs a checkpoint there"

    def forward(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        keep: Bool[Tensor, "batch time"] | None = None,
    ) -> Frames:
        shown = ~torch.isnan(x).any(dim=2)
        if lengths is not None:
            shown = shown & valid_steps(lengths, x.shape[1])
        if keep is not None:
            shown = shown & keep
        seen = torch.where(shown[..., None], x, 0.0)
        if self.layer_weights is not None:
            seen = weighted_sum(seen.split(self.dim, dim=2), self.layer_weights)
        return Frames(seen, full_lengths(x) if lengths is None else lengths)
