"""One trained vector a class, for objectives that compare vectors with classes instead of with each other."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class ClassWeights(nn.Module):
    """Vectors `(class, dim)`, drawn from a normal distribution: their directions are uniform, and only those count."""

    vectors: Float[Tensor, "class dim"]

    def __init__(self, classes: int, dim: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(classes, dim))


def vectors_of(weights: nn.Module | None) -> Float[Tensor, "class dim"]:
    """The vectors of class weights that an objective cannot do without."""
    assert isinstance(weights, ClassWeights), "an objective of classes is called with what its `class_weights` gave"
    return weights.vectors
