"""All classes at once: the upper bound of continual learning, also called offline or multi-task training. No paper.

It gives one model, which the protocol `continual` judges after every task.
"""

from __future__ import annotations

from collections.abc import Sequence

from tswork.data.class_tasks import ClassTasks
from tswork.data.collection import Part
from tswork.methods.continual import ContinualConfig, ContinualMethod
from tswork.registry import register


@register("method", "joint", version=2, config=ContinualConfig)
class Joint(ContinualMethod[ContinualConfig]):
    """The samples of all tasks together."""

    def tasks(self, train: Part) -> Sequence[Part]:
        division, known = ClassTasks.divided(train.collection), self.labelled(train)
        division.parts(known)  # raises where a task has no data, as it does for those that learn one by one
        return (division.seen(known, len(division) - 1),)
