"""Losses of metric learning through pytorch-metric-learning (Kevin Musgrave and others, MIT): its pairs, miners and formulas.

| objective | paper |
| --- | --- |
| triplet | Schroff et al., "FaceNet", CVPR 2015 (semi_hard); Hermans et al., "In Defense of the Triplet Loss", 2017 (hard, soft) |
| multi_similarity | Wang et al., "Multi-Similarity Loss with General Pair Weighting", CVPR 2019 |
| circle | Sun et al., "Circle Loss", CVPR 2020 |
| n_pairs | Sohn, "Improved Deep Metric Learning with Multi-class N-pair Loss Objective", NeurIPS 2016 |
| proxy_anchor | Kim et al., "Proxy Anchor Loss for Deep Metric Learning", CVPR 2020 |

The library computes the loss of each pair, triplet or anchor; the mean over them is taken here, for its own leaves out what
happens to be 0, gives a plain number without a gradient where nothing was mined, and drops a batch with a single pair.

| | here | the library's default |
| --- | --- | --- |
| triplet | mean over triplets with a loss (`average: active`), or over all that were mined | the former |
| multi_similarity | mean over all vectors | as here, but 0 for a single pair |
| circle | mean over vectors that have both a positive and a negative | over those whose loss does not underflow to 0 |
| n_pairs | dot products of vectors as they are, with a penalty on their length | of unit vectors, no penalty |
| nothing to compare | 0 with a gradient of zeros | the number 0, or an error |
| rows of unknown class (-1) | left out | a class of their own |

The base of `multi_similarity` is the library's 0.5; its documentation says that the paper uses 1. The library indexes pairs on the host, so
that an accelerator is waited for in every step. It is imported when a loss is first computed.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, Literal, TypeVar

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call

from tswork.config import Config
from tswork.errors import PackageMissing
from tswork.objectives.base import LabelledLoss, LabelledObjective
from tswork.objectives.class_weights import ClassWeights, vectors_of
from tswork.precision import wide
from tswork.registry import register

C = TypeVar("C", bound=Config)

Distance = Literal["euclidean", "squared", "cosine"]
Mining = Literal["all", "hard", "semi_hard"]


class MetricLearning(LabelledObjective[C]):
    """A loss of the library, on rows of known class, in float32 or wider."""

    def __call__(
        self, z: Float[Tensor, "row dim"], labels: Int[Tensor, "row"], *, weights: nn.Module | None = None
    ) -> LabelledLoss:
        with torch.autocast(z.device.type, enabled=False):
            known = labels >= 0
            return self.of_known(wide(z)[known], labels[known], weights)

    @abstractmethod
    def of_known(
        self, z: Float[Tensor, "row dim"], labels: Int[Tensor, "row"], weights: nn.Module | None
    ) -> LabelledLoss:
        """The loss of rows whose classes are all known."""


class TripletConfig(Config):
    margin: float = Field(default=0.2, ge=0, description="how much farther a negative is to be than a positive")
    mining: Mining = Field(
        default="semi_hard",
        description="all triplets; of each anchor the farthest positive and the nearest negative; or negatives inside the margin",
    )
    distance: Distance = Field(default="euclidean", description="between unit vectors; cosine: 1 - cosine")
    soft: bool = Field(default=False, description="log(1 + exp(d_ap - d_an + margin)) instead of a hinge at 0")
    average: Literal["active", "all"] = Field(
        default="active", description="mean over triplets with a loss, or over all that were mined"
    )


@register("labelled_objective", "triplet", version=1, config=TripletConfig)
class Triplet(MetricLearning[TripletConfig]):
    """Triplets with a margin, mined in the batch."""

    def of_known(
        self, z: Float[Tensor, "row dim"], labels: Int[Tensor, "row"], weights: nn.Module | None
    ) -> LabelledLoss:
        options, package = self.config, _package()
        distance = _distance(package, options.distance)
        loss = package.losses.TripletMarginLoss(
            margin=options.margin, smooth_loss=options.soft, distance=distance, reducer=_each(package)
        )
        triplets = self._mined(package, distance, z, labels) if len(z) else (labels,) * 3
        if not len(triplets[0]):
            return LabelledLoss(nothing(z), {"triplets": z.new_zeros(())})
        losses = loss(z, labels, triplets)["loss"]["losses"]
        active = losses > 0
        count = active.sum().clamp(min=1) if options.average == "active" else len(losses)
        possible = len(losses) if options.mining == "hard" else _triplets(labels)
        violated = losses > math.log(2) if options.soft else active
        return LabelledLoss(losses.sum() / count, {"triplets": violated.sum() / possible})

    def _mined(
        self, package: Any, distance: Any, z: Float[Tensor, "row dim"], labels: Int[Tensor, "row"]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Rows of anchors, positives and negatives."""
        found: tuple[Tensor, Tensor, Tensor]
        with torch.no_grad():
            if self.config.mining == "all":
                found = package.utils.loss_and_miner_utils.get_all_triplets_indices(labels)
            elif self.config.mining == "hard":
                found = package.miners.BatchHardMiner(distance=distance)(z, labels)
            else:
                miner = package.miners.TripletMarginMiner(
                    margin=self.config.margin, type_of_triplets="semihard", distance=distance
                )
                found = miner(z, labels)
        return found


