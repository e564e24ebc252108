"""S-KD: replay, and the model still writes of old samples what it wrote before.

Paper: Cappellazzo et al., "Sequence-Level Knowledge Distillation for Class-Incremental End-to-End Spoken Language Understanding",
Interspeech 2023 (arXiv 2305.13899), of which the abstract was at hand; Kim and Rush, "Sequence-Level Knowledge Distillation", EMNLP
2016. To the loss of replay (`er`) on all samples is added, from the second task on, `sequence_weight` times the cross entropy of
what the frozen model of the previous task wrote of the samples of the memory (`tswork.methods.sequence_teaching`).

| | paper, as far as it is known | here |
| --- | --- | --- |
| writing | beam search, once a task | the same, in batches; 5 beams are a choice of ours |
| weight | unknown | 1, a choice of ours |
| the truth of old samples | stays a target beside what the teacher wrote | the same |

With weight 0 it is `er`, to the last bit, and so is every first task. Classes are not written: with `answer: class` it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from tswork.context import Context
from tswork.data.batches import Batch
from tswork.methods.answers import AnswerKind
from tswork.methods.model import Model
from tswork.methods.sequence_teaching import SequenceTeaching, SequenceTeachingConfig
from tswork.registry import register


class SequenceKdConfig(SequenceTeachingConfig):
    answer: AnswerKind = Field(default="text", description="what is learned to say; only texts can be written")
    sequence_weight: float = Field(
        default=1.0, ge=0, description="weight of the cross entropy on what the teacher writes of the memory; 0: none"
    )
    sequence_beams: int = Field(default=5, ge=1, description="hypotheses of the teacher's beam search; 1: greedy")


@register("method", "sequence_kd", version=1, config=SequenceKdConfig)
class SequenceDistillation(SequenceTeaching[SequenceKdConfig]):
    """Replay with sequences that the teacher writes (S-KD, Interspeech 2023)."""

    def terms(self, model: Model, batch: Batch, context: Context) -> Mapping[str, Float[Tensor, ""]]:
        heard = self.heard(model, batch, context)
        return {"loss": self.answer.loss(heard), **self.sequence_terms(model, batch, heard)}
