"""The finished stages of a pipeline file, where their results lie in the store, and what each of them was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tswork.data.places import Places
from tswork.errors import Location, PipelineInvalid, Problem, UserError
from tswork.methods.saving import WEIGHTS
from tswork.pipeline.loading import load_pipeline
from tswork.pipeline.plan import PlannedMember, make_plan
from tswork.pipeline.spec import Member, StageSpec
from tswork.store import Store


@dataclass
class RunNotFound(UserError):
    """Neither a pipeline file nor a run of this project."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True)
class FinishedMember:
    """One member of a finished run: what was asked, and where each stage's result lies."""

    member: Member
    folders: Mapping[str, Path]
    places: Places
    """Where the data are sought, seen from the folder of the pipeline."""

    def stage(self, name: str | None, *, trains: bool) -> tuple[StageSpec, Path]:
        """A method stage (or a protocol) by name, or the only one. Raises `RunNotFound` with the names there are."""
        fitting = [spec for spec in self.member.stages if spec.trains == trains]
        chosen = [spec for spec in fitting if name in (None, spec.name)]
        if len(chosen) != 1:
            kind = "method stage" if trains else "protocol stage"
            known = ", ".join(spec.name for spec in fitting) or "none"
            reason = f"there is no {kind} {name!r}" if name else f"there are several {kind}s; name one"
            raise RunNotFound(self.member.header.name, f"{reason} (there are: {known})")
        return chosen[0], self.folders[chosen[0].name]


def find_finished(
    pipeline: Path, *, places: Places, overrides: tuple[str, ...] = (), member: str | None = None
) -> FinishedMember:
    """The finished stages of a pipeline file (of one member where there is a sweep).

    Raises `PipelineInvalid` for faults of the file, `RunNotFound` when stages have not been run yet.
    """
    loaded = load_pipeline(pipeline, places=places, overrides=overrides)
    planned = _chosen(make_plan(loaded).members, member, str(pipeline))
    keys = {stage.spec.name: stage.key for stage in planned.stages}
    return finished_member(planned.member, keys, loaded.places, name=str(pipeline), command=f"tswork run {pipeline}")


def finished_member(
    member: Member, keys: Mapping[str, str], places: Places, *, name: str, command: str
) -> FinishedMember:
    """The results of a member's stages by their keys.

    Raises `RunNotFound` with the command that makes what is missing, `ResultAltered` with files that are not as they were written.
    """
    store = Store(places.store)
    folders = {stage: store.get(key) for stage, key in keys.items()}
    missing = [stage for stage, folder in folders.items() if folder is None]
    if missing:
        reason = f"the results of {', '.join(missing)} are not in the store at {places.store}. Run it with: {command}"
        raise RunNotFound(name, reason)
    store.check(keys.values(), but=WEIGHTS)  # weights are, where a model is loaded
    return FinishedMember(member, {stage: folder for stage, folder in folders.items() if folder is not None}, places)


def _chosen(members: tuple[PlannedMember, ...], name: str | None, pipeline: str) -> PlannedMember:
    if name is None:
        return members[0]
    for planned in members:
        if planned.member.name == name:
            return planned
    known = "; ".join(planned.member.name for planned in members)
    problem = Problem(f"there is no member {name!r}", location=Location(pipeline), remedy=f"Known: {known}.")
    raise PipelineInvalid([problem])
