"""iCaRL's loss and its classifier, one class of one sample at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor


def yes_or_no(
    logits: Tensor, labels: Sequence[int], teacher: Tensor | None, learned: Sequence[bool], distilled: Sequence[bool]
) -> float:
    """The mean over samples of known label of the sum over classes."""
    found = []
    for row, label in enumerate(labels):
        if label < 0:
            continue
        total = 0.0
        for column in range(logits.shape[1]):
            if learned[column]:
                target = 1.0 if column == label else 0.0
            elif distilled[column] and teacher is not None:
                target = 1 / (1 + math.exp(-float(teacher[row, column])))
            else:
                continue
            yes = 1 / (1 + math.exp(-float(logits[row, column])))
            total -= target * math.log(yes) + (1 - target) * math.log(1 - yes)
        found.append(total)
    return sum(found) / len(found) if found else 0.0


def nearest_means(vectors: Tensor, exemplars: Tensor, labels: Sequence[int]) -> list[int]:
    """The class of each vector: the one with the nearest mean of unit vectors, at unit length."""
    means = {}
    for label in sorted(set(labels)):
        own = [exemplars[row] / exemplars[row].norm() for row in range(len(labels)) if labels[row] == label]
        mean = sum(own[1:], own[0]) / len(own)
        means[label] = mean / mean.norm()
    found = []
    for vector in vectors:
        distance = {label: float((vector / vector.norm() - mean).norm()) for label, mean in means.items()}
        found.append(min(distance, key=distance.__getitem__))
    return found
