"""The uniform mean of the initial weights and of every iterate after it, or of the iterates from some step on.

This is the average that TS2Vec, AutoTCL and COMET judge (stochastic weight averaging, in their released code from the first
step on), not an exponential one. Only parameters are averaged; buffers such as running statistics keep their latest values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from tswork.methods.weights import fixed_names


class WeightAverage:
    """Mean over snapshots of a module's parameters; the first snapshot is taken at once.

    The first `after` snapshots do not count: while only they were taken, the mean is the latest.

    >>> layer = nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.zeros_(layer.weight)
    >>> average = WeightAverage(layer)
    >>> _ = nn.init.ones_(layer.weight)
    >>> for _ in range(9):
    ...     average.update()
    >>> round(average.means["weight"].item(), 6)
    0.9
    """

    def __init__(self, module: nn.Module, *, after: int = 0) -> None:
        fixed = fixed_names(module)
        self._names = [name for name, one in module.named_parameters() if one.is_floating_point() and name not in fixed]
        parameters = dict(module.named_parameters())
        self._live: list[Tensor] = [parameters[name] for name in self._names]
        self._means = [parameter.detach().clone() for parameter in self._live]
        self._after = after
        self.count = 1
        """Snapshots taken so far, those that do not count included."""

    @property
    def means(self) -> dict[str, Tensor]:
        """The mean of each parameter by name."""
        return dict(zip(self._names, self._means, strict=True))

    @torch.no_grad()
    def update(self) -> None:
        """Take the parameters as they are into the mean."""
        self.count += 1
        torch._foreach_lerp_(self._means, self._live, 1 / max(1, self.count - self._after))

    @torch.no_grad()
    def apply(self) -> None:
        """Set the module's parameters to the mean."""
        torch._foreach_copy_(self._live, self._means)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The module with averaged parameters for a while."""
        latest = [parameter.detach().clone() for parameter in self._live]
        self.apply()
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self._live, latest)

    @torch.no_grad()
    def restore(self, means: Mapping[str, Tensor], count: int) -> None:
        """Go on from the mean after `count` snapshots."""
        torch._foreach_copy_(self._means, [means[name].to(mean) for name, mean in self.means.items()])
        self.count = count
