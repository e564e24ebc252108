"""Distillation on the samples of a memory: of what an encoder hears, and of the tokens a decoder expects next.

Paper: Cappellazzo et al., "Sequence-Level Knowledge Distillation for Class-Incremental End-to-End Spoken Language
Understanding", Interspeech 2023 (arXiv 2305.13899), of which the abstract was at hand. Its three terms, each on samples of the
memory alone:

| term | here |
| --- | --- |
| audio (A-KD): squared error between the encoders' outputs | `frame_distillation` |
| token (T-KD): KL of next-token distributions when both are told the truth | `token_distillation` |
| sequence (S-KD): cross entropy on sequences that the teacher wrote | `tswork.objectives.token_cross_entropy`, with those as targets |

Padding takes no part, and neither do new samples: the teacher's rows of them are not read. Every frame and every token of the
memory weighs alike, so a value does not depend on how many classes, new samples or padding frames there are.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tswork.encoders.base import valid_steps
from tswork.objectives.base import Divisor, at_least_one
from tswork.precision import wide


def frame_distillation(
    student: Float[Tensor, "batch frame dim"],
    teacher: Float[Tensor, "batch frame dim"],
    is_memory: Bool[Tensor, "batch"],
    *,
    lengths: Int[Tensor, "batch"] | None = None,
    divisor: Divisor = at_least_one,
) -> Float[Tensor, ""]:
    """Mean squared difference of the real frames of the memory, in float32 or wider; 0 without any."""
    chosen = _chosen(student, is_memory, lengths)
    difference = torch.where(chosen[..., None], wide(student) - wide(teacher.detach()), 0.0)
    return difference.square().mean(dim=2).sum() / divisor(chosen.sum())


def token_distillation(
    student: Float[Tensor, "batch token vocabulary"],
    teacher: Float[Tensor, "batch token vocabulary"],
    is_memory: Bool[Tensor, "batch"],
    *,
    lengths: Int[Tensor, "batch"] | None = None,
    temperature: float = 1.0,
    divisor: Divisor = at_least_one,
) -> Float[Tensor, ""]:
    """Mean KL divergence of the student's from the teacher's next-token distributions, in float32 or wider; 0 without any.

    Both are logits, divided by the temperature; the mean is over the real tokens of the memory.
    """
    chosen = _chosen(student, is_memory, lengths)
    wanted = torch.where(chosen[..., None], wide(teacher.detach()), 0.0).div(temperature).log_softmax(dim=2)
    # A logit of -inf (a token that may not come) has no probability: what it would add is 0, not 0 times infinity.
    found = torch.where(chosen[..., None], wide(student), 0.0).div(temperature).log_softmax(dim=2)
    possible = wanted > -torch.inf
    gap = torch.where(possible, wanted, 0.0) - torch.where(possible, found, 0.0)
    divergence = (torch.where(possible, wanted.exp(), 0.0) * gap).sum(dim=2)
    return torch.where(chosen, divergence, 0.0).sum() / divisor(chosen.sum())


def _chosen(
    values: Float[Tensor, "batch step width"], is_memory: Bool[Tensor, "batch"], lengths: Int[Tensor, "batch"] | None
) -> Bool[Tensor, "batch step"]:
    """The real steps of the memory."""
    if lengths is None:
        return is_memory[:, None].expand(values.shape[:2])
    return valid_steps(lengths, values.shape[1]) & is_memory[:, None]