class MultiSimilarityConfig(Config):
    alpha: float = Field(default=2.0, gt=0, description="sharpness of the weights of positives")
    beta: float = Field(default=50.0, gt=0, description="sharpness of the weights of negatives")
    base: float = Field(
        default=0.5, description="the similarity that positives are to exceed and negatives to stay below"
    )
    epsilon: float | None = Field(
        default=0.1, description="pairs count that are within this of the hardest of the other kind; none: all pairs"
    )


@register("labelled_objective", "multi_similarity", version=1, config=MultiSimilarityConfig)
class MultiSimilarity(MetricLearning[MultiSimilarityConfig]):
    """Pairs weighted by their similarity and by that of the others (multi-similarity, CVPR 2019), with its miner."""

    def of_known(
        self, z: Float[Tensor, "row dim"], labels: Int[Tensor, "row"], weights: nn.Module | None
    ) -> LabelledLoss:
        options, package = self.config, _package()
        loss = package.losses.MultiSimilarityLoss(
            alpha=options.alpha, beta=options.beta, base=options.base, reducer=_each(package)
        )
        pairs = package.utils.loss_and_miner_utils.get_all_pairs_indices(labels)
        possible = len(pairs[0]) + len(pairs[2])
        if options.epsilon is not None and possible:
            with torch.no_grad():
                pairs = package.miners.MultiSimilarityMiner(epsilon=options.epsilon)(z, labels)
        kept = len(pairs[0]) + len(pairs[2])
        share = torch.full((), kept / max(1, possible), dtype=z.dtype, device=z.device)
        if not kept:
            return LabelledLoss(nothing(z), {"pairs": share})
        found: Tensor = loss.mat_based_loss(loss.distance(z), pairs)["loss"]["losses"].mean()
        return LabelledLoss(found, {"pairs": share})


class CircleConfig(Config):
    margin: float = Field(default=0.25, gt=0, lt=1, description="relaxation of the circle; 0.25 to 0.4")
    gamma: float = Field(default=80.0, gt=0, description="scale of similarities; 80 to 256")


@register("labelled_objective", "circle", version=1, config=CircleConfig)
class Circle(MetricLearning[CircleConfig]):
    """Positives and negatives weighted by how far each is from its optimum (circle loss, CVPR 2020)."""

    def of_known(
        self, z: Float[Tensor, "row dim"], labels: Int[Tensor, "row"], weights: nn.Module | None
    ) -> LabelledLoss:
        package = _package()
        loss = package.losses.CircleLoss(m=self.config.margin, gamma=self.config.gamma, reducer=_each(package))
        pairs = package.utils.loss_and_miner_utils.get_all_pairs_indices(labels)
        same = labels[:, None] == labels
        counted = (same.sum(dim=1) > 1) & ~same.all(dim=1)
        share = counted.sum() / max(1, len(z))
        if not len(pairs[0]) or not len(pairs[2]):
            return LabelledLoss(nothing(z), {"anchors": share})
        # Of vectors that lack a positive or a negative the library gives 0.
        losses: Tensor = loss.mat_based_loss(loss.distance(z), pairs)["loss"]["losses"]
        return LabelledLoss(losses.sum() / counted.sum().clamp(min=1), {"anchors": share})


