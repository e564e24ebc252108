"""Cross entropy of target sequences, token by token; padding takes no part.

With targets that a teacher wrote it is sequence-level distillation (Kim and Rush, "Sequence-Level Knowledge Distillation",
EMNLP 2016).
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tswork.encoders.base import valid_steps
from tswork.objectives.base import Divisor, at_least_one
from tswork.precision import wide


def token_cross_entropy(
    logits: Float[Tensor, "batch token vocabulary"],
    targets: Int[Tensor, "batch token"],
    lengths: Int[Tensor, "batch"],
    *,
    among: Bool[Tensor, "batch"] | None = None,
    smoothing: float = 0.0,
    divisor: Divisor = at_least_one,
) -> Float[Tensor, ""]:
    """Mean over the real tokens of the chosen sequences (None: all), in float32 or wider; 0 without any.

    `smoothing` gives that share of the target's probability to all tokens alike.
    """
    chosen = valid_steps(lengths, targets.shape[1])
    if among is not None:
        chosen = chosen & among[:, None]
    surprise = -token_log_probabilities(logits, targets)
    if smoothing:
        even = -wide(logits).log_softmax(dim=2).mean(dim=2)
        surprise = (1 - smoothing) * surprise + smoothing * even
    return torch.where(chosen, surprise, 0.0).sum() / divisor(chosen.sum())


def sequence_log_probability(
    logits: Float[Tensor, "batch token vocabulary"], targets: Int[Tensor, "batch token"], lengths: Int[Tensor, "batch"]
) -> Float[Tensor, "batch"]:
    """The log-probability of each whole sequence: the sum over its real tokens."""
    real = valid_steps(lengths, targets.shape[1])
    return torch.where(real, token_log_probabilities(logits, targets), 0.0).sum(dim=1)


def token_log_probabilities(
    logits: Float[Tensor, "batch token vocabulary"], targets: Int[Tensor, "batch token"]
) -> Float[Tensor, "batch token"]:
    """The log-probability of every target token, padding included."""
    return wide(logits).log_softmax(dim=2).gather(2, targets[..., None]).squeeze(2)
