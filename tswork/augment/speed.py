"""Every sequence faster or slower, so that pitch and length change, as a tape that runs at another speed.

Ko et al., "Audio Augmentation for Speech Recognition", Interspeech 2015 (0.9, 1 and 1.1 times). One factor a sequence; a sequence of
`n` steps has `ceil(n / factor)` afterwards. Between steps values are those of a Hann-windowed sinc with 6 zero crossings on each
side, whose cutoff falls with a factor above 1, so that nothing comes back as a lower frequency. Beyond its ends a sequence is 0. A
place is missing, and hidden, exactly when the nearest step is; next to it a missing value counts as 0.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from tswork.augment.base import Augmentation, View
from tswork.config import Config, Many
from tswork.precision import wide
from tswork.registry import register

ZERO_CROSSINGS = 6
ROUNDING = 1e-9
"""A length this little above a whole number of steps is that number."""


class SpeedConfig(Config):
    factors: Many[Annotated[float, Field(ge=0.25, le=4)]] = Field(
        default=(0.9, 1.0, 1.1),
        min_length=1,
        description="speeds of which one is drawn for each sequence; above 1: faster, shorter and higher",
    )


@register("view", "speed", version=1, config=SpeedConfig)
class Speed(Augmentation[SpeedConfig]):
    """Plays every sequence at another speed."""

    aligned = False
    keeps_length = False

    def __call__(self, view: View, *, generator: torch.Generator) -> View:
        x = view.x
        factors = torch.tensor(self.config.factors, dtype=torch.float64, device=x.device)
        factor = factors[torch.randint(len(factors), (len(x),), generator=generator, device=x.device)]
        lengths = (view.lengths / factor - ROUNDING).ceil().long().clamp(min=1)
        slowest, fastest = min(self.config.factors), max(self.config.factors)
        longest = max(1, math.ceil(x.shape[1] / slowest - ROUNDING))
        places = torch.arange(longest, dtype=torch.float64, device=x.device) * factor[:, None]
        nearest = places.round().long().minimum((view.lengths - 1)[:, None])
        values = at_places(x, view.lengths, places, factor.clamp(min=1), reach=_reach(fastest)).to(x.dtype)
        missing = x.isnan().gather(1, nearest[..., None].expand(-1, -1, x.shape[2]))
        keep = None if view.keep is None else view.keep.gather(1, nearest)
        return View(values, lengths, keep).changed(values.masked_fill(missing, torch.nan))


def at_places(
    x: Float[Tensor, "batch time channel"],
    lengths: Int[Tensor, "batch"],
    places: Float[Tensor, "batch new"],
    wider: Float[Tensor, "batch"],
    *,
    reach: int,
) -> Float[Tensor, "batch new channel"]:
    """A sequence between its steps, by a sinc that is `wider` than one step (at least 1) and reaches so many steps at most."""
    samples = wide(x.nan_to_num(0.0))
    first = places.floor().long()
    share = (places - first).float()
    scale = wider.float()[:, None]
    found = torch.zeros((*places.shape, x.shape[2]), dtype=samples.dtype, device=x.device)
    for tap in range(1 - reach, reach + 1):
        distance = (share - tap) / scale
        weight = torch.sinc(distance) * torch.cos(distance * (math.pi / 2 / ZERO_CROSSINGS)).square() / scale
        index = first + tap
        inside = (index >= 0) & (index < lengths[:, None]) & (distance.abs() < ZERO_CROSSINGS)
        taken = samples.gather(1, index.clamp(0, x.shape[1] - 1)[..., None].expand(-1, -1, x.shape[2]))
        found += weight.masked_fill(~inside, 0)[..., None] * taken
    return found


def _reach(fastest: float) -> int:
    """Steps on either side that the widest sinc takes in."""
    return math.ceil(ZERO_CROSSINGS * max(1.0, fastest))
