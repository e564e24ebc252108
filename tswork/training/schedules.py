"""Learning rates over a training: a warm-up, and then constant, along half a cosine, or along a line to 0."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

Schedule = Literal["constant", "cosine", "linear"]


def schedules(
    optimisers: Mapping[str, Optimizer], *, schedule: Schedule, warm_up: float, steps: int
) -> Mapping[str, LambdaLR]:
    """The same schedule for each of several optimisers, by name; none where rates stay what they are."""
    if schedule == "constant" and warm_up == 0:
        return {}
    return {
        name: scheduled(optimiser, schedule=schedule, warm_up=warm_up, steps=steps)
        for name, optimiser in optimisers.items()
    }


def scheduled(optimiser: Optimizer, *, schedule: Schedule, warm_up: float, steps: int) -> LambdaLR:
    """A schedule over so many steps, the same for all groups of the optimiser, each from its own rate."""
    return LambdaLR(optimiser, lambda step: share(step, schedule=schedule, warm_up=warm_up, steps=steps))


def share(step: int, *, schedule: Schedule, warm_up: float, steps: int) -> float:
    """The share of the full rate that a step (counted from 0) has; `warm_up` is a share of the steps.

    The first step has a share above 0 already, and the last one too: the rate reaches 0 behind it.

    >>> [round(share(step, schedule="linear", warm_up=0.5, steps=4), 2) for step in range(4)]
    [0.5, 1.0, 1.0, 0.5]
    """
    rising = math.ceil(warm_up * steps)
    if step < rising:
        return (step + 1) / rising
    if schedule == "constant":
        return 1.0
    done = min(1.0, (step - rising) / max(1, steps - rising))
    return 1 - done if schedule == "linear" else (1 + math.cos(math.pi * done)) / 2
