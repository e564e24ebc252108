"""Every sequence faster or slower, so that pitch and length change, as a tape that runs at another speed.

Ko et al., "Audio Augmentation for Speech Recognition", Interspeech 2015 (0.9, 1 and 1.1 times). One factor a sequence; a sequence of
`n` steps has `ceil(n / factor)` afterwards. Between steps values are those of a Hann-windowed sinc with 6 zero crossings on each
side, whose cutoff falls with a factor above 1, so that nothing comes back as a lower frequency. Beyond its ends a sequence is 0. A
place is missing, and hidden, exactly when the nearest step is; next to it a missing value counts as 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Annotated

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from tswork.augment.base import Augmentation, View
from tswork.config import Config, Many
from tswork.encoders.base import valid_steps
from tswork.precision import wide
from tswork.registry import register

ZERO_CROSSINGS = 6
ROUNDING = 1e-9
"""A length this little above a whole number of steps is that number."""
GRAIN = 1 << 14
"""Places whose weights are made together and kept for later batches."""


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
        x, known = view.x, self.config.factors
        chosen = torch.randint(len(known), (len(x),), generator=generator, device=x.device)
        factor = torch.tensor(known, dtype=torch.float64, device=x.device)[chosen]
        lengths = (view.lengths / factor - ROUNDING).ceil().long().clamp(min=1)
        longest = max(1, math.ceil(x.shape[1] / min(known) - ROUNDING))
        places = torch.arange(longest, dtype=torch.float64, device=x.device) * factor[:, None]
        nearest = places.round().long().minimum((view.lengths - 1)[:, None])
        real = x.nan_to_num(0.0).masked_fill(~valid_steps(view.lengths, x.shape[1])[..., None], 0)
        weights = (taps[:, :longest][chosen] for taps in _taps(known, -(-longest // GRAIN) * GRAIN, x.device))
        values = weighted(wide(real), places.floor().long(), weights, reach=_reach(known)).to(x.dtype)
        missing = x.isnan().gather(1, nearest[..., None].expand(-1, -1, x.shape[2]))
        keep = None if view.keep is None else view.keep.gather(1, nearest)
        return View(values, lengths, keep).changed(values.masked_fill(missing, torch.nan))


def weighted(
    samples: Float[Tensor, "batch time channel"],
    first: Int[Tensor, "batch new"],
    weights: Iterable[Float[Tensor, "batch new"]],
    *,
    reach: int,
) -> Float[Tensor, "batch new channel"]:
    """Sums of the steps from `first + 1 - reach` on, each times its weight; beyond its ends a sequence is 0."""
    # Zeros on both sides stand in for the test whether a step is inside; a place behind the end reads nothing but them.
    filled = functional.pad(samples, (0, 0, reach - 1, 2 * reach))
    index = first.clamp(max=samples.shape[1] + reach - 1)[..., None].expand(-1, -1, samples.shape[2])
    found = torch.zeros(index.shape, dtype=samples.dtype, device=samples.device)
    for tap, weight in enumerate(weights):
        found += weight[..., None] * filled[:, tap:].gather(1, index)
    return found


@lru_cache(maxsize=8)
def _taps(factors: tuple[float, ...], longest: int, device: torch.device) -> list[Float[Tensor, "factor new"]]:
    """For each tap the weights at every place, by factor: they depend on nothing else, so that batches share them."""
    factor = torch.tensor(factors, dtype=torch.float64, device=device)[:, None]
    places = torch.arange(longest, dtype=torch.float64, device=device) * factor
    share, scale, reach = (places - places.floor()).float(), factor.clamp(min=1).float(), _reach(factors)
    return [_sinc((share - tap) / scale) / scale for tap in range(1 - reach, reach + 1)]


def _sinc(distance: Float[Tensor, "factor new"]) -> Float[Tensor, "factor new"]:
    """The windowed sinc."""
    window = torch.cos(distance * (math.pi / 2 / ZERO_CROSSINGS)).square()
    return (torch.sinc(distance) * window).masked_fill(distance.abs() >= ZERO_CROSSINGS, 0)


def _reach(factors: Sequence[float]) -> int:
    """Steps on either side that the widest sinc takes in."""
    return math.ceil(ZERO_CROSSINGS * max(1.0, *factors))
