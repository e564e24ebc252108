"""What a run reports to, besides the store: the interface that tracking implements, and a form that keeps nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from tswork.pipeline.plan import PlannedStage
from tswork.pipeline.spec import Member
from tswork.recorder import NullRecorder, Recorder

if TYPE_CHECKING:
    from tswork.pipeline.runner import MemberReport

Ending = Literal["FINISHED", "FAILED", "KILLED"]


@runtime_checkable
class MemberReporter(Protocol):
    """Receives one member of a run."""

    @property
    def run_id(self) -> str | None:
        """Id of the member's run."""

    def recorder(self, stage: str) -> Recorder:
        """Where a stage reports its curves, tables and figures."""

    def stage_started(self, stage: PlannedStage, workspace: Path) -> None:
        """A stage is about to be computed; notes may be left in its workspace."""

    def stage_done(self, stage: PlannedStage, status: str, folder: Path) -> None:
        """A stage is in the store: its key, its files and its models."""

    def data(self, about: Mapping[str, Any]) -> None:
        """What the member's data are: name, full-content digest, size, channels, leaks."""

    def metrics(self, report: MemberReport) -> None:
        """The figures and results of the member's protocols."""

    def finish(self, status: Ending, reason: str = "") -> None:
        """No more reports come."""


@runtime_checkable
class RunReporter(Protocol):
    """Receives a whole run."""

    @property
    def run_id(self) -> str | None:
        """Id of the whole run."""

    def begin(self) -> None:
        """Everything was checked and the run starts."""

    def member(self, member: Member, source_digest: str) -> MemberReporter:
        """Begin a member."""

    def summary(self, members: Sequence[MemberReport]) -> None:
        """All members are done."""

    def finish(self, status: Ending, reason: str = "") -> None:
        """No more members come."""


class Unreported:
    """Keeps nothing: for tests and notebooks that only want results."""

    run_id: str | None = None

    def begin(self) -> None:
        pass

    def member(self, member: Member, source_digest: str) -> Unreported:
        return self

    def recorder(self, stage: str) -> Recorder:
        return NullRecorder()

    def stage_started(self, stage: PlannedStage, workspace: Path) -> None:
        pass

    def stage_done(self, stage: PlannedStage, status: str, folder: Path) -> None:
        pass

    def data(self, about: Mapping[str, Any]) -> None:
        pass

    def metrics(self, report: MemberReport) -> None:
        pass

    def summary(self, members: Sequence[MemberReport]) -> None:
        pass

    def finish(self, status: Ending, reason: str = "") -> None:
        pass
