"""A-KD: replay, and the encoder still hears old samples as it heard them before.

Paper: Cappellazzo et al., "Sequence-Level Knowledge Distillation for Class-Incremental End-to-End Spoken Language Understanding",
Interspeech 2023 (arXiv 2305.13899), of which the abstract was at hand. To the loss of replay (`er`) on all samples is added, from
the second task on, `distillation_weight` times the squared error between the encoder's frames and those of the frozen encoder of the
previous task, on the samples of the memory.

| | paper, as far as it is known | here |
| --- | --- | --- |
| error | mean over the memory of a batch; whether padding counts is unknown | mean over the real frames of the memory, and their width |
| weight | unknown; in an earlier work of the authors the root of the memory's share of the batch | constant; 1 is a choice of ours |
| teacher | frozen | the same, in evaluation mode, on the very view that the student hears |

With weight 0 it is `er`, to the last bit, and so is every first task.
"""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from tswork.augment.base import View
from tswork.data.batches import Batch
from tswork.methods.answers import Heard, frames_of
from tswork.methods.model import Model
from tswork.methods.taught import Distilling, DistillingConfig
from tswork.objectives.distillation import frame_distillation
from tswork.registry import register
from tswork.training.distributed import of_all


@register("method", "audio_kd", version=1, config=DistillingConfig)
class AudioDistillation(Distilling[DistillingConfig]):
    """Replay with distillation of the encoder's frames (A-KD, Interspeech 2023)."""

    term = "audio"

    def said(self, heard: Heard) -> Float[Tensor, "batch frame dim"]:
        return heard.frames.values

    def asked(self, teacher: Model, batch: Batch, view: View) -> Float[Tensor, "old frame dim"]:
        return frames_of(teacher, batch, view).values

    def distance(
        self, heard: Heard, taught: Float[Tensor, "batch frame dim"], is_memory: Bool[Tensor, "batch"]
    ) -> Float[Tensor, ""]:
        values, lengths = heard.frames
        return frame_distillation(values, taught, is_memory, lengths=lengths, divisor=of_all)
