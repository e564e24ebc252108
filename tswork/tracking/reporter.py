"""A run of a pipeline in MLflow: a parent, one child a member, stages as prefixes inside a child."""

from __future__ import annotations

import getpass
import json
import math
import statistics
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tswork.errors import TrackingUnreachable, TsworkWarning
from tswork.pipeline.outcome import all_rows
from tswork.pipeline.plan import Plan, PlannedMember, PlannedStage
from tswork.pipeline.provenance import provenance
from tswork.pipeline.reporting import Ending
from tswork.pipeline.runner import MemberReport
from tswork.pipeline.spec import Member
from tswork.recorder import Recorder
from tswork.store import Store, key_of
from tswork.tracking import names
from tswork.tracking.client import Tracking, away_errors
from tswork.tracking.description import described
from tswork.tracking.exports import exported, last_model
from tswork.tracking.inputs import data_tags, log_data
from tswork.tracking.made import MADE, made_with
from tswork.tracking.models import Models
from tswork.tracking.outbox import Outbox, Recipient, RecordIncomplete
from tswork.tracking.recorder import RunRecorder
from tswork.tracking.resolved import parameters, resolved_yaml, shared_parameters
from tswork.tracking.system import SystemMetrics

RUN_FILE = "run.json"
"""In a stage's workspace: the run it reports to, and of what, so that a resumed stage goes on in the run of the same member alone."""

RESULT_FILES = ("rows.parquet", "units.parquet", "predictions.parquet", "warnings.json", "records/scalars.parquet")


class MlflowReporter:
    """Reports a whole run. Opening it reaches the store, so that nothing trains in vain."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        places = plan.pipeline.places
        self._store = Store(places.store)
        self._tracking = Tracking.open(places.root, experiment=plan.pipeline.experiment)
        self._to = Recipient("the run")
        self._outbox: Outbox | None = None
        self.incomplete: RecordIncomplete | None = None
        """What could not be recorded, known when the run is over."""

    @property
    def run_id(self) -> str | None:
        return self._to.run_id

    def begin(self) -> None:
        try:
            self._begin()
        except away_errors() as error:
            raise TrackingUnreachable(self._tracking.uri, names.first_line(error)) from error
        self._outbox = Outbox(self._tracking)
        self._outbox.accompany(self._to, dict)

    def _begin(self) -> None:
        plan, header = self._plan, self._plan.pipeline.header
        self._tracking.mark_dead()
        former = next((run["parent"] for run in map(self._former, plan.members) if run), None)
        tags = {**header.tags, **_origin(plan), names.PIPELINE: plan.pipeline.name, names.LEVEL: "run"}
        self._to.run_id = self._tracking.start(plan.pipeline.name, parent=None, tags=tags, reopen=former)
        if former is None:
            members = tuple(one.member for one in plan.members)
            self._tracking.params(self._to.run_id, shared_parameters(members))

    def member(self, member: Member, source_digest: str) -> MlflowMember:
        assert self._outbox is not None
        planned = next(one for one in self._plan.members if one.member is member)
        former = self._former(planned)
        return MlflowMember(
            self._tracking, self._outbox, self._store, self._plan, planned, self._to, former["run"] if former else None
        )

    def summary(self, members: Sequence[MemberReport]) -> None:
        """On the parent: the tables of results, and mean and standard deviation of every row's headline over members that have one."""
        assert self._outbox is not None
        stages = [stage.spec for stage in self._plan.members[0].stages]
        text = described(self._plan.pipeline.header.description, stages, members)
        self._outbox.post(self._to, "the table of results", lambda run: self._tracking.tag(run, {names.NOTE: text}))
        table = all_rows(members).to_csv(index=False)
        save = self._tracking.client.log_text
        self._outbox.post(self._to, names.RESULTS, lambda run: save(run, table, names.RESULTS))
        metrics = [member.metrics for member in members]
        headlines = _headlines(self._plan.members[0].member)
        shared = [name for name in metrics[0] if all(name in one for one in metrics)] if metrics else []
        for name in (name for name in shared if (name.partition("/")[0], name.rpartition("/")[2]) in headlines):
            self._outbox.points(self._to, over_members(name, [one[name] for one in metrics]), step=0)

    def finish(self, status: Ending, reason: str = "") -> None:
        if self._outbox is not None:
            self._outbox.leave(self._to)
            _end(self._outbox, self._tracking, self._to, status, reason)
            self.incomplete = self._outbox.close()
            if self.incomplete is not None:
                warnings.warn(str(self.incomplete), TsworkWarning, stacklevel=2)

    def _former(self, planned: PlannedMember) -> dict[str, str] | None:
        """The run that an interrupted stage of a member reported to, if it is still there.

        A stage may have been begun by another pipeline, or by this one with other stages: their runs have other parameters.
        """
        for stage in planned.stages:
            if stage.status == "resume":
                try:
                    run: dict[str, str] = json.loads((self._store.workspace(stage.key) / RUN_FILE).read_text())
                except (OSError, ValueError):
                    continue
                same = run.get("of") == _identity(self._plan, planned.member)
                if same and self._tracking.exists(run["run"]) and self._tracking.exists(run["parent"]):
                    return run
        return None


