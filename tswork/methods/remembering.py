"""What methods share that keep samples of earlier tasks: the memory, how it is filled, and where it is saved.

After a task the memory takes exemplars of its classes (`tswork.data.exemplars`) or goes on as a reservoir. What is done with what
it holds is the method's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pydantic import Field

from tswork.context import Context
from tswork.data.class_tasks import ClassTasks
from tswork.data.collection import Part
from tswork.data.memory import Growth, Memory, class_quota, contents
from tswork.methods.continual import ContinualConfig, ContinualMethod
from tswork.methods.embedding import embed_part
from tswork.methods.model import Model


class MemoryConfig(ContinualConfig):
    memory: int = Field(default=200, ge=0, description="samples that are kept in all; 0: none")
    growth: Growth = Field(
        default="fixed", description="a class's share: among all classes there will be, or (growing) those seen so far"
    )
    selection: Literal["random", "nearest_to_mean", "herding", "icarl_original", "reservoir"] = Field(
        default="random", description="which samples of a class are kept; reservoir: of all samples alike"
    )


C = TypeVar("C", bound=MemoryConfig)


class Remembering(ContinualMethod[C]):
    """A method with a memory. The table `memory` tells what was in it after each task."""

    memory: Memory
    memories: list[Memory]
    """The memory after each task."""

    def check(self, part: Part) -> None:
        super().check(part)
        self.quota(part, seen=1)

    def begin(self, model: Model, task: int, part: Part, context: Context) -> None:
        if task == 0:
            self.memory = Memory.empty(part.collection, self.remembered_by(part))
            self.memories = []

    def remembered_by(self, part: Part) -> str:
        """The column whose classes share the memory; default that of the tasks."""
        return ClassTasks.divided(part.collection).column

    def seen(self, part: Part, task: int) -> int:
        """How many of these classes have come when a task ends."""
        return sum(map(len, ClassTasks.divided(part.collection).classes[: task + 1]))

    def quota(self, part: Part, *, seen: int) -> int:
        """Samples a class may have. Raises `DataInvalid` for a memory that is smaller than the number of classes."""
        classes = len(part.collection.categories(self.remembered_by(part)))
        return class_quota(self.config.memory, growth=self.config.growth, classes=classes, seen=seen)

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
        return self.memory.extended(
            part,
            task=task,
            quota=self.quota(part, seen=self.seen(part, task)),
            selection=config.selection,
            seed=context.seed,
            features=None if config.selection == "random" else embed_part(model, part, context),
        )

    def state_dict(self) -> dict[str, Any]:
        return {"memory": self.memory.state_dict(), "memories": [one.state_dict() for one in self.memories]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.memory = self.memory.restored(state["memory"])
        self.memories = [self.memory.restored(one) for one in state.get("memories", ())]
