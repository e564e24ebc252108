"""In which floating point type sums, exponentials and cosines are computed."""

from __future__ import annotations

import torch
from torch import Tensor


def wide(z: Tensor) -> Tensor:
    """The same numbers in float32 or wider, so that 16-bit floats (autocast) neither overflow nor lose small terms.

    >>> wide(torch.ones(1, dtype=torch.bfloat16)).dtype, wide(torch.ones(1, dtype=torch.float64)).dtype
    (torch.float32, torch.float64)
    """
    return z.to(torch.promote_types(z.dtype, torch.float32))
