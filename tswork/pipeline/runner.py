"""Running a plan: stages that are not in the store are computed, every stage is reported, and nothing finished is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import pandas as pd
import torch

from tswork.context import Context
from tswork.data.opening import OpenData
from tswork.errors import Interrupted, TsworkError
from tswork.pipeline import stages
from tswork.pipeline.checking import check_plan, check_stored, choose_device, open_member
from tswork.pipeline.observer import Observer, Silent
from tswork.pipeline.outcome import all_rows
from tswork.pipeline.plan import Plan, PlannedMember, PlannedStage, left_behind
from tswork.pipeline.provenance import provenance
from tswork.pipeline.records import replay
from tswork.pipeline.reporting import MemberReporter, RunReporter
from tswork.pipeline.results import load_result, metrics_of
from tswork.protocols.base import Result
from tswork.store import Store
from tswork.training.runtime import Runtime, open_runtime, own_rank, process_count, release_memory
from tswork.wording import counted, worded

CHECKPOINT_SECONDS = 30.0
Outcome = Literal["cached", "resumed", "run"]


@dataclass(frozen=True)
class StageReport:
    """What happened to one stage."""

    name: str
    status: Outcome
    key: str
    seconds: float


@dataclass
class MemberReport:
    """What happened to one member, and what its protocols found."""

    name: str
    axes: Mapping[str, Any]
    run_id: str | None
    stages: list[StageReport] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)


@dataclass
class RunReport:
    """What happened in one `tswork run`."""

    run_id: str | None
    members: list[MemberReport] = field(default_factory=list)

    @property
    def rows(self) -> pd.DataFrame:
        """Every figure of every member as one table: its axes, then stage, row, role, metric, at, value."""
        return all_rows(self.members)

    def __repr__(self) -> str:
        """The headlines of the members."""
        found = [
            f"{name}={value:.4g}" for one in self.members for name, value in one.metrics.items() if name.count("/") == 1
        ]
        return f"RunReport({self.run_id or 'not recorded'}: {counted(len(self.members), 'member')}; {', '.join(found)})"


def run_plan(
    plan: Plan,
    *,
    reporter: RunReporter,
    observer: Observer | None = None,
    device: str | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> RunReport:
    """Compute what the plan says is missing and report everything.

    Data, models and what is in the store already are all checked before anything trains. Of several processes that torchrun
    started all call this with the same plan: they train together, and the first one alone judges and writes. Raises the named
    errors of data, methods, training and the store; the runs that were open are then ended as FAILED, or as KILLED after an interrupt.
    """
    observer = observer or Silent()
    chosen = choose_device(plan, device)
    check_plan(plan, chosen)
    check_stored(plan)
    reporter.begin()
    report = RunReport(reporter.run_id)
    with _ending(reporter), _shared_runtime(plan, chosen) as runtime:
        for number, planned in enumerate(plan.members, start=1):
            observer.member_started(planned.member, number, len(plan.members))
            member_reporter = reporter.member(planned.member, planned.source_digest)
            with _naming(planned.member.name, number, len(plan.members)), _ending(member_reporter):
                work = _MemberRun(planned, plan, member_reporter, observer, chosen, checkpoint_seconds, runtime)
                report.members.append(work.run())
        reporter.summary(report.members)
    return report


class _MemberRun:
    """One member from its first stage to its last; data are opened when the first stage needs them."""

    def __init__(
        self,
        planned: PlannedMember,
        plan: Plan,
        reporter: MemberReporter,
        observer: Observer,
        device: torch.device,
        checkpoint_seconds: float,
        runtime: Runtime | None,
    ) -> None:
        self._runtime = runtime
        self._checkpoint_seconds = checkpoint_seconds
        self._planned = planned
        self._plan = plan
        self._reporter = reporter
        self._observer = observer
        self._device = device
        self._store = Store(plan.pipeline.places.store)
        self._opened: OpenData | None = None
        self._folders: dict[str, Path] = {}

    def run(self) -> MemberReport:
        member = self._planned.member
        report = MemberReport(member.name, member.axes, self._reporter.run_id)
        for stage in self._planned.stages:
            self._observer.stage_started(stage)
            started = time.perf_counter()
            status = self._compute(stage)
            seconds = time.perf_counter() - started
            self._publish(stage, status, report)
            report.stages.append(StageReport(stage.spec.name, status, stage.key, seconds))
            self._observer.stage_finished(stage, seconds)
        data = self._store.about(self._planned.stages[0].key)["data"]
        self._reporter.data(data)
        if data.get("left_out"):
            count = len(data["left_out"])
            of = f"{count:,} of {count + data['sequences']:,} recordings"
            why = worded(count, "was left out because it", "were left out because they")
            self._observer.warning(f"{of} {why} cannot be used; the run's left_out.csv lists them")
        self._reporter.metrics(report)
        return report

    def _compute(self, stage: PlannedStage) -> Outcome:
        verify = self._plan.verify
        found = self._store.get(stage.key, verify=verify)
        if found is not None:
            self._folders[stage.spec.name] = found
            return "cached"
        if own_rank():
            return self._assist(stage)
        resumes = left_behind(self._store, stage.key) is not None
        computed: list[str] = []

        def write(folder: Path) -> None:
            computed.append(stage.key)
            self._write(stage, folder)

        self._folders[stage.spec.name] = self._store.compute(stage.key, write, about=self._about(stage), verify=verify)
        if not computed:
            return "cached"  # another process finished it while this one waited
        return "resumed" if resumes else "run"

    def _assist(self, stage: PlannedStage) -> Outcome:
        """In a process beside the first one: train along, and wait until the first one has written the result."""
        if stage.spec.trains:
            with TemporaryDirectory() as scratch:
                self._write(stage, Path(scratch))
        self._folders[stage.spec.name] = self._store.wait(stage.key)
        return "run"

    def _write(self, stage: PlannedStage, folder: Path) -> None:
        member = self._planned.member
        around = stages.Surroundings(
            split=self.data.splits[0],
            context=Context(self._device, store=self._store, seed=member.header.seed),
            live=self._reporter.recorder(stage.spec.name),
            workspace=self._store.workspace(stage.key),
            progress=lambda done, total, values: self._observer.stage_progress(stage, done, total, values),
            checkpoint_seconds=self._checkpoint_seconds,
            runtime=self._runtime,
        )
        self._reporter.stage_started(stage, around.workspace)
        if stage.spec.trains:
            stages.compute_method(folder, stage.spec, member, around)
        else:
            judged = {name: self._folders[name] for name in stage.spec.needs}
            stages.compute_protocol(folder, stage.spec, member, around, judged)
        release_memory()

    def _publish(self, stage: PlannedStage, status: Outcome, report: MemberReport) -> None:
        """Bring a finished stage into the member's run: a cached one is replayed, results are added either way."""
        folder = self._folders[stage.spec.name]
        if status == "cached":
            replay(folder, self._reporter.recorder(stage.spec.name))
        self._reporter.stage_done(stage, status, folder)
        if not stage.spec.trains:
            result = load_result(folder)
            report.results[stage.spec.name] = result
            report.metrics.update(metrics_of(stage.spec.name, result, stage.spec.protocol, stage.spec.needs))
            for text in result.warnings:
                self._observer.warning(text)

    @property
    def data(self) -> OpenData:
        """The member's data with its one split, opened once."""
        if self._opened is None:
            self._opened = open_member(self._planned.member, self._plan)
        return self._opened

    def _about(self, stage: PlannedStage) -> dict[str, Any]:
        member = self._planned.member
        collection, split = self.data.collection, self.data.splits[0]
        chosen: str | None = getattr(member.data.reader.config, "set", None)  # a set of a family
        return {
            "pipeline": self._plan.pipeline.name,
            "member": member.name,
            "stage": stage.spec.name,
            "inputs": stage.inputs,
            "data": {
                "name": "/".join([collection.name, *([chosen] if chosen else [])]),
                "digest": collection.digest,
                "sequences": len(collection),
                "steps": len(collection.values),
                "channels": list(collection.channels),
                "notes": list(split.train.collection.notes),
                "left_out": [list(row) for row in collection.left_out],
                "leaks": list(split.leaks),
            },
            **provenance(),
        }


