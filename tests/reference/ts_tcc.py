"""TS-TCC, one sequence and one step at a time."""

from __future__ import annotations

import torch
from torch import Tensor


def future_contrast(predicted: Tensor, actual: Tensor, valid: list[list[bool]], *, among: str = "futures") -> Tensor:
    """Mean over the valid steps of -log(exp(p . z) / sum over the batch's valid rivals)."""
    batch, steps, _ = predicted.shape
    losses = []
    for k in range(steps):
        there = [i for i in range(batch) if valid[i][k]]
        for i in there:
            if among == "futures":
                scores = torch.stack([predicted[i, k] @ actual[j, k] for j in there])
            else:
                scores = torch.stack([predicted[j, k] @ actual[i, k] for j in there])
            losses.append(scores.logsumexp(dim=0) - predicted[i, k] @ actual[i, k])
    return torch.stack(losses).mean() if losses else predicted.sum() * 0


def max_pooled(frames: Tensor, count: int, size: int) -> Tensor:
    """The largest value of every `size` real frames of one sequence; a last group may be smaller."""
    return torch.stack([frames[start : min(start + size, count)].amax(dim=0) for start in range(0, count, size)])
