"""Co2L's losses: new samples are contrasted with all others, and who is like whom stays as a teacher had it.

Cha et al., "Co2L: Contrastive Continual Learning", ICCV 2021. Unit vectors of a batch of new samples and samples of a memory are
compared.

| function | anchors | is |
| --- | --- | --- |
| `asymmetric_contrast` | new samples | supervised contrast (`out`); of the memory are positives and negatives, but no anchors |
| `relation_distillation` | all | cross entropy of rows of similarities with all others: the teacher's softmax and the student's |

COCONUT's `nspt` is the mirror image of the first: there samples of the memory are the anchors.

| | here | authors' code |
| --- | --- | --- |
| anchors without a positive | take no part in the mean | divide 0 by 0 |
| ratio of temperatures | none | times temperature / 0.07 |
| over anchors | the mean | the mean |

What is said of the authors' code is from notes on it and not verified.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tswork.objectives.cosines import cosines
from tswork.objectives.supervised import supervised_contrast
from tswork.precision import wide


def asymmetric_contrast(
    z: Float[Tensor, "batch dim"],
    labels: Int[Tensor, "batch"],
    is_memory: Bool[Tensor, "batch"],
    *,
    temperature: float = 0.5,
) -> Float[Tensor, ""]:
    """Supervised contrast with new samples as anchors, in float32 or wider; 0 where no anchor has a positive.

    A label of -1 is unknown: the sample takes no part.

    >>> z, old = torch.eye(2)[[0, 0, 1, 1]], torch.tensor([False, False, True, True])
    >>> round(asymmetric_contrast(z, torch.tensor([0, 0, 1, 1]), old, temperature=1.0).item(), 6)  # log(1 + 2 / e)
    0.551445
    """
    return supervised_contrast(z, labels, temperature=temperature, among=~is_memory)


def relation_distillation(
    student: Float[Tensor, "batch dim"],
    teacher: Float[Tensor, "batch dim"],
    *,
    temperature: float = 0.2,
    teacher_temperature: float = 0.01,
) -> Float[Tensor, ""]:
    """Instance-wise relation distillation: the mean over samples, in float32 or wider; 0 for fewer than three.

    A sample's relation to all others is the softmax of its cosines with them. The teacher gets no gradient. The least value is
    the entropy of the teacher's rows, not 0.

    >>> z = torch.eye(3)  # all others are alike
    >>> round(relation_distillation(z, z).item(), 6)  # log 2
    0.693147
    """
    wanted = _relations(teacher.detach(), teacher_temperature).exp()
    found = _relations(student, temperature)
    return -(wanted * found).sum() / max(1, len(student))


def _relations(z: Float[Tensor, "batch dim"], temperature: float) -> Float[Tensor, "batch batch"]:
    """The logarithm of each row's softmax over the others; of itself the least number there is, whose exponential is 0."""
    vectors = wide(z)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    logits = cosines(vectors, vectors) / temperature
    # Not minus infinity: 0 times it would be no number.
    return logits.masked_fill(itself, torch.finfo(logits.dtype).min / 2).log_softmax(dim=1)
