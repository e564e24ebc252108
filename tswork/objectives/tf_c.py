"""TF-C's consistency: a sequence's time and frequency vectors are closer to each other than to those of changed views.

Paper: Zhang et al., "Self-Supervised Contrastive Pre-Training For Time Series via Time-Frequency Consistency", NeurIPS 2022,
section 4.3. S(a, b) is NT-Xent between two sets of vectors (small: close). With time vectors t, frequency vectors f, and t', f' those
of changed views,

    loss = sum over (t, f'), (t', f), (t', f') of   S(t, f) - S(pair) + 1

There is no hinge, so the margin of 1 has no gradient; cosines over a temperature bound each S, and with them the loss.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from tswork.objectives.info_nce import info_nce

MARGIN = 1.0


def consistency(
    time: Float[Tensor, "batch dim"],
    frequency: Float[Tensor, "batch dim"],
    changed_time: Float[Tensor, "batch dim"],
    changed_frequency: Float[Tensor, "batch dim"],
    *,
    temperature: float = 0.2,
) -> Float[Tensor, ""]:
    """The sum over the three pairs, in float32 or wider, also under autocast.

    >>> z = torch.eye(4)
    >>> round(consistency(z, z, z, z).item(), 6)  # all pairs are equally close
    3.0
    """

    def distance(a: Tensor, b: Tensor) -> Float[Tensor, ""]:
        return info_nce(a, b, temperature=temperature, among="both")

    together = distance(time, frequency)
    pairs = ((time, changed_frequency), (changed_time, frequency), (changed_time, changed_frequency))
    return torch.stack([together - distance(a, b) + MARGIN for a, b in pairs]).sum()
