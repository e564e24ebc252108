"""Optimisers as torch computes them, in less memory.

torch's optimisers import its compiler when they are made and at every step, to keep out of what it compiles. Nothing is
compiled here, and the import alone takes seconds and 160 MB, which a training would hold to its end. Methods are therefore
taken from behind the wrappers that import; where a version of torch has none, they are what is found.

On a CPU torch's AdamW (Loshchilov and Hutter, ICLR 2019) reads and writes every tensor once an operation and makes two more
of each weight's size. Here a weight is updated piece by piece, which stays in the processor's cache; bit by bit the same.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, overload

import torch
from torch import Tensor
from torch.optim import Optimizer

PIECE = 2**17
"""Numbers that are updated at a time."""

WRAPPED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")

Kind = TypeVar("Kind", bound=Optimizer)


def without_compiler(optimiser: type[Kind]) -> type[Kind]:
    """The same optimiser: equal updates, equal state."""
    methods: dict[str, Any] = {name: inspect.unwrap(getattr(optimiser, name)) for name in WRAPPED}
    methods["step"] = torch.no_grad()(inspect.unwrap(optimiser.step))
    return type(optimiser.__name__, (optimiser,), methods)


SGD = without_compiler(torch.optim.SGD)
Adam = without_compiler(torch.optim.Adam)
_TorchAdamW = without_compiler(torch.optim.AdamW)


class AdamW(_TorchAdamW):  # type: ignore[misc,valid-type]  # a class made by a function
    """`torch.optim.AdamW`: the same updates and the same state."""

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update of every weight that has a gradient."""
        weights = [weight for group in self.param_groups for weight in group["params"]]
        if closure is not None or not all(weight.device.type == "cpu" for weight in weights):
            found: float | None = super().step(closure)
            return found
        with torch.no_grad():
            for group in self.param_groups:
                for weight in group["params"]:
                    if weight.grad is not None:
                        _update(weight, weight.grad, self.state[weight], group)
        return None


def _update(weight: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    if not state:
        state["step"] = torch.tensor(0.0)
        state["exp_avg"] = torch.zeros_like(weight, memory_format=torch.preserve_format)
        state["exp_avg_sq"] = torch.zeros_like(weight, memory_format=torch.preserve_format)
    state["step"] += 1
    rate, (beta1, beta2) = group["lr"], group["betas"]
    count = state["step"].item()
    size, root = rate / (1 - beta1**count), math.sqrt(1 - beta2**count)
    for part, of_part, mean, square in _pieces(weight, gradient, state["exp_avg"], state["exp_avg_sq"]):
        part.mul_(1 - rate * group["weight_decay"])
        mean.lerp_(of_part, 1 - beta1)
        square.mul_(beta2).addcmul_(of_part, of_part, value=1 - beta2)
        part.addcdiv_(mean, square.sqrt().div_(root).add_(group["eps"]), value=-size)


def _pieces(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Views of some consecutive numbers of each; the tensors themselves where they are small or lie otherwise in memory."""
    if tensors[0].numel() <= PIECE or not all(tensor.is_contiguous() for tensor in tensors):
        yield tensors
        return
    yield from zip(*(tensor.view(-1).split(PIECE) for tensor in tensors), strict=True)
