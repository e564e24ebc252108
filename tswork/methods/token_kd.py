"""T-KD: replay, and the model still expects of old samples what it expected before, token by token.

Paper: Cappellazzo et al., "Sequence-Level Knowledge Distillation for Class-Incremental End-to-End Spoken Language Understanding",
Interspeech 2023 (arXiv 2305.13899), of which the abstract was at hand. To the loss of replay (`er`) on all samples is added, from
the second task on, `distillation_weight` times the KL divergence of the student's next-token distributions from those of the frozen
model of the previous task, both told the truth, on the samples of the memory. With `answer: class` the distributions are those over
the classes.

| | paper, as far as it is known | here |
| --- | --- | --- |
| divergence | of next-token distributions under teacher forcing; how it is averaged is unknown | mean over the real tokens of the memory |
| weight | unknown; earlier the root of the memory's share of a batch, taken off the other loss | constant; 1 is a choice of ours |
| temperature | 1 in that earlier work | 1 |
| classes | all tokens are there from the start | the same; classes too, those to come included |

With weight 0 it is `er`, to the last bit, and so is every first task.
"""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from tswork.augment.base import View
from tswork.data.batches import Batch
from tswork.methods.answers import Heard
from tswork.methods.model import Model
from tswork.methods.taught import Distilling, DistillingConfig
from tswork.registry import register


@register("method", "token_kd", version=1, config=DistillingConfig)
class TokenDistillation(Distilling[DistillingConfig]):
    """Replay with distillation of next-token distributions (T-KD, Interspeech 2023)."""

    term = "token"

    def said(self, heard: Heard) -> Float[Tensor, "batch *token choice"]:
        return heard.logits

    def asked(self, teacher: Model, batch: Batch, view: View) -> Float[Tensor, "old *token choice"]:
        return self.answer.heard(teacher, batch, view).logits

    def distance(
        self, heard: Heard, taught: Float[Tensor, "batch *token choice"], is_memory: Bool[Tensor, "batch"]
    ) -> Float[Tensor, ""]:
        return self.answer.distance(heard, taught, is_memory)
