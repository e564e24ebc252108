"""Which sequences have the same content: a few values of each tell most apart, and only what is left is read whole."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from jaxtyping import Int, Int64, Shaped
from torch import Tensor

from tswork.data.collection import Collection

SAMPLED = 16
"""Values of each sequence, evenly spread, that are looked at first."""
FEWEST = 8
"""A sequence of fewer values says too little: equal content may be chance."""


def twins(collection: Collection, rows: Int[Tensor, "row"] | None = None) -> Int[Tensor, "row"]:
    """For each of some sequences (none given: all) the first among them with the same values, bit for bit; else itself.

    Sequences of fewer than `FEWEST` values, and those in which no channel ever changes, are nobody's twins: a device that was
    switched off tells nothing of who wore it.
    """
    first = torch.arange(len(collection)) if rows is None else rows.clone()
    chosen = first.numpy()
    lengths = collection.lengths.numpy()[chosen]
    candidates = _several(lengths[:, None])
    candidates = candidates[lengths[candidates] * collection.values.shape[1] >= FEWEST]
    candidates = candidates[_several(_samples(collection, chosen[candidates]))]
    seen: dict[bytes, int] = {}
    for position in candidates.tolist():
        row = int(chosen[position])
        content = np.ascontiguousarray(collection.sequence(row).numpy())
        bits = content.view(f"i{content.dtype.itemsize}")
        if (bits == bits[:1]).all():
            continue
        first[position] = seen.setdefault(hashlib.blake2b(content.data, digest_size=16).digest(), row)
    return first


def _several(keys: Shaped[np.ndarray, "row key"]) -> Int64[np.ndarray, "found"]:
    """Rows whose key another row has too."""
    if not len(keys):
        return np.zeros(0, np.int64)
    whole = np.ascontiguousarray(keys).view(np.dtype((np.void, keys.dtype.itemsize * keys.shape[1])))[:, 0]
    _, inverse, count = np.unique(whole, return_inverse=True, return_counts=True)
    return np.flatnonzero(count[inverse] > 1)


def _samples(collection: Collection, rows: Int64[np.ndarray, "row"]) -> Int64[np.ndarray, "row sampled"]:
    """The number of values of each sequence, and the bits of `SAMPLED` of them."""
    flat = collection.values.contiguous().numpy().reshape(-1)
    width = collection.values.shape[1]
    sizes = collection.lengths.numpy()[rows] * width
    inside = np.arange(SAMPLED) * (sizes[:, None] - 1) // (SAMPLED - 1)
    found = flat[collection.offsets.numpy()[rows][:, None] * width + inside]
    return np.concatenate([sizes[:, None], found.view(f"i{found.dtype.itemsize}").astype(np.int64)], axis=1)
