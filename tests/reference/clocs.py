"""CLOCS, one pair at a time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tests.reference.cosines import cosine


def patient_contrast(
    z1: Tensor, z2: Tensor, patient: Sequence[object], *, temperature: float = 0.1, pairs: str = "all"
) -> Tensor:
    """The mean of the terms there are; `None` is an unknown patient."""
    terms: list[Tensor] = []
    for anchors, others in ((z1, z2), (z2, z1)):
        own, together = [], []
        for i in range(len(anchors)):
            similarities = [torch.exp(cosine(anchors[i], other) / temperature) for other in others]
            total = torch.stack(similarities).sum()
            for j in range(len(others)):
                surprise = -torch.log(similarities[j] / total)
                if i == j:
                    own.append(surprise)
                elif patient[i] is not None and patient[i] == patient[j] and (pairs == "all" or i < j):
                    together.append(surprise)
        terms.append(torch.stack(own).mean())
        if together:
            terms.append(torch.stack(together).mean())
    return torch.stack(terms).mean()
