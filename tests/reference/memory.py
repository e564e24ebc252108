"""Herding and a reservoir, one sample at a time."""

from __future__ import annotations

import torch
from torch import Tensor


def herding(features: Tensor, count: int) -> list[int]:
    """Each next sample brings the mean of those taken nearest to the mean of all."""
    mean = features.mean(dim=0)
    chosen: list[int] = []
    while len(chosen) < min(count, len(features)):
        best, least = -1, float("inf")
        for index in range(len(features)):
            if index not in chosen:
                distance = float((mean - torch.stack([features[one] for one in [*chosen, index]]).mean(dim=0)).norm())
                if distance < least - 1e-12:
                    best, least = index, distance
        chosen.append(best)
    return chosen


def reservoir(stream: int, size: int, seen: int, shares: list[float]) -> list[int]:
    """Vitter's algorithm R: which sample of the stream is in each place, -1 for what was there before."""
    places: list[int] = [-1] * min(size, seen)
    for index in range(stream):
        number = seen + index
        if number < size:
            places.append(index)
            continue
        place = int(shares[index] * (number + 1))
        if place < size:
            places[place] = index
    return places
