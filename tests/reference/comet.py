"""COMET's losses loop by loop from its formulas, and a whole training step in the structure it was published in.

The loops are the twins that tests compare with. The step is what `benchmarks/comet.py` measures against: two encoder passes for
each of four levels, masks by loops on the host, every similarity matrix whole with its triangles put together, exponentials and
sums without a shift. Both are written from the formulas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from tests.reference import encoders
from tests.reference.ts2vec import of_whole_matrix
from tswork.encoders.dilated_conv import DilatedConv


def observation_contrast(h1: Tensor, h2: Tensor) -> Tensor:
    """Mean over series, steps and both views of the cross entropy of the twin among the 2T - 1 other items of the series."""
    losses = [
        _cross_entropy(own[i], other[i], t)
        for own, other in ((h1, h2), (h2, h1))
        for i in range(len(h1))
        for t in range(h1.shape[1])
    ]
    return torch.stack(losses).mean()


def sample_contrast(h1: Tensor, h2: Tensor) -> Tensor:
    """The same among the 2B - 1 other items of the step."""
    losses = [
        _cross_entropy(own[:, t], other[:, t], i)
        for own, other in ((h1, h2), (h2, h1))
        for i in range(len(h1))
        for t in range(h1.shape[1])
    ]
    return torch.stack(losses).mean()


def _cross_entropy(own: Tensor, other: Tensor, anchor: int) -> Tensor:
    terms = [torch.exp(torch.dot(own[anchor], other[j])) for j in range(len(other))]
    terms += [torch.exp(torch.dot(own[anchor], own[j])) for j in range(len(own)) if j != anchor]
    return torch.log(torch.stack(terms).sum()) - torch.dot(own[anchor], other[anchor])


def scales(h1: Tensor, h2: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Both views at each length above one; a single step as it is."""
    found = [(h1, h2)]
    while h1.shape[1] // 2 > 1:
        h1, h2 = (
            torch.stack([torch.maximum(z[:, 2 * t], z[:, 2 * t + 1]) for t in range(z.shape[1] // 2)], dim=1)
            for z in (h1, h2)
        )
        found.append((h1, h2))
    return found


def group_contrast(
    h1: Tensor,
    h2: Tensor,
    group: Sequence[int],
    *,
    temperature: float = 0.1,
    similarity: str = "flattened",
    variant: str = "paper",
) -> Tensor:
    """The loss of trial or patient level, pair by pair; `reference`: positives come later in the batch, pairs weigh alike."""
    first, second = ([_vector(one, similarity) for one in h] for h in (h1, h2))
    size = len(group)
    losses: list[Tensor] = []
    for own, other in ((first, second), (second, first)):
        of_view: list[Tensor] = []
        for i in range(size):
            logits = torch.stack([_cosine(own[i], other[j]) / temperature for j in range(size)])
            start = i + 1 if variant == "reference" else 0
            positives = [j for j in range(start, size) if j != i and group[i] == group[j] != -1]
            costs = [torch.log(torch.exp(logits).sum()) - logits[j] for j in positives]
            if variant == "reference":
                of_view += costs
            elif costs:
                of_view.append(torch.stack(costs).mean())
        if of_view:
            losses.append(torch.stack(of_view).mean())
    return torch.stack(losses).mean() if losses else h1.new_zeros(())


def _vector(h: Tensor, similarity: str) -> Tensor:
    if similarity == "pooled":
        return h.max(dim=0).values
    if similarity == "time":
        h = torch.stack([_unit(h[:, channel]) for channel in range(h.shape[1])], dim=1)
    return h.flatten()


def _unit(vector: Tensor) -> Tensor:
    norm = vector.norm()
    return vector / norm if norm > 0 else torch.zeros_like(vector)


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    return torch.dot(_unit(a), _unit(b))


def published_step_loss(
    encoder: DilatedConv,
    x: Tensor,
    groups: Mapping[str, Tensor],
    *,
    generator: torch.Generator,
    dropout: float = 0.1,
    hides: bool = True,
) -> Tensor:
    """The four levels, a quarter each, on eight passes through the encoder; `groups` are patient and trial of each series.

    Without dropout and where it `hides` nothing, all passes are alike.
    """
    total = x.new_zeros(())
    for level in ("patient", "trial"):
        h1, h2 = (functional.dropout(encoders.dilated_conv(encoder, x), dropout) for _ in range(2))
        total = total + 0.25 * published_group_contrast(h1, h2, groups[level])
    for level in ("sample", "observation"):
        masks = [published_spans(*x.shape[:2], generator=generator).to(x.device) if hides else None for _ in range(2)]
        h1, h2 = (functional.dropout(encoders.dilated_conv(encoder, x, keep), dropout) for keep in masks)
        total = total + 0.25 * published_hierarchy(h1, h2, across=level == "sample")
    return total


def published_spans(batch: int, time: int, *, generator: torch.Generator) -> Tensor:
    """The continuous mask, span by span on the host."""
    keep = torch.ones(batch, time, dtype=torch.bool)
    width = max(1, int(0.1 * time))
    for row in range(batch):
        for _ in range(max(1, min(5, time // 2))):
            start = int(torch.randint(time - width + 1, (), generator=generator))
            keep[row, start : start + width] = False
    return keep


def published_hierarchy(h1: Tensor, h2: Tensor, *, across: bool) -> Tensor:
    """Sample level (`across` series) or observation level over the scales, with whole matrices."""
    losses = []
    while h1.shape[1] > 1:
        losses.append(of_whole_matrix(h1.transpose(0, 1), h2.transpose(0, 1)) if across else of_whole_matrix(h1, h2))
        h1, h2 = (functional.max_pool1d(h.transpose(1, 2), kernel_size=2).transpose(1, 2) for h in (h1, h2))
    return torch.stack(losses).mean()


def published_group_contrast(h1: Tensor, h2: Tensor, group: Tensor, *, temperature: float = 0.1) -> Tensor:
    """The paper's form of the level on flattened maps."""
    a, b = (functional.normalize(h.flatten(start_dim=1), dim=1) for h in (h1, h2))
    return published_contrast_of(a @ b.T, group, temperature=temperature)


def published_contrast_of(similarities: Tensor, group: Tensor, *, temperature: float = 0.1) -> Tensor:
    """The level from similarities: identities compared as text on the host, one matrix an identity, exponentials as they are."""
    names = [str(one) for one in group.tolist()]
    alike = torch.zeros(len(names), len(names), dtype=torch.bool)
    for name in sorted(set(names)):
        of_name = torch.tensor([other == name for other in names])
        alike |= of_name[:, None] & of_name[None, :]
    alike = (alike & ~torch.eye(len(names), dtype=torch.bool)).to(similarities.device)
    exponentials = torch.exp(similarities / temperature)
    losses = []
    for matrix in (exponentials, exponentials.T):
        surprise = -torch.log(matrix / matrix.sum(dim=1, keepdim=True))
        anchors = alike.any(dim=1)
        losses.append(((surprise * alike).sum(dim=1)[anchors] / alike.sum(dim=1)[anchors]).mean())
    return torch.stack(losses).mean()
