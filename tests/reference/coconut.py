"""COCONUT's losses and the distillation terms, one pair, one frame and one token at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from tests.reference.cosines import cosine


def distilled(
    student: Tensor,
    teacher: Tensor,
    labels: Sequence[object],
    is_memory: Sequence[bool],
    *,
    negatives: str,
    temperature: float,
    denominator: str = "all",
    own_positive: bool = True,
    repel_class: bool = True,
) -> Tensor:
    """NSPT (`negatives="student"`) or NTPT (`"teacher"`); a label of None is unknown."""
    of_anchors: list[Tensor] = []
    batch = range(len(student))
    others = student if negatives == "student" else teacher
    for k in batch:
        if not is_memory[k]:
            continue

        def alike(i: int, k: int = k) -> bool:
            return is_memory[i] and (i == k or (labels[i] is not None and labels[i] == labels[k]))

        repelled = [i for i in batch if (denominator == "all" or i != k) and (repel_class or i == k or not alike(i))]
        terms = []
        for p in batch:
            if not alike(p) or (p == k and not own_positive):
                continue
            positive = torch.exp(cosine(student[k], teacher[p]) / temperature)
            parts = [torch.exp(cosine(student[k], others[i]) / temperature) for i in repelled]
            if denominator == "with_positive":
                parts.append(positive)
            if parts:
                terms.append(-torch.log(positive / torch.stack(parts).sum()))
        if terms:
            of_anchors.append(torch.stack(terms).mean())
    return torch.stack(of_anchors).mean() if of_anchors else student.sum() * 0


def across(
    anchors: Tensor, candidates: Tensor, labels: Sequence[object], chosen: Sequence[bool], *, temperature: float
) -> Tensor:
    """One direction of the contrast of two modalities."""
    members = [i for i in range(len(anchors)) if chosen[i]]
    of_anchors = []
    for k in members:
        exponentials = {i: torch.exp(cosine(anchors[k], candidates[i]) / temperature) for i in members}
        total = torch.stack(list(exponentials.values())).sum()
        positives = [i for i in members if i == k or (labels[i] is not None and labels[i] == labels[k])]
        of_anchors.append(torch.stack([-torch.log(exponentials[p] / total) for p in positives]).mean())
    return torch.stack(of_anchors).mean()


def frame_distillation(student: Tensor, teacher: Tensor, is_memory: Sequence[bool], lengths: Sequence[int]) -> float:
    """The mean over frames of the memory of the mean over dimensions of squares."""
    found = []
    for row in range(len(student)):
        for frame in range(lengths[row]):
            if is_memory[row]:
                gaps = [float(a - b) ** 2 for a, b in zip(student[row, frame], teacher[row, frame], strict=True)]
                found.append(sum(gaps) / len(gaps))
    return sum(found) / len(found)


def token_distillation(
    student: Tensor, teacher: Tensor, is_memory: Sequence[bool], lengths: Sequence[int], *, temperature: float
) -> float:
    """The mean over tokens of the memory of the sum over the vocabulary of p log(p / q)."""
    found = []
    for row in range(len(student)):
        for token in range(lengths[row]):
            if is_memory[row]:
                p = _softmax([float(value) / temperature for value in teacher[row, token]])
                q = _softmax([float(value) / temperature for value in student[row, token]])
                found.append(sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0))
    return sum(found) / len(found)


def token_cross_entropy(logits: Tensor, targets: Tensor, lengths: Sequence[int], chosen: Sequence[bool]) -> float:
    """The mean over tokens of the chosen sequences of minus the log of the target's probability."""
    found = []
    for row in range(len(logits)):
        for token in range(lengths[row]):
            if chosen[row]:
                found.append(-math.log(_softmax(logits[row, token].tolist())[int(targets[row, token])]))
    return sum(found) / len(found)


def _softmax(values: Sequence[float]) -> list[float]:
    exponentials = [math.exp(value - max(values)) for value in values]
    return [value / sum(exponentials) for value in exponentials]
