"""Two-layer heads on an embedding: the plain one, and the one that COMET's released code fine-tunes.

Wang et al., "Contrast Everything: A Hierarchical Contrastive Framework for Medical Time-Series", NeurIPS 2023; released code
at commit a769779. Both are linear (to 128), batch norm, ReLU, linear (to the classes): 41,602 parameters on 320 dimensions and two
classes.

| head | after the second layer | loss |
| --- | --- | --- |
| layers | nothing: logits | one softmax cross entropy, which can fall to 0 |
| published | dropout 0.1, a sigmoid and a second one: outputs stay between 0.5 and 0.7311 | the same, never below 0.5843 for two |
"""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

HeadName = Literal["layers", "published"]

PUBLISHED_DROPOUT = 0.1


def classifier_head(name: HeadName, dim: int, hidden: int, classes: int) -> nn.Sequential:
    """A head of that name; weights are drawn from torch's global generator."""
    layers: list[nn.Module] = [
        nn.Linear(dim, hidden),
        BatchNormOfSeveral(hidden),
        nn.ReLU(),
        nn.Linear(hidden, classes),
    ]
    if name == "published":
        layers += [nn.Dropout(PUBLISHED_DROPOUT), nn.Sigmoid(), nn.Sigmoid()]
    return nn.Sequential(*layers)


class BatchNormOfSeveral(nn.BatchNorm1d):
    """Batch norm that takes a batch of one by its running statistics: a single row has no variance of its own."""

    def forward(self, input: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch dim"]:
        if self.training and len(input) == 1:
            return functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(input)
