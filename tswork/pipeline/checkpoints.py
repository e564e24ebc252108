"""The checkpoints that a pipeline's encoders name: looked for before anything is keyed, so that their content is in the keys."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from tswork.data.faults import refuse
from tswork.data.places import Places
from tswork.encoders.checkpoints import Checkpoint, changed
from tswork.errors import DataInvalid, Location, Problem
from tswork.pipeline.spec import Member, Pipeline, StageSpec
from tswork.source import KeyPath, Source, show_path

T = TypeVar("T")


def with_checkpoints(pipeline: Pipeline, *, verify: bool = False) -> Pipeline:
    """The pipeline with every checkpoint found and known by its digest (remembered; `verify` reads the files again).

    Raises `DataInvalid` with all that are missing, where they stand.
    """
    search = _Search(pipeline.places, verify)
    members = tuple(search.member(member) for member in pipeline.members)
    refuse(search.problems)
    return replace(pipeline, members=members)


@dataclass
class _Search:
    places: Places
    verify: bool
    problems: dict[Problem, None] = field(default_factory=dict)
    known: dict[tuple[str, Path], Checkpoint] = field(default_factory=dict)

    def member(self, member: Member) -> Member:
        """A member with its checkpoints found; the very same where it has none."""
        stages = tuple(self._stage(stage, member) for stage in member.stages)
        prepare = self._located(member.data.options.prepare, ("data", "prepare"), member)
        if prepare is member.data.options.prepare and all(map(operator.is_, stages, member.stages)):
            return member
        options = member.data.options.model_copy(update={"prepare": prepare})
        return replace(member, stages=stages, data=replace(member.data, options=options))

    def _stage(self, stage: StageSpec, member: Member) -> StageSpec:
        component = self._located(stage.component, ("stages", stage.name), member)
        return stage if component is stage.component else replace(stage, component=component)

    def _located(self, block: T, path: KeyPath, member: Member) -> T:
        return changed(block, lambda checkpoint, at: self._locate(checkpoint, at, member), path)

    def _locate(self, checkpoint: Checkpoint, at: KeyPath, member: Member) -> Checkpoint:
        at, place = _place(member.source, at)
        named = Path(place.file) if place is not None else None
        places = self.places.moved(named.absolute().parent) if named is not None and named.is_file() else self.places
        key = (repr(checkpoint), places.beside)
        try:
            if key not in self.known:
                self.known[key] = checkpoint.located(places, verify=self.verify)
        except DataInvalid as fault:
            told = (replace(one, path=show_path(at), location=place) for one in fault.problems)
            self.problems.update(dict.fromkeys(told))
            return checkpoint
        return self.known[key]


def _place(source: Source, at: KeyPath) -> tuple[KeyPath, Location | None]:
    """Where a checkpoint stands: in its stage, or in the pipeline's encoder that the stage takes over."""
    inherited = at[2:]
    if at not in source.marks and at[:1] == ("stages",) and inherited in source.marks:
        return inherited, source.marks[inherited]
    return at, source.locate(at)
