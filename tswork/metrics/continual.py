"""What a model that learns one task after another keeps: averages, forgetting and transfer, each variant under its own name.

`R[i, j]` is the score on task j after training on task i; rows are times, columns tasks. Cells above the diagonal (tasks not yet
seen) may be NaN; only `forward_transfer` reads them. Scores are the better the larger; `lower_is_better` turns word error rates
round, so that transfer above 0 is always a gain and forgetting above 0 always a loss. With T tasks and A_i the score on the tasks
up to i after task i:

| name | what | where it is from |
| --- | --- | --- |
| `average_accuracy` | mean of A_i | by sample (tasks weigh as their test items) or by task |
| `last_accuracy` | A of the last task | the same |
| `triangle_accuracy` | mean of all R[i, j], j <= i | Diaz-Rodriguez et al., 2018 |
| `forgetting`, `best_before` | mean over j < T-1 of max of R[l, j], j <= l < T-1, less R[T-1, j] | Chaudhry et al., ECCV 2018 |
| `best_ever` | the same with l = T-1 among them: never below 0 | |
| `first` | R[j, j] less R[T-1, j] | |
| `backward_transfer`, `last_row` | mean over j < T-1 of R[T-1, j] - R[j, j] | Lopez-Paz and Ranzato, NeurIPS 2017 |
| `triangle` | mean over all j < i of R[i, j] - R[j, j] | Diaz-Rodriguez et al., 2018 |
| `forward_transfer` | mean over j >= 1 of R[j-1, j] - b[j], b the untrained model | Lopez-Paz and Ranzato, NeurIPS 2017 |

One task has neither forgetting nor transfer: both are 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from tswork.wording import counted, worded

Forgetting = Literal["best_before", "best_ever", "first"]
Backward = Literal["last_row", "triangle"]


def accuracy_matrix(rows: Sequence[Sequence[float | int]]) -> Float[np.ndarray, "task task"]:
    """A matrix from rows of at least i + 1 scores each; what a row does not have is NaN.

    Raises `ValueError` for a row that lacks a task seen so far, or has more than there are.
    """
    tasks = len(rows)
    matrix = np.full((tasks, tasks), np.nan)
    for index, row in enumerate(rows):
        if not index < len(row) <= tasks:
            has = f"row {index} has {counted(len(row), 'score')}"
            raise ValueError(
                f"{has}: after task {index} of {tasks}, {index + 1} {worded(index + 1, 'is', 'are')} known"
            )
        matrix[index, : len(row)] = row
    return matrix


def accuracies(
    matrix: Float[np.ndarray, "task task"], *, counts: Int[np.ndarray, "task"] | None = None
) -> Float[np.ndarray, "task"]:
    """A_i of every i: the mean of the tasks seen so far, each weighing as its `counts` test items (None: alike)."""
    weights = np.tril(np.broadcast_to(np.ones(len(matrix)) if counts is None else counts, matrix.shape))
    return np.asarray((np.where(weights > 0, matrix, 0.0) * weights).sum(axis=1) / weights.sum(axis=1))


def average_accuracy(matrix: Float[np.ndarray, "task task"], *, counts: Int[np.ndarray, "task"] | None = None) -> float:
    """The mean of A_i over all times."""
    return float(accuracies(matrix, counts=counts).mean())


def last_accuracy(matrix: Float[np.ndarray, "task task"], *, counts: Int[np.ndarray, "task"] | None = None) -> float:
    """A_i after the last task."""
    return float(accuracies(matrix, counts=counts)[-1])


def triangle_accuracy(matrix: Float[np.ndarray, "task task"]) -> float:
    """The mean of all scores on tasks seen so far."""
    return float(matrix[np.tril_indices(len(matrix))].mean())


def forgetting(
    matrix: Float[np.ndarray, "task task"], *, variant: Forgetting = "best_before", lower_is_better: bool = False
) -> float:
    """How much of the score on a task was lost by the end, on average over the tasks before the last."""
    if len(matrix) < 2:
        return 0.0
    scores = -matrix if lower_is_better else matrix
    seen = np.where(np.tril(np.ones_like(scores, dtype=bool)), scores, -np.inf)
    best = scores.diagonal() if variant == "first" else (seen[:-1] if variant == "best_before" else seen).max(axis=0)
    return float((best - scores[-1])[:-1].mean())


def backward_transfer(
    matrix: Float[np.ndarray, "task task"], *, variant: Backward = "last_row", lower_is_better: bool = False
) -> float:
    """How much later tasks changed the score on earlier ones, compared with right after learning them."""
    if len(matrix) < 2:
        return 0.0
    gains = (-1.0 if lower_is_better else 1.0) * (matrix - matrix.diagonal())
    chosen = gains[-1, :-1] if variant == "last_row" else gains[np.tril_indices(len(gains), -1)]
    return float(chosen.mean())


def forward_transfer(
    matrix: Float[np.ndarray, "task task"],
    *,
    untrained: Float[np.ndarray, "task"] | None = None,
    lower_is_better: bool = False,
) -> float:
    """How much better than untrained a model is on a task just before it learns it.

    Without the scores of the untrained model they count as 0. NaN where the matrix lacks what stands right of its diagonal.
    """
    if len(matrix) < 2:
        return 0.0
    ahead = matrix.diagonal(offset=1) - (0.0 if untrained is None else untrained[1:])
    return float((-ahead if lower_is_better else ahead).mean())


def continual_measures(
    matrix: Float[np.ndarray, "task task"],
    *,
    counts: Int[np.ndarray, "task"] | None = None,
    untrained: Float[np.ndarray, "task"] | None = None,
    lower_is_better: bool = False,
) -> dict[str, float]:
    """Every figure by a name that tells its variant; those that need `counts` or `untrained` are there when these are."""
    turned: dict[str, float] = {
        "forgetting": forgetting(matrix, lower_is_better=lower_is_better),
        "forgetting_best_ever": forgetting(matrix, variant="best_ever", lower_is_better=lower_is_better),
        "forgetting_first": forgetting(matrix, variant="first", lower_is_better=lower_is_better),
        "backward_transfer": backward_transfer(matrix, lower_is_better=lower_is_better),
        "backward_transfer_triangle": backward_transfer(matrix, variant="triangle", lower_is_better=lower_is_better),
    }
    found = {
        "average_accuracy_by_task": average_accuracy(matrix),
        "last_accuracy_by_task": last_accuracy(matrix),
        "triangle_accuracy": triangle_accuracy(matrix),
    } | turned
    if counts is not None:
        found |= {
            "average_accuracy_by_sample": average_accuracy(matrix, counts=counts),
            "last_accuracy_by_sample": last_accuracy(matrix, counts=counts),
        }
    if untrained is not None:
        found["forward_transfer"] = forward_transfer(matrix, untrained=untrained, lower_is_better=lower_is_better)
    return found
