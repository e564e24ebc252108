"""COCONUT: replay, old audio held where a frozen teacher has it, and new audio drawn to what is said.

Paper: Cappellazzo et al., "Continual Contrastive Spoken Language Understanding", ACL Findings 2024 (arXiv 2310.02699). Neither its
body nor its code was at hand; what is known comes from its abstract, its reviews and earlier work of the authors, and the weights
are unverified. To the loss of replay (`er`) on all samples are added

| term | on | is |
| --- | --- | --- |
| nspt | the memory, from the second task on | `tswork.objectives.coconut.nspt`: student's negatives, teacher's positives |
| cross_modal | new samples, from the first task on | `tswork.objectives.coconut.cross_modal_contrast`: audio and meaning |
| sequence | the memory, from the second task on | `tswork.methods.sequence_teaching`: what the teacher wrote of it (COCONUT + S-KD) |

Audio is the pooled embedding behind a linear projection, meaning what `tswork.methods.answers` says: the mean of the text's token
embeddings, or the class's own embedding where no text is said, behind another. Both projections serve the losses alone. Who is alike
in both is said by the intent of a text (which need not be what tasks are divided by), or by the class. The teacher's vectors of
the memory are made once a task, of the samples as they are, without the `views`.

COCONUT + S-KD of the paper has `sequence_weight` above 0; which one is unknown. With all weights 0 it is `er`, to the last bit.
`distillation: ntpt` is the variant that is compared with: teacher's negatives too, for which the teacher hears new samples as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import Part
from tswork.data.rehearsal import MEMORY_ROW, PART_ROW, RehearsalPart
from tswork.encoders.pooling import Pooling, pooled_dim
from tswork.methods.answers import Heard
from tswork.methods.model import Model
from tswork.methods.sequence_teaching import SequenceTeaching, SequenceTeachingConfig
from tswork.methods.teacher import looked_up
from tswork.objectives.coconut import Denominator, cross_modal_contrast, nspt, ntpt
from tswork.registry import register
from tswork.training.distributed import gather_with_gradient


class CoconutConfig(SequenceTeachingConfig):
    selection: Literal["random", "nearest_to_mean", "herding", "icarl_original", "reservoir"] = Field(
        default="herding", description="which samples of a class are kept; reservoir: of all samples alike"
    )
    pooling: Pooling = Field(default="mean", description="from frames to one vector a sequence")
    distillation: Literal["nspt", "ntpt"] = Field(
        default="nspt", description="whose vectors are the negatives: the student's, or the teacher's"
    )
    distillation_weight: float = Field(default=0.1, ge=0, description="weight of `distillation`; 0: none")
    cross_modal_weight: float = Field(default=0.1, ge=0, description="weight of audio against meaning; 0: none")
    temperature: float = Field(default=0.1, gt=0, description="divides cosines in both")
    denominator: Denominator = Field(
        default="all", description="distillation: whether the anchor itself, or its positive, is in its sum"
    )
    own_positive: bool = Field(default=True, description="distillation: whether an anchor is among its positives")
    repel_class: bool = Field(default=True, description="distillation: whether others of its class are in its sum")
    width: int = Field(default=128, ge=2, description="width of the space in which vectors are compared")


@register("method", "coconut", version=1, config=CoconutConfig)
class Coconut(SequenceTeaching[CoconutConfig]):
    """Replay with contrastive distillation and audio-text contrast (COCONUT, ACL Findings 2024)."""

    _taught: Float[Tensor, "span width"] | None = None

    def add_heads(self, model: Model) -> None:
        config = self.config
        if config.distillation_weight or config.cross_modal_weight:
            model.heads["audio"] = nn.Linear(pooled_dim(model.encoder, config.pooling), config.width)
        if config.cross_modal_weight:
            width = self.answer.meaning_dim(model)
            if config.answer == "class":
                model.heads["meaning"] = nn.Embedding(len(model.info.classes), width)
            model.heads["text"] = nn.Linear(width, config.width)

    @property
    def wants_teacher(self) -> bool:
        return bool(self.config.distillation_weight) or super().wants_teacher

    def prepare(self, model: Model, rehearsed: Part, context: Context) -> None:
        self._taught = None
        super().prepare(model, rehearsed, context)

    def lesson(self, teacher: Model, rehearsed: RehearsalPart, context: Context) -> None:
        """Let the teacher hear the memory; new samples too, where they are its negatives."""
        super().lesson(teacher, rehearsed, context)
        if not self.config.distillation_weight:
            return
        first = 0 if self.config.distillation == "ntpt" else rehearsed.new
        heard = looked_up(
            teacher,
            Part(rehearsed.collection, rehearsed.spans[first:]),
            context,
            lambda x, lengths: teacher.heads["audio"](teacher.embed(x, lengths)),
        )
        # Rows of samples that the teacher has not heard are never read: they may as well be NaN.
        self._taught = torch.cat([heard.new_full((first, heard.shape[1]), torch.nan), heard])

    def terms(self, model: Model, batch: Batch, context: Context) -> Mapping[str, Float[Tensor, ""]]:
        heard = self.heard(model, batch, context)
        return {
            "loss": self.answer.loss(heard),
            **self._contrasts(model, batch, heard),
            **self.sequence_terms(model, batch, heard),
        }

    def _contrasts(self, model: Model, batch: Batch, heard: Heard) -> dict[str, Float[Tensor, ""]]:
        if "audio" not in model.heads:
            return {}
        config, losses = self.config, dict[str, Tensor]()
        labels, is_memory = (gather_with_gradient(one) for one in (heard.labels, batch.codes[MEMORY_ROW] >= 0))
        audio = gather_with_gradient(model.heads["audio"](heard.vectors))
        if self._taught is not None:
            distil = nspt if config.distillation == "nspt" else ntpt
            losses[config.distillation] = config.distillation_weight * distil(
                audio,
                gather_with_gradient(self._taught[batch.codes[PART_ROW]]),
                labels,
                is_memory,
                temperature=config.temperature,
                denominator=config.denominator,
                own_positive=config.own_positive,
                repel_class=config.repel_class,
            )
        if config.cross_modal_weight:
            text = gather_with_gradient(model.heads["text"](self.answer.meanings(model, heard)))
            contrast = cross_modal_contrast(audio, text, labels, temperature=config.temperature, among=~is_memory)
            losses["cross_modal"] = config.cross_modal_weight * contrast
        return losses
