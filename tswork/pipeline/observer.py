"""Who is told how a run goes: the command line shows it, a notebook may ignore it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from tswork.pipeline.plan import PlannedStage
from tswork.pipeline.spec import Member


@runtime_checkable
class Observer(Protocol):
    """Told of every stage as it starts, goes on and ends."""

    def member_started(self, member: Member, number: int, count: int) -> None:
        """A member of the sweep begins (numbered from 1)."""

    def stage_started(self, stage: PlannedStage) -> None:
        """A stage is about to be computed or replayed."""

    def stage_progress(self, stage: PlannedStage, done: int, total: int, values: Mapping[str, float]) -> None:
        """Steps done of a total, with the newest values worth showing."""

    def stage_finished(self, stage: PlannedStage, seconds: float) -> None:
        """A stage is in the store."""

    def warning(self, text: str) -> None:
        """Something the user should know."""


class Silent:
    """Ignores everything."""

    def member_started(self, member: Member, number: int, count: int) -> None:
        pass

    def stage_started(self, stage: PlannedStage) -> None:
        pass

    def stage_progress(self, stage: PlannedStage, done: int, total: int, values: Mapping[str, float]) -> None:
        pass

    def stage_finished(self, stage: PlannedStage, seconds: float) -> None:
        pass

    def warning(self, text: str) -> None:
        pass
