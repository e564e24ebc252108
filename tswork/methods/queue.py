"""What MoCo keeps beside the encoder: a queue of embeddings, and a copy of the encoder that follows it slowly.

He et al., "Momentum Contrast for Unsupervised Visual Representation Learning", CVPR 2020. Both are modules, so that they
are in the checkpoint.
"""

from __future__ import annotations

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class Queue(nn.Module):
    """The newest embeddings of earlier batches, the oldest overwritten first; it begins with random directions, as MoCo's."""

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.entries: Tensor
        self.written: Tensor
        self.register_buffer("entries", functional.normalize(torch.randn(size, dim), dim=1))
        self.register_buffer("written", torch.zeros((), dtype=torch.int64))

    def read(self) -> Float[Tensor, "entry dim"]:
        """A copy of all entries: they change before the gradient is taken."""
        return self.entries.clone()

    @torch.no_grad()
    def write(self, z: Float[Tensor, "batch dim"]) -> None:
        """Put embeddings in, the oldest making room; of more than fit, the last ones stay."""
        size = len(self.entries)
        index = (self.written + torch.arange(len(z), device=z.device)) % size
        self.entries[index[-size:]] = z[-size:].to(self.entries.dtype)
        self.written += len(z)


class Follower(nn.Module):
    """A copy of a module that takes no gradient; its weights are an exponential mean of the original's."""

    def __init__(self, module: nn.Module, *, momentum: float) -> None:
        super().__init__()
        self.copy = copy.deepcopy(module).requires_grad_(False)
        self._momentum = momentum

    @torch.no_grad()
    def follow(self, module: nn.Module) -> None:
        """One step of every weight towards the original's: `momentum * own + (1 - momentum) * other`."""
        own: list[Tensor] = list(self.copy.parameters())
        others: list[Tensor] = list(module.parameters())
        torch._foreach_lerp_(own, others, 1 - self._momentum)