class NPairsConfig(Config):
    penalty: float = Field(
        default=0.02, ge=0, description="weight of the mean squared length of the vectors, a choice of ours"
    )


@register("labelled_objective", "n_pairs", version=1, config=NPairsConfig)
class NPairs(MetricLearning[NPairsConfig]):
    """One anchor and one positive a class, told from the positives of the other classes (N-pairs, NeurIPS 2016)."""

    def of_known(
        self, z: Float[Tensor, "row dim"], labels: Int[Tensor, "row"], weights: nn.Module | None
    ) -> LabelledLoss:
        package = _package()
        plain = package.distances.DotProductSimilarity(normalize_embeddings=False)
        losses = package.losses.NPairsLoss(distance=plain, reducer=_each(package))(z, labels)["loss"]["losses"]
        paired = len(losses) if isinstance(losses, Tensor) else 0
        share = z.new_full((), 2 * paired / max(1, len(z)))
        if not paired:
            return LabelledLoss(nothing(z), {"anchors": share})
        return LabelledLoss(losses.mean() + self.config.penalty * z.square().sum(dim=1).mean(), {"anchors": share})


class ProxyAnchorConfig(Config):
    margin: float = Field(default=0.1, ge=0, description="what cosines to proxies are to exceed, or to stay below by")
    alpha: float = Field(default=32.0, gt=0, description="sharpness of the weights of vectors")


@register("labelled_objective", "proxy_anchor", version=1, config=ProxyAnchorConfig)
class ProxyAnchor(MetricLearning[ProxyAnchorConfig]):
    """Class weights as anchors, with the vectors of the batch around them (proxy anchor, CVPR 2020)."""

    def class_weights(self, classes: int, dim: int) -> ClassWeights:
        return ClassWeights(classes, dim)

    def of_known(
        self, z: Float[Tensor, "row dim"], labels: Int[Tensor, "row"], weights: nn.Module | None
    ) -> LabelledLoss:
        if not len(z):
            return LabelledLoss(nothing(z))
        proxies, package = vectors_of(weights).to(z.dtype), _package()
        with torch.random.fork_rng(devices=[]):  # the library draws weights of its own, which are not used
            loss = package.losses.ProxyAnchorLoss(
                *proxies.shape, margin=self.config.margin, alpha=self.config.alpha
            ).to(z.device)
        found: Tensor = functional_call(loss, {"proxies": proxies}, (z, labels))
        return LabelledLoss(found)


def nothing(z: Float[Tensor, "row dim"]) -> Float[Tensor, ""]:
    """0, with a gradient of zeros."""
    return (z * 0).sum()


def _triplets(labels: Int[Tensor, "row"]) -> Int[Tensor, ""]:
    """How many triplets there are: pairs of a class times the rows of the others."""
    same = (labels[:, None] == labels).sum(dim=1)
    return ((same - 1) * (len(labels) - same)).sum()


def _package() -> Any:
    """The library, with the parts of it that are used."""
    try:
        import pytorch_metric_learning
        import pytorch_metric_learning.distances
        import pytorch_metric_learning.losses
        import pytorch_metric_learning.miners
        import pytorch_metric_learning.reducers
        import pytorch_metric_learning.utils.loss_and_miner_utils
    except ImportError as fault:
        name = "pytorch-metric-learning"
        raise PackageMissing(name, "this objective", f"pip install {name}", str(fault)) from fault
    return pytorch_metric_learning


def _each(package: Any) -> Any:
    """Leaves the losses as they are."""
    return package.reducers.DoNothingReducer()


def _distance(package: Any, name: Distance) -> Any:
    if name == "cosine":
        return package.distances.CosineSimilarity()
    return package.distances.LpDistance(power=2 if name == "squared" else 1)
