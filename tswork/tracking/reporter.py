"""A run of a pipeline in MLflow: a parent, one child a member, stages as prefixes inside a child."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tswork.config import dump, dump_configured
from tswork.pipeline.plan import Plan, PlannedStage
from tswork.pipeline.provenance import provenance
from tswork.pipeline.reporting import Ending
from tswork.pipeline.spec import Member
from tswork.recorder import Recorder
from tswork.store import Store
from tswork.tracking import names
from tswork.tracking.client import Tracking
from tswork.tracking.models import log_model, register_when
from tswork.tracking.recorder import Outbox, RunRecorder

RUN_FILE = "run.json"
"""In a stage's workspace: the run it reports to, so that a resumed stage goes on in its own run."""

RESULT_FILES = ("rows.parquet", "units.parquet", "predictions.parquet", "warnings.json", "records/scalars.parquet")


class MlflowReporter:
    """Reports a whole run. Opening it reaches the store, so that nothing trains in vain."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        places = plan.pipeline.places
        self._store = Store(places.store)
        self._tracking = Tracking.open(places.root, experiment=plan.pipeline.experiment)
        self.run_id: str = ""

    def begin(self) -> None:
        plan, header = self._plan, self._plan.pipeline.header
        self._tracking.mark_dead()
        former = next((run["parent"] for run in map(self._former, plan.members) if run), None)
        tags = {**header.tags, **_origin(), names.PIPELINE: plan.pipeline.name, names.LEVEL: "run"}
        self.run_id = self._tracking.start(plan.pipeline.name, parent=None, tags=tags, reopen=former)
        if former is None:
            facts = {"seed": header.seed, "members": len(plan.members), "pipeline": plan.pipeline.name}
            self._tracking.params(self.run_id, facts)

    def member(self, member: Member, source_digest: str) -> MlflowMember:
        planned = next(one for one in self._plan.members if one.member is member)
        former = self._former(planned)
        return MlflowMember(
            self._tracking, self._plan, member, planned.stages, self.run_id, former["run"] if former else None
        )

    def summary(self, metrics: Sequence[Mapping[str, float]]) -> None:
        """Mean and standard deviation over members, on the parent."""
        outbox = Outbox(self._tracking, self.run_id)
        shared = [name for name in metrics[0] if all(name in one for one in metrics)] if metrics else []
        for name in shared:
            values = [one[name] for one in metrics]
            found = {f"{name}": statistics.fmean(values)}
            if len(values) > 1:
                found[f"{name}/std"] = statistics.stdev(values)
            outbox.put(found, 0)
        outbox.close()

    def finish(self, status: Ending, reason: str = "") -> None:
        if reason:
            self._tracking.tag(self.run_id, {names.REASON: reason})
        self._tracking.client.set_terminated(self.run_id, status=status)

    def _former(self, planned: Any) -> dict[str, str] | None:
        """The run that an interrupted stage of a member reported to, if it is still there."""
        for stage in planned.stages:
            if stage.status == "resume":
                try:
                    run: dict[str, str] = json.loads((self._store.workspace(stage.key) / RUN_FILE).read_text())
                except (OSError, ValueError):
                    continue
                if self._tracking.exists(run["run"]) and self._tracking.exists(run["parent"]):
                    return run
        return None


class MlflowMember:
    """Reports one member."""

    def __init__(
        self,
        tracking: Tracking,
        plan: Plan,
        member: Member,
        stages: Sequence[PlannedStage],
        parent: str,
        former: str | None,
    ) -> None:
        self._tracking = tracking
        self._plan = plan
        self._member = member
        self._parent = parent
        tags = {
            **member.header.tags,
            **_origin(),
            names.PIPELINE: plan.pipeline.name,
            names.LEVEL: "member",
            names.MEMBER: member.name,
            names.AXES: json.dumps(member.axes),
            names.SEED: str(member.header.seed),
            names.STAGE_KEYS: json.dumps({stage.spec.name: stage.key for stage in stages}),
            names.STAGES: json.dumps({stage.spec.name: stage.spec.component.name for stage in stages}),
        }
        self.run_id: str = tracking.start(member.name or plan.pipeline.name, parent=parent, tags=tags, reopen=former)
        self._outbox = Outbox(tracking, self.run_id)
        self._monitor = _system_metrics(self.run_id, tracking.uri)
        if former is None:
            tracking.params(self.run_id, dict(_flat(resolved(member))))
            tracking.client.log_text(self.run_id, resolved_yaml(member), "pipeline.resolved.yaml")

    def recorder(self, stage: str) -> Recorder:
        return RunRecorder(self._outbox, self._tracking, self.run_id, f"{stage}/")

    def stage_started(self, stage: PlannedStage, workspace: Path) -> None:
        (workspace / RUN_FILE).write_text(json.dumps({"run": self.run_id, "parent": self._parent}))

    def stage_done(self, stage: PlannedStage, status: str, folder: Path) -> None:
        self._outbox.flush()
        name = stage.spec.name
        self._tracking.tag(self.run_id, {f"tswork.stage.{name}": json.dumps({"status": status, "key": stage.key})})
        for file in RESULT_FILES:
            path = folder / file
            if path.exists():
                self._tracking.client.log_artifact(self.run_id, str(path), artifact_path=name)
        if stage.spec.trains:
            log_model(self._tracking, self.run_id, stage, folder)

    def data(self, about: Mapping[str, Any]) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        card = resolved(self._member)["data"]
        profile = {key: about[key] for key in ("sequences", "steps")}
        dataset = Dataset(
            name=str(about["name"])[:500],
            digest=str(about["digest"])[:32],
            source_type="tswork",
            source=json.dumps(card)[:65_000],
            schema=json.dumps({"channels": about["channels"]})[:1_000_000],
            profile=json.dumps(profile),
        )
        self._tracking.client.log_inputs(
            self.run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "train, validation, test")])]
        )
        self._tracking.client.log_dict(self.run_id, {**card, "content": dict(about)}, "data_card.yaml")
        leaks = about.get("leaks") or []
        tags = {names.DATA_DIGEST: about["digest"], names.DATA_NAME: about["name"]}
        self._tracking.tag(self.run_id, {**tags, **({names.LEAKY: "; ".join(leaks)} if leaks else {})})

    def metrics(self, metrics: Mapping[str, float]) -> None:
        self._outbox.put(dict(metrics), 0)
        self._outbox.flush()
        register_when(self._tracking, self._member, self.run_id, metrics)

    def finish(self, status: Ending, reason: str = "") -> None:
        self._monitor.finish()
        self._outbox.close()
        if reason:
            self._tracking.tag(self.run_id, {names.REASON: reason})
        self._tracking.client.set_terminated(self.run_id, status=status)


def resolved(member: Member) -> dict[str, Any]:
    """Everything a member was run with, defaults included; paths as they were written."""
    options = dump(member.data.options)
    reader = dump(member.data.reader.config)
    stages = {
        stage.name: {**dump_configured(stage.component), **({"needs": list(stage.needs)} if stage.needs else {})}
        for stage in member.stages
    }
    header = {
        key: value
        for key, value in dump(member.header).items()
        if key not in ("data", "encoder", "stages", "sweep", "extends")
    }
    return {**header, "data": {"reader": member.data.reader.name, **reader, **options}, "stages": stages}


def resolved_yaml(member: Member) -> str:
    """The same as a pipeline file."""
    import io

    text = io.StringIO()
    writer = YAML()
    writer.default_flow_style = False
    writer.dump(_without_none(resolved(member)), text)
    return text.getvalue()


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list) else value


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}" if path else str(key))
    elif value is not None and value not in ({}, []):
        yield path, value


def _origin() -> dict[str, str]:
    made = provenance()
    return {
        names.COMMIT: made["commit"] or "none",
        names.VERSIONS: json.dumps({"tswork": made["tswork"], **made["packages"]}),
    }


def _system_metrics(run_id: str, uri: str) -> Any:
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    monitor = SystemMetricsMonitor(run_id, sampling_interval=10, resume_logging=False, tracking_uri=uri)
    monitor.start()
    return monitor
