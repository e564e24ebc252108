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
| `carry: true` | as the other options say, and every frame carries, behind the inner encoder's, each target's reference and deviation |

What a relative encoder forgets, `carry` hands on: with the level beside the shape a frame says all that a raw window says.

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

from tswork.config import Configured, Uses, configure
from tswork.data.collection import DataInfo
from tswork.encoders.base import Encoder, Frames, valid_steps
from tswork.encoders.with_front_end import EncoderConfig
from tswork.registry import register

Reference = Literal["last", "mean", "none"]


class RelativeConfig(EncoderConfig):
    encoder: Annotated[Configured, Uses("encoder")] = Field(
        default_factory=lambda: configure("encoder", "dilated_conv"), description="what reads the relative values"
    )
    by: Reference = Field(default="last", description="what is subtracted from each target: its last value or its mean")
    scale: bool = Field(default=False, description="divide each target by its standard deviation in the sequence")
    restore: bool = Field(default=False, description="multiply the frames by the deviation again; needs `scale`")
    carry: bool = Field(
        default=False, description="append what was subtracted from each target, and its deviation, to every frame"
    )
    floor: float = Field(
        default=0.01, gt=0, description="added to the deviation (in quadrature), so that a constant target stays finite"
    )

    @model_validator(mode="after")
    def _something_to_restore(self) -> RelativeConfig:
        if self.restore and not self.scale:
            raise ValueError("`restore` multiplies by the deviation that `scale` divides by; set `scale: true` as well")
        return self


class Relative(NamedTuple):
    """Relative values, and what frames are multiplied by and carry (None: nothing)."""

    values: Float[Tensor, "batch time channel"]
    restored: Float[Tensor, "batch 1"] | None
    """The deviation of each sequence, its mean over the targets."""
    carried: Float[Tensor, "batch carried"] | None
    """Reference (with a reference) and deviation of each target."""

    def hand_on(self, frames: Float[Tensor, "batch frame dim"]) -> Float[Tensor, "batch frame dim_and_carried"]:
        """The inner encoder's frames with what was taken from its input."""
        if self.restored is not None:
            frames = frames * self.restored[..., None]
        if self.carried is None:
            return frames
        carried = self.carried[:, None, :].expand(-1, frames.shape[1], -1)
        return torch.cat([frames, carried.to(frames.dtype)], dim=2)


@register("encoder", "relative", version=1, config=RelativeConfig)
class RelativeEncoder(Encoder):
    """Another encoder on targets relative to their last value or mean, and over their deviation."""

    def __init__(self, config: RelativeConfig, info: DataInfo) -> None:
        super().__init__()
        inner: Encoder = config.encoder.build(info)
        self.inner = inner
        self.config = config
        targets = info.targets or info.channels
        carried = len(targets) * (1 if config.by == "none" else 2) if config.carry else 0
        self.takes_after(inner)
        self.dim = inner.dim + carried
        self.targets: Tensor
        self.register_buffer("targets", torch.tensor([name in targets for name in info.channels]), persistent=False)

    def forward(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        keep: Bool[Tensor, "batch time"] | None = None,
    ) -> Frames:
        relative = self.relative(x, lengths, keep)
        frames: Frames = self.inner(relative.values, lengths, keep=keep)
        return Frames(relative.hand_on(frames.values), frames.lengths)

    def last(
        self, x: Float[Tensor, "batch time channel"], lengths: Int[Tensor, "batch"] | None = None
    ) -> Float[Tensor, "batch dim"]:
        relative = self.relative(x, lengths, None)
        return relative.hand_on(self.inner.last(relative.values, lengths)[:, None])[:, 0]

    def relative(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None,
        keep: Bool[Tensor, "batch time"] | None,
    ) -> Relative:
        """What the inner encoder reads. Missing values stay missing, and x is not modified."""
        config, seen = self.config, ~torch.isnan(x)
        if lengths is not None:
            seen = seen & valid_steps(lengths, x.shape[1])[..., None]
        if keep is not None:
            seen = seen & keep[..., None]
        visible = torch.where(seen, x, 0.0)
        count = seen.sum(dim=1, keepdim=True).clamp(min=1)
        mean = visible.sum(dim=1, keepdim=True) / count
        values, carried = x, []
        if config.by != "none":
            reference = mean if config.by == "mean" else _last_seen(visible, seen)
            values = x - torch.where(self.targets, reference, 0.0)
            carried.append(reference[:, 0, self.targets])
        if not (config.scale or config.carry):
            return Relative(values, None, None)
        squares = torch.where(seen, x - mean, 0.0).square().sum(dim=1, keepdim=True) / count
        deviation = (squares + config.floor**2).sqrt()
        of_targets = deviation[:, 0, self.targets]
        carried.append(of_targets)
        return Relative(
            values / torch.where(self.targets, deviation, 1.0) if config.scale else values,
            of_targets.mean(dim=1, keepdim=True) if config.restore else None,
            torch.cat(carried, dim=1) if config.carry else None,
        )


def _last_seen(
    visible: Float[Tensor, "batch time channel"], seen: Bool[Tensor, "batch time channel"]
) -> Float[Tensor, "batch 1 channel"]:
    """Each channel's value at its last seen step; 0 where no step was seen."""
    steps = torch.arange(visible.shape[1], device=visible.device)[:, None]
    return visible.gather(1, torch.where(seen, steps, 0).amax(dim=1, keepdim=True))
