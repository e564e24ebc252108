"""Experience replay: samples of earlier tasks are kept and trained on beside the new ones.

Rolnick et al., "Experience Replay for Continual Learning", NeurIPS 2019, without its cloning of behaviour; Robins,
"Catastrophic Forgetting, Rehearsal and Pseudorehearsal", Connection Science, 1995. After a task the memory takes exemplars of
its classes (`tswork.data.exemplars`) or goes on as a reservoir. With `from_memory: none` memory and task are one pool, so that
a batch holds samples of the memory in proportion, as COCONUT's authors do it; else every batch has so many. With `memory: 0`
it is `finetune`, to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pydantic import Field

from tswork.context import Context
from tswork.data.class_tasks import ClassTasks
from tswork.data.collection import Part
from tswork.data.memory import Growth, Memory, class_quota, contents
from tswork.data.rehearsal import MEMORY_ROW, PART_ROW, RehearsalPart, rehearsal_sampler
from tswork.data.samplers import Sampler
from tswork.errors import DataInvalid, Problem
from tswork.methods.continual import ContinualConfig, ContinualMethod, label_of
from tswork.methods.embedding import embed_part
from tswork.methods.model import Model
from tswork.registry import register


class ErConfig(ContinualConfig):
    memory: int = Field(default=200, ge=0, description="samples that are kept in all; 0: none")
    growth: Growth = Field(
        default="fixed", description="a class's share: among all classes there will be, or (growing) those seen so far"
    )
    selection: Literal["random", "nearest_to_mean", "herding", "icarl_original", "reservoir"] = Field(
        default="random", description="which samples of a class are kept; reservoir: of all samples alike"
    )
    from_memory: int | None = Field(
        default=None, ge=1, description="samples of the memory in every batch; none: in proportion to its size"
    )


C = TypeVar("C", bound=ErConfig)


class Rehearsal(ContinualMethod[C]):
    """New samples and those of a memory, in one batch. The table `memory` tells what was in it after each task."""

    memory: Memory
    memories: list[Memory]
    """The memory after each task."""

    def check(self, part: Part) -> None:
        super().check(part)
        division, config = ClassTasks.divided(part.collection), self.config
        class_quota(config.memory, growth=config.growth, classes=len(division.order), seen=len(division.order))
        if config.from_memory is not None and config.from_memory >= config.batch_size:
            message = f"{config.from_memory} samples of the memory leave a batch of {config.batch_size} no new one"
            raise DataInvalid([Problem(message, path="from_memory", remedy="Lower it, or raise `batch_size`.")])

    def begin(self, model: Model, task: int, part: Part, context: Context) -> None:
        if task == 0:
            self.memory = Memory.empty(part.collection, ClassTasks.divided(part.collection).column)
            self.memories = []

    def rehearsed(self, part: Part) -> RehearsalPart:
        return RehearsalPart.joined(part, self.memory)

    def columns(self, part: Part) -> tuple[str, ...]:
        return (label_of(part), MEMORY_ROW, PART_ROW)

    def sampler(self, part: Part, context: Context) -> Sampler | None:
        if self.config.from_memory is None or not isinstance(part, RehearsalPart):
            return super().sampler(part, context)
        return rehearsal_sampler(
            part, batch_size=self.config.batch_size, from_memory=self.config.from_memory, seed=context.seed
        )

    def finish(self, model: Model, task: int, part: Part, context: Context) -> None:
        if self.config.memory:
            self.memory = self._filled(model, task, part, context)
            self.memories.append(self.memory)
            context.recorder.table("memory", contents(self.memories))

    def costs(self, model: Model, task: int, part: Part) -> Mapping[str, int]:
        return {
            **super().costs(model, task, part),
            "old_samples": len(self.memories[task - 1]) if task and self.memories else 0,
            "kept_samples": len(self.memory),
            "kept_bytes": self.memory.bytes,
        }

    def _filled(self, model: Model, task: int, part: Part, context: Context) -> Memory:
        """The memory with samples of a task that is over."""
        config = self.config
        if config.selection == "reservoir":
            return self.memory.sampled(part, task=task, size=config.memory, seed=context.seed)
        division = ClassTasks.divided(part.collection)
        seen = sum(map(len, division.classes[: task + 1]))
        return self.memory.extended(
            part,
            task=task,
            quota=class_quota(config.memory, growth=config.growth, classes=len(division.order), seen=seen),
            selection=config.selection,
            seed=context.seed,
            features=None if config.selection == "random" else embed_part(model, part, context),
        )

    def state_dict(self) -> dict[str, Any]:
        return {"memory": self.memory.state_dict(), "memories": [one.state_dict() for one in self.memories]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.memory = self.memory.restored(state["memory"])
        self.memories = [self.memory.restored(one) for one in state["memories"]]


@register("method", "er", version=2, config=ErConfig)
class ExperienceReplay(Rehearsal[ErConfig]):
    """New samples and those of a memory, in one batch and one loss."""
