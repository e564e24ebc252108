"""A mixture of augmentations whose weights can be learned: the weighted mean of what each of them makes of a sequence.

Luo et al., "Time Series Contrastive Learning with Information-Aware Augmentations" (InfoTS), AAAI 2023. The weights are a softmax
of one logit an augmentation, all equal at first. For each sequence every augmentation is applied with one probability and
independently of the others; one that is not applied contributes the sequence as it is.

A value is missing in the mixture exactly when it is in the sequence; where an augmentation has none, it contributes the
sequence's own. A step that one of the applied augmentations hides from the encoder is hidden.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tswork.augment.base import Augmentation, View


class Mixture(nn.Module):
    """Augmentations that keep every length, and the logits of their weights."""

    def __init__(self, augmentations: Sequence[Augmentation[Any]], *, probability: float) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(len(augmentations)))
        self._augmentations = tuple(augmentations)
        self._probability = probability

    @property
    def weights(self) -> Float[Tensor, "augmentation"]:
        """The share of each augmentation; they sum to one."""
        return self.logits.softmax(dim=0)

    def forward(self, view: View, *, generator: torch.Generator) -> View:
        """The mixture of a view; gradients reach the logits."""
        x, keep = view.x, view.keep
        missing = x.isnan()
        shape = (len(self._augmentations), len(x), 1, 1)
        applied = torch.rand(shape, generator=generator, device=x.device) < self._probability
        mixed = torch.zeros_like(x)
        for weight, augmentation, on in zip(self.weights, self._augmentations, applied, strict=True):
            changed = augmentation(view, generator=generator)
            member = torch.where(on & ~changed.x.isnan(), changed.x, x)
            # A weight times a missing value would have no gradient that is a number.
            mixed = mixed + weight * member.masked_fill(missing, 0.0)
            if changed.keep is not None:
                seen = changed.keep | ~on[..., 0]
                keep = seen if keep is None else keep & seen
        return View(mixed.to(x.dtype).masked_fill(missing, torch.nan), view.lengths, keep)
