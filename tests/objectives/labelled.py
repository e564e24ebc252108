"""Small labelled sets of vectors whose losses are known."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from tswork.config import configure
from tswork.objectives.base import LabelledLoss

PAIRS = torch.eye(2, dtype=torch.float64)[[0, 0, 1, 1]]
"""Two classes, each in one direction of its own."""
OF_PAIRS = torch.tensor([0, 0, 1, 1])
ANGLES = torch.tensor([0, 30, 60, 90], dtype=torch.float64) * math.pi / 180
FAN = torch.stack([ANGLES.cos(), ANGLES.sin()], dim=1)
"""Unit vectors at 0, 30, 60 and 90 degrees; the last is of another class."""
OF_FAN = torch.tensor([0, 0, 0, 1])
MIXED = [0, 1, 0, 2, 1, 0, 3, 2]
"""Classes of eight vectors; one class has one vector."""
WITHOUT_COMPARISON = [[0, 1, 2, 3], [-1, -1, -1, -1], [0, -1, -1, 1]]
"""Classes of four vectors among which there is nothing to draw together."""


def vectors(rows: int = 8, dim: int = 5, *, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    return torch.randn(rows, dim, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def loss_of(name: str, z: Tensor, labels: Any, *, weights: nn.Module | None = None, **options: Any) -> LabelledLoss:
    """What a registered objective says."""
    objective = configure("labelled_objective", {"uses": name, **options}).build()
    found: LabelledLoss = objective(z, torch.as_tensor(labels), weights=weights)
    return found


def turned(z: Tensor) -> Tensor:
    """The same vectors after a rotation."""
    rotation, _ = torch.linalg.qr(vectors(z.shape[1], z.shape[1], dtype=z.dtype, seed=7))
    moved: Tensor = z @ rotation
    return moved