def _shared_runtime(plan: Plan, device: torch.device) -> AbstractContextManager[Runtime | None]:
    """The group of processes that torchrun started, for all trainings of the run; a second group could not be formed."""
    if process_count() == 1:
        return nullcontext()
    return open_runtime(device, precision=plan.members[0].member.header.precision)  # `check_plan` saw that all agree


@contextmanager
def _naming(member: str, number: int, members: int) -> Iterator[None]:
    """Note at a failure which member of a sweep it was, and what became of the others."""
    try:
        yield
    except TsworkError as error:
        if members > 1:
            before, after = number - 1, members - number
            others = [
                *([f"{counted(before, 'member')} before it {worded(before, 'is', 'are')} kept"] if before else []),
                *([f"{counted(after, 'member')} after it {worded(after, 'was', 'were')} not begun"] if after else []),
            ]
            error.add_note(f"This was {member}, member {number} of {members}; {' and '.join(others)}.")
        raise


@contextmanager
def _ending(reporter: RunReporter | MemberReporter) -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, Interrupted):
        reporter.finish("KILLED")
        raise
    except BaseException as error:
        reporter.finish("FAILED", str(error) if isinstance(error, TsworkError) else f"{type(error).__name__}: {error}")
        raise
    reporter.finish("FINISHED")
