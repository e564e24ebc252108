"""Losses of labelled vectors, one pair and one triplet at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def supervised_contrast(
    z: Tensor, labels: Sequence[int], *, temperature: float = 0.1, variant: str = "out", denominator: str = "all"
) -> Tensor:
    """The mean over anchors with a positive; rows of class -1 do not exist."""
    known = [row for row, label in enumerate(labels) if label >= 0]
    losses = []
    for i in known:
        positives = [j for j in known if j != i and labels[j] == labels[i]]
        negatives = [j for j in known if labels[j] != labels[i]]
        if not positives or (denominator == "negatives" and not negatives):
            continue
        shares = []
        for p in positives:
            summed = {"all": positives + negatives, "own": [p, *negatives], "negatives": negatives}[denominator]
            total = sum((_e(z, i, j, temperature) for j in summed), torch.zeros(()).to(z))
            shares.append(_e(z, i, p, temperature) / total)
        drawn = torch.stack(shares)
        losses.append(-drawn.log().mean() if variant == "out" else -drawn.mean().log())
    return torch.stack(losses).mean() if losses else torch.zeros(()).to(z)


def labelled_nt_xent(z: Tensor, labels: Sequence[int], *, temperature: float = 0.1) -> Tensor:
    """The mean over all pairs of a class."""
    losses = []
    for i, own in enumerate(labels):
        for p, other in enumerate(labels):
            if i == p or own != other or own < 0:
                continue
            negatives = [j for j, label in enumerate(labels) if label not in (-1, own)]
            total = _e(z, i, p, temperature) + sum(_e(z, i, j, temperature) for j in negatives)
            losses.append(-(_e(z, i, p, temperature) / total).log())
    return torch.stack(losses).mean() if losses else torch.zeros(()).to(z)


def of_the_authors_code(z: Tensor, labels: Sequence[int], *, temperature: float) -> Tensor:
    """What the released code of supervised contrast computes: anchors without a positive count as 0, times temperature / 0.07."""
    count = len(labels)
    valid = [i for i in range(count) if labels.count(labels[i]) > 1]
    mean = supervised_contrast(z, labels, temperature=temperature)
    return mean * len(valid) / count * temperature / 0.07


def triplet(
    z: Tensor,
    labels: Sequence[int],
    *,
    margin: float,
    mining: str = "all",
    distance: str = "euclidean",
    soft: bool = False,
    average: str = "active",
) -> Tensor:
    """The mean over mined triplets, or over those of them with a loss."""
    unit = z / z.norm(dim=1, keepdim=True)
    losses = []
    for a in range(len(labels)):
        positives = [p for p in range(len(labels)) if p != a and labels[p] == labels[a]]
        negatives = [n for n in range(len(labels)) if labels[n] != labels[a]]
        far = {j: _distance(unit[a], unit[j], distance) for j in positives + negatives}
        pairs = [(p, n) for p in positives for n in negatives]
        if mining == "hard" and pairs:
            pairs = [(max(positives, key=lambda j: float(far[j])), min(negatives, key=lambda j: float(far[j])))]
        if mining == "semi_hard":
            pairs = [(p, n) for p, n in pairs if far[p] < far[n] <= far[p] + margin]
        for p, n in pairs:
            gap = far[p] - far[n] + margin
            losses.append(torch.log1p(gap.exp()) if soft else gap.clamp(min=0))
    counted = [loss for loss in losses if loss > 0 or average == "all"]
    return torch.stack(counted).mean() if counted else torch.zeros(()).to(z)


def multi_similarity(
    z: Tensor, labels: Sequence[int], *, alpha: float, beta: float, base: float, epsilon: float | None
) -> Tensor:
    """The mean over all rows; with `epsilon` of mined pairs alone."""
    unit = z / z.norm(dim=1, keepdim=True)
    losses = []
    for i in range(len(labels)):
        positives = [float(j) for j in range(len(labels)) if j != i and labels[j] == labels[i]]
        negatives = [float(j) for j in range(len(labels)) if labels[j] != labels[i]]
        s = [unit[i] @ other for other in unit]
        kept_p, kept_n = [int(j) for j in positives], [int(j) for j in negatives]
        if epsilon is not None:
            hardest_p = min((float(s[j]) for j in kept_p), default=math.inf)
            hardest_n = max((float(s[j]) for j in kept_n), default=-math.inf)
            kept_p, kept_n = (
                [j for j in kept_p if s[j] < hardest_n + epsilon],
                [j for j in kept_n if s[j] > hardest_p - epsilon],
            )
        of_p = sum(((-alpha * (s[j] - base)).exp() for j in kept_p), torch.zeros(()).to(z))
        of_n = sum(((beta * (s[j] - base)).exp() for j in kept_n), torch.zeros(()).to(z))
        losses.append(of_p.log1p() / alpha + of_n.log1p() / beta)
    return torch.stack(losses).mean()


def circle(z: Tensor, labels: Sequence[int], *, margin: float, gamma: float) -> Tensor:
    """The mean over rows with a positive and a negative."""
    unit = z / z.norm(dim=1, keepdim=True)
    losses = []
    for i in range(len(labels)):
        s = {j: unit[i] @ unit[j] for j in range(len(labels)) if j != i}
        positives = [s[j] for j in s if labels[j] == labels[i]]
        negatives = [s[j] for j in s if labels[j] != labels[i]]
        if positives and negatives:
            of_n = sum((gamma * (n.detach() + margin).clamp(min=0) * (n - margin)).exp() for n in negatives)
            of_p = sum((-gamma * (1 + margin - p.detach()).clamp(min=0) * (p - 1 + margin)).exp() for p in positives)
            losses.append(torch.log1p(torch.as_tensor(of_n * of_p)))
    return torch.stack(losses).mean()


def n_pairs(z: Tensor, labels: Sequence[int], *, penalty: float) -> Tensor:
    """The first two rows of every class that has two, in the order of classes."""
    pairs = []
    for label in sorted(set(labels)):
        rows = [row for row, one in enumerate(labels) if one == label]
        if len(rows) > 1:
            pairs.append((rows[0], rows[1]))
    losses = []
    for anchor, positive in pairs:
        products = torch.stack([z[anchor] @ z[other] for _, other in pairs])
        losses.append(products.logsumexp(dim=0) - z[anchor] @ z[positive])
    return torch.stack(losses).mean() + penalty * torch.stack([row @ row for row in z]).mean()


def arc_face(z: Tensor, labels: Sequence[int], weights: Tensor, *, margin: float, scale: float) -> Tensor:
    """Through the angle itself."""
    losses = []
    for row, label in zip(z, labels, strict=True):
        logits = [scale * (row @ one) / (row.norm() * one.norm()) for one in weights]
        angle = torch.acos(logits[label] / scale)
        wider = torch.cos(angle + margin) if angle <= math.pi - margin else torch.cos(angle) - margin * math.sin(margin)
        own = scale * wider
        total = sum(own.exp() if other == label else logit.exp() for other, logit in enumerate(logits))
        losses.append(torch.as_tensor(total).log() - own)
    return torch.stack(losses).mean()


def proxy_anchor(z: Tensor, labels: Sequence[int], proxies: Tensor, *, margin: float, alpha: float) -> Tensor:
    """Proxies with positives in the batch share the first term, all of them the second."""
    of_p, of_n = [], []
    for label, proxy in enumerate(proxies):
        s = [(row @ proxy) / (row.norm() * proxy.norm()) for row in z]
        positives = [one for one, own in zip(s, labels, strict=True) if own == label]
        negatives = [one for one, own in zip(s, labels, strict=True) if own != label]
        if positives:
            of_p.append(torch.log1p(torch.as_tensor(sum((-alpha * (one - margin)).exp() for one in positives))))
        if negatives:
            of_n.append(torch.log1p(torch.as_tensor(sum((alpha * (one + margin)).exp() for one in negatives))))
    return torch.stack(of_p).mean() + torch.stack(of_n).sum() / len(proxies)


def _e(z: Tensor, i: int, j: int, temperature: float) -> Tensor:
    return torch.exp((z[i] @ z[j]) / (z[i].norm() * z[j].norm()) / temperature)


def _distance(a: Tensor, b: Tensor, name: str) -> Tensor:
    if name == "cosine":
        return 1 - a @ b
    squared = (a - b).square().sum()
    return squared if name == "squared" else squared.sqrt()
