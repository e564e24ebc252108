"""Any encoder on values relative to the sequence or window they stand in.

Instance normalisation before the first layer, as in Kim et al., "Reversible Instance Normalization", ICLR 2022, and the subtraction of
the last value in Zeng et al., "Are Transformers Effective for Time Series Forecasting?", AAAI 2023 (NLinear): what is encoded
no longer depends on the level of a sequence, nor (`scale`) on its spread, so that a representation learned at one level holds
at another. Covariates are left as they are: an hour of the day is no level.

| option | what a target channel becomes |
| --- | --- |
| `by: last` | its difference from the last value |
| `by: mean` | its difference from the mean |
| `by: none` | itself |
| `scale: true` | this over its standard deviation |
| `restore: true` | the same, and the frames are multiplied by the deviation (its mean over the targets) again |

Values and deviation are those of the steps that an encoder may see: padding, missing and hidden steps do not count. With one
window per forecast start every window has its own reference, so windows share no work beyond what the inner encoder's `last`
saves.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field, model_validator
from torch import Tensor

from tswork.config import Config, Configured, Uses, configure
from tswork.data.collection import DataInfo
from tswork.encoders.base import Encoder, Frames, valid_steps
from tswork.registry import register

Reference = Literal["last", "mean", "none"]


class RelativeConfig(Config):
    encoder: Annotated[Configured, Uses("encoder")] = Field(
        default_factory=lambda: configure("encoder", "dilated_conv"), description="what reads the relative values"
    )
    by: Reference = Field(default="last", description="what is subtracted from each target: its last value or its mean")
    scale: bool = Field(default=False, description="divide each target by its standard deviation in the sequence")
    restore: bool = Field(default=False, description="multiply the frames by the deviation again; needs `scale`")
    floor: float = Field(
        default=0.01, gt=0, description="added to the deviation (in quadrature), so that a constant target stays finite"
    )

    @model_validator(mode="after")
    def _something_to_restore(self) -> RelativeConfig:
        if self.restore and not self.scale:
            raise ValueError("`restore` multiplies by the deviation that `scale` divides by; set `scale: true` as well")
        return self


class Relative(NamedTuple):
    """Relative values, and the deviation of each sequence (its mean over the targets; None when nothing was scaled)."""

    values: Float[Tensor, "batch time channel"]
    deviation: Float[Tensor, "batch 1"] | None


@register("encoder", "relative", version=1, config=RelativeConfig)
class RelativeEncoder(Encoder):
    """Another encoder on targets relative to their last value or mean, and over their deviation."""

    def __init__(self, config: RelativeConfig, info: DataInfo) -> None:
        super().__init__()
        inner: Encoder = config.encoder.build(info)
        self.inner = inner
        self.config = config
        self.dim, self.stride, self.masks = inner.dim, inner.stride, inner.masks
        self.max_length, self.padding_invariant = inner.max_length, inner.padding_invariant
        self.exportable, self.why_not_exportable = inner.exportable, inner.why_not_exportable
        targets = info.targets or info.channels
        self.targets: Tensor
        self.register_buffer("targets", torch.tensor([name in targets for name in info.channels]), persistent=False)

    def forward(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        keep: Bool[Tensor, "batch time"] | None = None,
    ) -> Frames:
        values, deviation = self.relative(x, lengths, keep)
        frames: Frames = self.inner(values, lengths, keep=keep)
        if deviation is None:
            return frames
        return Frames(frames.values * deviation[..., None], frames.lengths)

    def last(
        self, x: Float[Tensor, "batch time channel"], lengths: Int[Tensor, "batch"] | None = None
    ) -> Float[Tensor, "batch dim"]:
        values, deviation = self.relative(x, lengths, None)
        last = self.inner.last(values, lengths)
        return last if deviation is None else last * deviation

    def relative(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None,
        keep: Bool[Tensor, "batch time"] | None,
    ) -> Relative:
        """What the inner encoder reads. Missing values stay missing, and x is not modified."""
        seen = ~torch.isnan(x)
        if lengths is not None:
            seen = seen & valid_steps(lengths, x.shape[1])[..., None]
        if keep is not None:
            seen = seen & keep[..., None]
        visible = torch.where(seen, x, 0.0)
        count = seen.sum(dim=1, keepdim=True).clamp(min=1)
        mean = visible.sum(dim=1, keepdim=True) / count
        values = x
        if self.config.by != "none":
            reference = mean if self.config.by == "mean" else _last_seen(visible, seen)
            values = x - torch.where(self.targets, reference, 0.0)
        if not self.config.scale:
            return Relative(values, None)
        squares = torch.where(seen, x - mean, 0.0).square().sum(dim=1, keepdim=True) / count
        deviation = (squares + self.config.floor**2).sqrt()
        values = values / torch.where(self.targets, deviation, 1.0)
        if not self.config.restore:
            return Relative(values, None)
        of_targets = torch.where(self.targets, deviation, 0.0).sum(dim=2) / self.targets.sum()
        return Relative(values, of_targets)


def _last_seen(
    visible: Float[Tensor, "batch time channel"], seen: Bool[Tensor, "batch time channel"]
) -> Float[Tensor, "batch 1 channel"]:
    """Each channel's value at its last seen step; 0 where no step was seen."""
    steps = torch.arange(visible.shape[1], device=visible.device)[:, None]
    return visible.gather(1, torch.where(seen, steps, 0).amax(dim=1, keepdim=True))
