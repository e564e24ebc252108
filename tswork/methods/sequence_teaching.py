"""Sequences that a teacher writes: an extra target of the samples of the memory, in `sequence_kd` and in `coconut`.

From the second task on the frozen model of the previous task writes every sample of the memory once, as it is without the `views`, by
a beam search over batches; what it wrote is kept for the task. The student's cross entropy of these sequences on the samples of the
memory is the term. A sequence that reached the limit of the data (`text.longest`) has no end, and none is asked for.
"""

from __future__ import annotations

from typing import TypeVar

from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor

from tswork.config import ADDED_LATER
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import Part
from tswork.data.rehearsal import MEMORY_ROW, RehearsalPart
from tswork.encoders.base import Frames
from tswork.methods.answers import Heard
from tswork.methods.embedding import written_at_once
from tswork.methods.er import ErConfig
from tswork.methods.model import Model
from tswork.methods.taught import Taught
from tswork.methods.teacher import in_batches, memory_places
from tswork.objectives.token_cross_entropy import token_cross_entropy
from tswork.text.collection_text import text_of
from tswork.text.tokens import Tokens, TokenTable
from tswork.text.writing import decoder_of, heard, write
from tswork.training.distributed import of_all


class SequenceTeachingConfig(ErConfig):
    sequence_weight: float = Field(
        default=0.0,
        ge=0,
        description="answer text: weight of the cross entropy on what the teacher writes of the memory; 0: none",
        json_schema_extra=ADDED_LATER,
    )
    sequence_beams: int = Field(
        default=5, ge=1, description="hypotheses of the teacher's beam search; 1: greedy", json_schema_extra=ADDED_LATER
    )

    @model_validator(mode="after")
    def _writes(self) -> SequenceTeachingConfig:
        if self.sequence_weight and self.answer != "text":
            raise ValueError(
                "a teacher writes texts, and `answer: class` has none: answer with `text`, set `sequence_weight: 0`, or"
                " use `token_kd`, which distils classes too"
            )
        return self


C = TypeVar("C", bound=SequenceTeachingConfig)


class SequenceTeaching(Taught[C]):
    """Replay with a teacher that writes the memory once a task."""

    _written: TokenTable | None = None
    """What the teacher wrote of each sample of the memory, in its order."""

    @property
    def wants_teacher(self) -> bool:
        return bool(self.config.sequence_weight)

    def prepare(self, model: Model, rehearsed: Part, context: Context) -> None:
        self._written = None
        super().prepare(model, rehearsed, context)

    def lesson(self, teacher: Model, rehearsed: RehearsalPart, context: Context) -> None:
        super().lesson(teacher, rehearsed, context)
        if self.config.sequence_weight:
            self._written = written_memory(teacher, rehearsed, context, beams=self.config.sequence_beams)

    def sequence_terms(self, model: Model, batch: Batch, heard: Heard) -> dict[str, Float[Tensor, ""]]:
        """The weighted cross entropy of what the teacher wrote; nothing where it wrote nothing."""
        if self._written is None:
            return {}
        return {"sequence": self.config.sequence_weight * _surprise(model, batch, heard, self._written)}


def written_memory(teacher: Model, rehearsed: RehearsalPart, context: Context, *, beams: int) -> TokenTable:
    """What a teacher writes of each sample of a memory, the end included if it came to one."""
    memory = Part(rehearsed.collection, rehearsed.spans[rehearsed.new :])
    spec, _ = text_of(memory.collection)

    def tokens(batch: Batch) -> Tokens:
        frames, vectors = heard(teacher, batch.x, batch.unequal_lengths)
        return write(decoder_of(teacher), frames, vectors=vectors, beams=beams, longest=spec.longest + 1).tokens

    found, place = in_batches(teacher, memory, context, tokens, most=written_at_once(beams))
    rows = [
        ids[:length] for batch in found for ids, length in zip(batch.ids.tolist(), batch.lengths.tolist(), strict=True)
    ]
    return TokenTable.of([rows[row] for row in place.tolist()]).to(context.device)


def _surprise(model: Model, batch: Batch, heard: Heard, written: TokenTable) -> Float[Tensor, ""]:
    """Cross entropy of what the teacher wrote of the samples of the memory in a batch; 0 without any."""
    values, lengths = heard.frames
    places = memory_places(batch)
    if not len(places):
        # Other processes may have samples of the memory in the same batch, and ask how many there are.
        return values.new_zeros(()) / of_all(batch.lengths.new_zeros(()))
    there = places.to(values.device, non_blocking=True)
    targets = written.at(batch.on_host(MEMORY_ROW)[places])
    told = Tokens(targets.ids[:, :-1], targets.lengths - 1).inputs()
    logits = decoder_of(model)(told, Frames(values[there], lengths[there]), heard.vectors[there])
    return token_cross_entropy(logits, *targets, divisor=of_all)
