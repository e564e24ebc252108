"""Co2L's losses, one pair at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.reference.cosines import cosine


def asymmetric_contrast(z: Tensor, labels: list[int], is_memory: list[bool], *, temperature: float) -> Tensor:
    """Supervised contrast of new samples against all others; a label of -1 takes no part."""
    members = [i for i in range(len(z)) if labels[i] >= 0]
    of_anchors = []
    for i in members:
        positives = [p for p in members if p != i and labels[p] == labels[i]]
        if is_memory[i] or not positives:
            continue
        exponentials = {j: torch.exp(cosine(z[i], z[j]) / temperature) for j in members if j != i}
        total = torch.stack(list(exponentials.values())).sum()
        of_anchors.append(torch.stack([-torch.log(exponentials[p] / total) for p in positives]).mean())
    return torch.stack(of_anchors).mean() if of_anchors else z.sum() * 0


def relation_distillation(
    student: Tensor, teacher: Tensor, *, temperature: float, teacher_temperature: float
) -> Tensor:
    """Cross entropy between the rows of similarities with all others."""
    rows = []
    for i in range(len(student)):
        others = [j for j in range(len(student)) if j != i]
        if not others:
            continue
        wanted = torch.softmax(torch.stack([cosine(teacher[i], teacher[j]) / teacher_temperature for j in others]), 0)
        found = torch.softmax(torch.stack([cosine(student[i], student[j]) / temperature for j in others]), 0)
        rows.append(-(wanted * torch.log(found)).sum())
    return torch.stack(rows).mean() if rows else student.sum() * 0
