"""Which samples of a class stand for it: an order in which any number can be taken from the front.

| selection | order |
| --- | --- |
| `random` | shuffled by a generator |
| `nearest_to_mean` | by distance from the mean of the class, nearest first |
| `herding` | each next one brings the mean of those taken nearest to the mean of the class; none is taken twice |
| `icarl_original` | herding as iCaRL's released code does it |

Herding: Rebuffi et al., "iCaRL: Incremental Classifier and Representation Learning", CVPR 2017, algorithm 4, on features of
unit length. The released code is known here from descriptions alone: it carries on with a sample that it has taken already, and
stops after 1,000 turns, so it may find fewer than asked for; those missing are then added by distance from the mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from tswork.precision import wide

Selection = Literal["random", "nearest_to_mean", "herding", "icarl_original"]

TURNS = 1000
"""Turns of the released code of iCaRL."""


def exemplars(
    features: Float[Tensor, "sample dim"],
    count: int,
    *,
    selection: Selection,
    generator: torch.Generator | None = None,
) -> Int[Tensor, "chosen"]:
    """The first `count` samples (or as many as there are) of the selection's order; directions are compared.

    `random` looks at the number of samples alone and needs a generator.
    """
    wanted = min(count, len(features))
    if selection == "random":
        if generator is None:
            raise ValueError("a random selection needs a generator")
        return torch.randperm(len(features), generator=generator)[:wanted]
    return ORDERS[selection](functional.normalize(wide(features), dim=1), wanted).cpu()


def nearest_to_mean(features: Float[Tensor, "sample dim"], count: int) -> Int[Tensor, "chosen"]:
    """Samples by their distance from the mean."""
    distance: Tensor = torch.linalg.vector_norm(features - features.mean(dim=0), dim=1)
    return distance.argsort(stable=True)[:count]


def herding(features: Float[Tensor, "sample dim"], count: int) -> Int[Tensor, "chosen"]:
    """iCaRL's algorithm 4.

    With mean m and the sum S of k taken, the next x has the least |m - (S + x) / (k + 1)|; of that only the part that depends
    on x, |x|^2 + 2 x . (S - (k + 1) m), is computed: one product with a vector a turn.
    """
    mean, squares = features.mean(dim=0), features.square().sum(dim=1)
    taken = torch.zeros(len(features), dtype=torch.bool, device=features.device)
    total, chosen = torch.zeros_like(mean), []
    for turn in range(1, count + 1):
        distance = squares + 2 * (features @ (total - turn * mean))
        nearest = distance.masked_fill(taken, torch.inf).argmin()
        taken[nearest] = True
        total += features[nearest]
        chosen.append(nearest)
    return torch.stack(chosen) if chosen else torch.zeros(0, dtype=torch.int64, device=features.device)


def icarl_original(features: Float[Tensor, "sample dim"], count: int) -> Int[Tensor, "chosen"]:
    """Herding with repetitions: the direction w = m is moved by m - x at every turn, whether or not x is new."""
    mean = features.mean(dim=0)
    direction, chosen = mean.clone(), dict[int, None]()
    for _ in range(TURNS):
        if len(chosen) >= count:
            break
        best = int((features @ direction).argmax())
        chosen.setdefault(best)
        direction += mean - features[best]
    rest = [index for index in nearest_to_mean(features, len(features)).tolist() if index not in chosen]
    return torch.tensor([*chosen, *rest], dtype=torch.int64)[:count]


ORDERS: Mapping[Selection, Callable[[Tensor, int], Tensor]] = {
    "nearest_to_mean": nearest_to_mean,
    "herding": herding,
    "icarl_original": icarl_original,
}
