"""TF-C, one sequence at a time: the spectrum from its definition, the consistency from its distances."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tests.reference.info_nce import info_nce


def amplitudes(x: Tensor) -> Tensor:
    """`(time, channel)` to `(frequency, channel)`: |sum of x_t exp(-2 pi i f t / T)| / sqrt(T); a missing value counts as 0."""
    time = len(x)
    filled = torch.where(x.isnan(), 0.0, x).to(torch.complex128)
    rows = []
    for frequency in range(time // 2 + 1):
        turns = [
            torch.exp(torch.tensor(-2j * math.pi * frequency * t / time, dtype=torch.complex128)) for t in range(time)
        ]
        rows.append(torch.stack([filled[t] * turn for t, turn in enumerate(turns)]).sum(dim=0).abs() / math.sqrt(time))
    return torch.stack(rows)


def consistency(t: Tensor, f: Tensor, changed_t: Tensor, changed_f: Tensor, *, temperature: float = 0.2) -> Tensor:
    """Three times the distance of time and frequency, less those of the pairs with a changed view, plus three margins."""

    def distance(a: Tensor, b: Tensor) -> Tensor:
        return info_nce(a, b, temperature=temperature, among="both")

    total: Tensor = (
        3 * distance(t, f) - distance(t, changed_f) - distance(changed_t, f) - distance(changed_t, changed_f)
    )
    return total + 3
