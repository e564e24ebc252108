"""The stages of a pipeline with their keys, and for each whether it is cached, resumes or runs, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tswork.pipeline.checkpoints import with_checkpoints
from tswork.pipeline.data_files import data_digests
from tswork.pipeline.keys import stage_inputs
from tswork.pipeline.spec import Member, Pipeline, StageSpec
from tswork.store import PIECES, Entry, Store, key_of
from tswork.wording import counted

Status = Literal["cached", "resume", "run"]
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class PlannedStage:
    """One stage of one member, and what `tswork run` would do with it."""

    spec: StageSpec
    key: str
    status: Status
    reason: str
    inputs: dict[str, Any]


@dataclass(frozen=True)
class PlannedMember:
    """One member of a sweep with its planned stages."""

    member: Member
    stages: tuple[PlannedStage, ...]
    source_digest: str

    @property
    def finished(self) -> bool:
        """Whether nothing is left to compute."""
        return all(stage.status == "cached" for stage in self.stages)


@dataclass(frozen=True)
class Plan:
    """All members of a pipeline with their planned stages."""

    pipeline: Pipeline
    members: tuple[PlannedMember, ...]
    verify: bool = False
    """Whether stored results are read again, and computed anew where they were altered."""

    def __repr__(self) -> str:
        """A line a stage, as `tswork plan` shows it."""
        stages = [(planned.member.name, stage) for planned in self.members for stage in planned.stages]
        lines = [
            f"{f'{member}  ' if member else ''}{one.spec.name}: {one.status}, {one.reason}" for member, one in stages
        ]
        return "\n".join([f"Plan of {self.pipeline.name}", *lines])


def make_plan(pipeline: Pipeline, *, verify: bool = False, world_size: int = 1) -> Plan:
    """What would run and why. Reads file digests (remembered; `verify` rehashes) and the store's records, no values.

    Raises `DataInvalid` when a data file or a checkpoint is missing.
    """
    pipeline = with_checkpoints(pipeline, verify=verify)
    store = Store(pipeline.places.store)
    history = _History(store)
    members = []
    for member, digest in zip(pipeline.members, data_digests(pipeline, verify=verify), strict=True):
        stages: dict[str, PlannedStage] = {}
        for spec in member.stages:
            needs = [stages[name] for name in spec.needs]
            inputs = stage_inputs(
                member, spec, data_digest=digest, needs=[one.key for one in needs], world_size=world_size
            )
            key = key_of(inputs)
            status, reason = _status(store, history, pipeline, member, spec, key, inputs, needs, verify)
            stages[spec.name] = PlannedStage(spec, key, status, reason, inputs)
        members.append(PlannedMember(member, tuple(stages.values()), digest))
    return Plan(pipeline, tuple(members), verify)


def _status(
    store: Store,
    history: _History,
    pipeline: Pipeline,
    member: Member,
    spec: StageSpec,
    key: str,
    inputs: dict[str, Any],
    needs: Sequence[PlannedStage],
    verify: bool,
) -> tuple[Status, str]:
    if store.get(key, verify=verify) is not None:
        return "cached", "nothing it depends on has changed"
    if (left := left_behind(store, key)) is not None:
        return "resume", f"an interrupted run left {left}"
    waiting = [one.spec.name for one in needs if one.status != "cached"]
    if waiting:
        return "run", f"needs {' and '.join(waiting)}"
    return "run", history.why(pipeline.name, spec.name, member, inputs)


def left_behind(store: Store, key: str) -> str | None:
    """What an interrupted run left of a stage, in words; None: nothing."""
    if store.has_work(key, CHECKPOINTS):
        return "a checkpoint"
    if not store.has_work(key, PIECES):
        return None
    finished = sum(1 for _ in store.pieces(key).entries())
    return f"{counted(finished, 'finished piece')} of it" if finished else "a piece of it unfinished"


class _History:
    """Earlier results of the same stage, read only when a stage has to run."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._entries: list[Entry] | None = None

    def why(self, pipeline: str, stage: str, member: Member, inputs: dict[str, Any]) -> str:
        """What changed since the newest result of that stage, or that there is none."""
        if self._entries is None:
            self._entries = sorted(self._store.entries(), key=lambda entry: -entry.finished)
        for entry in self._entries:
            about = entry.about
            if (about.get("pipeline"), about.get("stage"), about.get("member")) == (pipeline, stage, member.name):
                changes = list(_changes(about.get("inputs", {}), inputs, ""))
                if not changes:
                    return "its stored result is not as it was written"
                return (
                    "changed: " + ", ".join(changes[:3]) + (f" and {len(changes) - 3} more" if len(changes) > 3 else "")
                )
        return "never run"


def _changes(old: Any, new: Any, path: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from _changes(old.get(key), new.get(key), f"{path}.{key}" if path else key)
    elif old != new:
        name = path.removeprefix("stage.")
        yield "the data files" if name == "digest" else f"{name} {_short(old)} -> {_short(new)}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."
