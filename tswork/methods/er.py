"""Experience replay: samples of earlier tasks are kept and trained on beside the new ones.

Rolnick et al., "Experience Replay for Continual Learning", NeurIPS 2019, without its cloning of behaviour; Robins,
"Catastrophic Forgetting, Rehearsal and Pseudorehearsal", Connection Science, 1995. After a task the memory takes exemplars of
its classes (`tswork.data.exemplars`) or goes on as a reservoir. With `from_memory: none` memory and task are one pool, so that
a batch holds samples of the memory in proportion, as COCONUT's authors do it; else every batch has so many. With `memory: 0`
it is `finetune`, to the last bit.
"""

from __future__ import annotations

from typing import TypeVar

from pydantic import Field

from tswork.context import Context
from tswork.data.collection import Part
from tswork.data.rehearsal import MEMORY_ROW, PART_ROW, RehearsalPart, nothing_new, rehearsal_sampler
from tswork.data.samplers import Sampler
from tswork.errors import DataInvalid, Problem
from tswork.methods.continual import label_of
from tswork.methods.remembering import MemoryConfig, Remembering
from tswork.registry import register


class ErConfig(MemoryConfig):
    from_memory: int | None = Field(
        default=None, ge=1, description="samples of the memory in every batch; none: in proportion to its size"
    )


C = TypeVar("C", bound=ErConfig)


class Rehearsal(Remembering[C]):
    """New samples and those of a memory, in one batch."""

    def check(self, part: Part) -> None:
        super().check(part)
        config = self.config
        if config.from_memory is not None and config.from_memory >= config.batch_size:
            message = nothing_new(config.from_memory, config.batch_size)
            raise DataInvalid([Problem(message, path="from_memory", remedy="Lower it, or raise `batch_size`.")])

    def rehearsed(self, part: Part) -> RehearsalPart:
        return RehearsalPart.joined(part, self.memory)

    def columns(self, part: Part) -> tuple[str, ...]:
        return (label_of(part), MEMORY_ROW, PART_ROW)

    def sampler(self, part: Part, context: Context) -> Sampler | None:
        if self.config.from_memory is None or not isinstance(part, RehearsalPart):
            return super().sampler(part, context)
        config = self.config
        return rehearsal_sampler(
            part,
            batch_size=config.batch_size,
            from_memory=config.from_memory,
            seed=context.seed,
            steps=self.padded_steps(part, context),
            drop_last=context.world_size > 1,
        )


@register("method", "er", version=2, config=ErConfig)
class ExperienceReplay(Rehearsal[ErConfig]):
    """New samples and those of a memory, in one batch and one loss."""
