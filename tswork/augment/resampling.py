"""Views that read a sequence at other places than its steps, by linear interpolation between two neighbours.

A place between two steps has the value on the straight line between theirs. It is missing, and hidden, exactly when the nearest
step is; when only the other neighbour is missing, the nearest value stands alone. So a missing value reaches no further than
half a step, and none is invented. No place lies behind the last real step: padding never leaks in.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tswork.augment.base import View
from tswork.precision import wide


def at_positions(view: View, positions: Float[Tensor, "batch time"]) -> View:
    """The view read at these places, in steps from the first; those outside a sequence are moved to its nearest end."""
    last = (view.lengths - 1).clamp(min=0)[:, None]
    places = positions.clamp(min=0).minimum(last.to(positions.dtype))
    left = places.long()
    right = (left + 1).minimum(last)
    share = places - left
    nearest, other = torch.where(share < 0.5, left, right), torch.where(share < 0.5, right, left)
    near, far = _values(view.x, nearest), _values(view.x, other)
    weight = share.minimum(1 - share).to(near.dtype)[..., None]
    between = torch.where(far.isnan(), near, torch.lerp(near, far, weight))
    keep = None if view.keep is None else view.keep.gather(1, nearest)
    return View(view.x, view.lengths, keep).changed(between.to(view.x.dtype))


def steps_of(view: View) -> Float[Tensor, "time"]:
    """The steps of a batch as places: 0, 1, 2, ... in double precision, which tells the steps of long series apart."""
    return torch.arange(view.x.shape[1], device=view.x.device, dtype=torch.float64)


def last_places(lengths: Int[Tensor, "batch"]) -> Float[Tensor, "batch 1"]:
    """The place of the last step of each sequence."""
    return (lengths - 1).double()[:, None]


def _values(x: Float[Tensor, "batch time channel"], index: Int[Tensor, "batch time"]) -> Float[Tensor, "..."]:
    """The values of these steps, in float32 or wider."""
    taken = x.gather(1, index[..., None].expand(-1, -1, x.shape[2]))
    return wide(taken)
