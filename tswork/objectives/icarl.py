"""iCaRL's loss: every class says yes or no, new ones as the labels do, old ones as a teacher did.

Rebuffi et al., "iCaRL: Incremental Classifier and Representation Learning", CVPR 2017, algorithm 3. With logits o of a sample with
label y, g = sigmoid(o), and the teacher's q = sigmoid(its logits),

    - sum over learned c    of  [y = c] log g_c + [y != c] log(1 - g_c)
    - sum over distilled c  of       q_c log g_c +  (1 - q_c) log(1 - g_c)

for new samples and those of a memory alike. Classes that are neither have not come yet, and cost nothing.

| | here | paper |
| --- | --- | --- |
| over samples | the mean | the sum |
| a class that comes again in a later task | is learned again, not distilled | does not happen |
| a sample of unknown label (-1) | takes no part | does not happen |
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from tswork.objectives.base import Divisor, at_least_one
from tswork.precision import wide


def yes_or_no(
    logits: Float[Tensor, "batch class"],
    labels: Int[Tensor, "batch"],
    teacher: Float[Tensor, "batch class"] | None = None,
    *,
    learned: Bool[Tensor, "class"],
    distilled: Bool[Tensor, "class"] | None = None,
    divisor: Divisor = at_least_one,
) -> Float[Tensor, ""]:
    """Binary cross entropy, summed over classes; the teacher's are logits. In float32 or wider; 0 without samples.

    No class is to be both learned and distilled. The teacher's logits of other than distilled classes are not read.

    >>> logits, learned = torch.zeros(1, 3), torch.tensor([True, True, False])
    >>> round(yes_or_no(logits, torch.tensor([1]), learned=learned).item(), 6)  # 2 log 2
    1.386294
    """
    found, known = wide(logits), labels >= 0
    targets = (labels[:, None] == torch.arange(found.shape[1], device=labels.device)).to(found.dtype)
    counted = learned
    if teacher is not None and distilled is not None:
        targets = torch.where(distilled, wide(teacher.detach()).sigmoid(), targets)
        counted = learned | distilled
    # -t log g - (1 - t) log(1 - g), with g = sigmoid(o)
    surprise = torch.where(counted, functional.softplus(found) - targets * found, 0.0).sum(dim=1)
    return torch.where(known, surprise, 0.0).sum() / divisor(known.sum())
