"""SimCLR on time series: two augmented views of a sequence are picked out among the views of all others.

Paper: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020. It is `contrastive` with
other defaults; every option of it can be set here as well.

| option | here | paper (images) |
| --- | --- | --- |
| objective | NT-Xent (`info_nce`, `among: both`) of cosines, temperature 0.5 | the same; 0.5 was best for CIFAR-10, 0.1 for ImageNet |
| head | linear, ReLU, linear to 128 | the same |
| views | factors on channels, segments in another order, noise | crops, colours and blur of images |
| weight_decay | 1e-6 | 1e-6 |
| batch_size, learning_rate | 128, AdamW at 1e-3 | 4096, LARS with a rate that grows with the batch |
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from tswork.augment.base import ViewSpec
from tswork.config import Configured, Many, Uses, configure
from tswork.methods.contrastive import Contrastive, ContrastiveConfig, HeadConfig
from tswork.registry import register

VIEWS: tuple[dict[str, Any], ...] = (
    {"uses": "scaling", "sigma": 0.5},
    {"uses": "permutation", "segments": 5},
    {"uses": "jitter", "sigma": 0.3},
)


class SimCLRConfig(ContrastiveConfig):
    batch_size: int = Field(default=128, ge=1, description="sequences a batch; reduced to the number there are")
    epochs: int | None = Field(default=100, ge=1, description="passes over the training part")
    weight_decay: float = Field(default=1e-6, ge=0, description="decoupled weight decay of AdamW")
    views: Many[ViewSpec] = Field(
        default_factory=lambda: tuple(configure("view", block) for block in VIEWS),
        description="changes of the first view, in order",
    )
    objective: Annotated[Configured, Uses("objective")] = Field(
        default_factory=lambda: configure("objective", {"uses": "info_nce", "among": "both", "temperature": 0.5}),
        description="the loss",
    )
    head: HeadConfig | None = Field(
        default_factory=lambda: HeadConfig(hidden=128, dim=128),
        description="projection used in training only; none: embeddings are compared",
    )


@register("method", "simclr", version=1, config=SimCLRConfig)
class SimCLR(Contrastive):
    """Two augmented views, NT-Xent and a projection head (SimCLR, ICML 2020)."""

    name: ClassVar[str] = "simclr"
