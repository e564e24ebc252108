"""A-GEM's projection as it is written: one long vector, and an if."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def projected(gradients: Sequence[Tensor], references: Sequence[Tensor]) -> list[Tensor]:
    """Gradients without what points against the references."""
    gradient = torch.cat([one.flatten() for one in gradients])
    reference = torch.cat([one.flatten() for one in references])
    along = sum(float(a) * float(b) for a, b in zip(gradient, reference, strict=True))
    if along < 0:
        gradient = gradient - along / sum(float(b) ** 2 for b in reference) * reference
    pieces = gradient.split([one.numel() for one in gradients])
    return [piece.view_as(one) for piece, one in zip(pieces, gradients, strict=True)]
