"""The cosine of two vectors, as it is defined."""

from __future__ import annotations

from torch import Tensor


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Their product over their lengths."""
    similarity: Tensor = (a @ b) / (a.norm() * b.norm())
    return similarity