class MlflowMember:
    """Reports one member."""

    def __init__(
        self,
        tracking: Tracking,
        outbox: Outbox,
        store: Store,
        plan: Plan,
        planned: PlannedMember,
        parent: Recipient,
        former: str | None,
    ) -> None:
        self._tracking = tracking
        self._outbox = outbox
        self._plan = plan
        self._planned = planned
        self._member = planned.member
        self._parent = parent
        self._former = former
        self._to = Recipient(planned.member.name or "the member")
        self._store = store
        self._models = Models(tracking)
        self._about: Mapping[str, Any] = {}
        outbox.post(self._to, "the run", self._begin, creates=True)
        if former is None:
            self._post("parameters", lambda run: tracking.params(run, parameters(self._member)))
            text = resolved_yaml(self._member)
            self._post(names.RESOLVED, lambda run: tracking.client.log_text(run, text, names.RESOLVED))
        outbox.flush()
        outbox.accompany(self._to, SystemMetrics())

    @property
    def run_id(self) -> str | None:
        return self._to.run_id

    def recorder(self, stage: str) -> Recorder:
        return RunRecorder(self._outbox, self._tracking, self._to, stage)

    def stage_started(self, stage: PlannedStage, workspace: Path) -> None:
        def leave_a_note(run: str) -> None:
            if workspace.is_dir():  # it goes when the stage is done
                of = _identity(self._plan, self._member)
                (workspace / RUN_FILE).write_text(json.dumps({"run": run, "parent": self._parent.run_id, "of": of}))

        self._outbox.post(self._to, "", leave_a_note)
        self._outbox.flush()

    def stage_done(self, stage: PlannedStage, status: str, folder: Path) -> None:
        name = stage.spec.name
        self._post(f"status of {name}", lambda run: self._tracking.tag(run, _stage_tag(stage, status)))
        for file in RESULT_FILES:
            if (folder / file).exists():
                self._post(f"{name}/{Path(file).name}", self._uploading(folder / file, name))
        if not stage.spec.trains:
            made = made_with(stage, self._planned.stages)
            self._post(f"{name}/{MADE}", lambda run: self._tracking.client.log_dict(run, made, f"{name}/{MADE}"))
        else:
            model, cached = last_model(folder), status == "cached"
            program = exported(self._store, stage.key, model)
            self._post(f"model {name}", lambda run: self._models.log(run, stage, model, program, cached=cached))

    def data(self, about: Mapping[str, Any]) -> None:
        self._about = about
        self._post("data", lambda run: log_data(self._tracking, run, self._member, about))
        self._post("tags of the data", lambda run: self._tracking.tag(run, data_tags(about)))

    def metrics(self, report: MemberReport) -> None:
        metrics = report.metrics
        text = described(self._member.header.description, self._member.stages, [report])
        self._post("the table of results", lambda run: self._tracking.tag(run, {names.NOTE: text}))
        self._post("metrics", lambda run: self._models.log_metrics(run, self._member, metrics, self._about))
        if self._member.header.gate is not None:
            self._post("registration", lambda run: self._models.register(self._member, run, metrics))

    def finish(self, status: Ending, reason: str = "") -> None:
        self._outbox.leave(self._to)
        _end(self._outbox, self._tracking, self._to, status, reason)

    def _begin(self, _: str) -> None:
        header = self._member.header
        tags = {
            **header.tags,
            **_origin(self._plan),
            names.PIPELINE: self._plan.pipeline.name,
            names.LEVEL: "member",
            names.MEMBER: self._member.name,
            names.AXES: json.dumps(self._member.axes),
            names.BESIDE: json.dumps(_given_elsewhere(self._plan, self._member)),
            names.SEED: str(header.seed),
        }
        for stage in self._planned.stages:
            tags.update(_stage_tag(stage, "planned"))
        name = self._member.name or self._plan.pipeline.name
        run = self._tracking.start(name, parent=self._parent.run_id, tags=tags, reopen=self._former)
        if self._former is not None:
            self._to.reached.update(self._tracking.last_steps(run))
        self._to.run_id = run

    def _post(self, what: str, send: Callable[[str], object]) -> None:
        self._outbox.post(self._to, what, send)

    def _uploading(self, file: Path, folder: str) -> Callable[[str], object]:
        return lambda run: self._tracking.client.log_artifact(run, str(file), artifact_path=folder)


