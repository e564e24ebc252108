"""Every sequence faster or slower, so that pitch and length change, as a tape that runs at another speed.

Ko et al., "Audio Augmentation for Speech Recognition", Interspeech 2015 (0.9, 1 and 1.1 times). One factor a sequence; a sequence of
`n` steps has `ceil(n / factor)` afterwards, with the values of `tswork.augment.tape`. A place is missing, and hidden, exactly when
the nearest step is; next to it a missing value counts as 0.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field, field_validator

from tswork.augment.base import Augmentation, View
from tswork.augment.tape import GRAIN, played, speeds_of
from tswork.config import Config, Many
from tswork.encoders.base import valid_steps
from tswork.precision import wide
from tswork.registry import register


class SpeedConfig(Config):
    factors: Many[Annotated[float, Field(ge=0.25, le=4)]] = Field(
        default=(0.9, 1.0, 1.1),
        min_length=1,
        description="speeds of three decimals at most, of which one is drawn for each sequence; above 1: faster, shorter and higher",
    )

    @field_validator("factors")
    @classmethod
    def _fractions(cls, factors: tuple[float, ...]) -> tuple[float, ...]:
        if finer := [factor for factor in factors if abs(factor * GRAIN - round(factor * GRAIN)) > 1e-6]:
            raise ValueError(f"{', '.join(map(str, finer))}: give three decimals at most, as {round(finer[0], 3)}")
        return factors


@register("view", "speed", version=1, config=SpeedConfig)
class Speed(Augmentation[SpeedConfig]):
    """Plays every sequence at another speed."""

    aligned = False
    keeps_length = False

    def __call__(self, view: View, *, generator: torch.Generator) -> View:
        x, speeds = view.x, speeds_of(self.config.factors, view.x.device)
        chosen = torch.randint(len(speeds.over), (len(x),), generator=generator, device=x.device)
        over, under = speeds.over[chosen], speeds.under[chosen]
        lengths = (view.lengths * under + over - 1) // over
        longest = max(1, math.ceil(x.shape[1] / speeds.slowest))
        places = torch.arange(longest, device=x.device) * over[:, None] / under[:, None].double()
        nearest = places.round().long().minimum((view.lengths - 1).clamp(min=0)[:, None])
        real = x.nan_to_num(0.0).masked_fill(~valid_steps(view.lengths, x.shape[1])[..., None], 0)
        values = played(wide(real), speeds, chosen, longest).to(x.dtype)
        missing = x.isnan().gather(1, nearest[..., None].expand(-1, -1, x.shape[2]))
        keep = None if view.keep is None else view.keep.gather(1, nearest)
        return View(values, lengths, keep).changed(values.masked_fill(missing, torch.nan))