def over_members(name: str, values: Sequence[float]) -> dict[str, float]:
    """Mean and standard deviation of a figure under their names, over the members in which it is defined."""
    finite = [value for value in values if math.isfinite(value)]
    mean = {name: statistics.fmean(finite)} if finite else {}
    return {**mean, f"{name}.std": statistics.stdev(finite)} if len(finite) > 1 else mean


def _end(outbox: Outbox, tracking: Tracking, to: Recipient, status: Ending, reason: str) -> None:
    def send(run: str) -> None:
        if reason:
            tracking.tag(run, {names.REASON: reason})
        tracking.client.set_terminated(run, status=status)

    outbox.post(to, f"status {status}", send)


def _stage_tag(stage: PlannedStage, status: str) -> dict[str, str]:
    about = {"uses": stage.spec.component.name, "key": stage.key, "status": status}
    return {f"{names.STAGE}{stage.spec.name}": json.dumps(about)}


def _headlines(member: Member) -> set[tuple[str, str]]:
    return {(stage.name, stage.protocol.headline) for stage in member.stages if not stage.trains}


def _identity(plan: Plan, member: Member) -> str:
    """What a run of a member is about: where it is recorded, and every option of its pipeline."""
    return key_of([plan.pipeline.experiment, plan.pipeline.name, member.name, resolved_yaml(member)])


def _given_elsewhere(plan: Plan, member: Member) -> dict[str, str]:
    """The folder of each key of the data that does not stand beside the pipeline; its paths are sought there."""
    own = Path(plan.pipeline.path).absolute().parent
    return {key: str(folder) for key, folder in member.data.beside.items() if folder != own}


def _origin(plan: Plan) -> dict[str, str]:
    """Where a run comes from: the file, who ran it, and with which versions."""
    made = provenance()
    note = {names.NOTE: plan.pipeline.header.description} if plan.pipeline.header.description else {}
    commit = {"mlflow.source.git.commit": made["commit"].rstrip("+")} if made["commit"] else {}
    return {
        **note,
        **commit,
        names.SOURCE: str(Path(plan.pipeline.path).absolute()),
        "mlflow.source.type": "LOCAL",
        "mlflow.user": _user(),
        names.COMMIT: made["commit"] or "none",
        names.VERSIONS: json.dumps({"tswork": made["tswork"], **made["packages"]}),
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"
