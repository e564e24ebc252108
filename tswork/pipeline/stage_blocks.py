"""The stages of a pipeline as its file writes them: each block by itself, with what the file's head gives to all.

The head's `encoder:` goes to every stage that takes one; where a stage names another, the blocks are merged. Its `training:` goes
to every method that has such an option and does not say otherwise. Faults stand where the words do.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from tswork import registry
from tswork.config import Configured
from tswork.errors import Problem, did_you_mean
from tswork.pipeline.spec import STAGE_NAME, StageSpec
from tswork.registry import Kind
from tswork.source import KEY, KeyPath, Source, merge, show_path
from tswork.validation import validate_block


@dataclass
class StageBlocks:
    """Reads all stage blocks, keeping the faults of each."""

    tree: Source
    problems: list[Problem] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    """Options of `training:` that some method knows."""

    def read(self) -> tuple[StageSpec, ...]:
        """All stages in an order that respects `needs`; () when there are faults."""
        blocks = self.tree.data.get("stages") if isinstance(self.tree.data, dict) else None
        names = list(blocks) if isinstance(blocks, dict) else []
        found = [stage for stage in (self._stage(name, names) for name in names) if stage is not None]
        self._unused()
        for stage in found:
            self.problems.extend(variables(stage.component, ("stages", stage.name), self.tree))
        ordered = self._ordered({stage.name: stage for stage in found}) if len(found) == len(names) else ()
        return () if self.problems else tuple(ordered)

    def _stage(self, name: str, names: Sequence[str]) -> StageSpec | None:
        path: KeyPath = ("stages", name)
        if not re.fullmatch(STAGE_NAME, name):
            self._fault("a stage's name is letters, digits, '_' and '-', beginning with a letter", path, key=True)
        if not isinstance(self.tree.at(path).data, dict):
            self._fault("should be a block with 'uses: NAME'", path)
            return None
        needs = self._needs(path, names)
        kind = self._kind(path)
        if kind is None:
            return None
        block = self._completed(path, kind)
        component, problems = validate_block(kind, block, path)
        self.problems.extend(problems)
        if component is None:
            return None
        stage = StageSpec(name, component, needs)
        if not stage.trains and not needs and not self.tree.at(path).data.get("needs"):
            self._fault("a protocol needs at least one stage to judge", path, remedy="Add `needs: STAGE`.")
        if stage.trains and needs:
            self._fault("a method trains from the data alone and needs no other stage", (*path, "needs"))
        return stage

    def _kind(self, path: KeyPath) -> Kind | None:
        uses = self.tree.at(path).data.get("uses")
        if not isinstance(uses, str):
            self._fault("should be a block with 'uses: NAME' that names a method or a protocol", path)
            return None
        kinds: tuple[Kind, Kind] = ("method", "protocol")
        known: dict[str, Kind] = {one.name: kind for kind in kinds for one in registry.components(kind)}
        if uses not in known:
            self._fault(f"no method or protocol is called {uses!r}", (*path, "uses"), remedy=did_you_mean(uses, known))
        return known.get(uses)

    def _completed(self, path: KeyPath, kind: Kind) -> Source:
        """The whole tree with the stage's own `needs` taken out, and with the pipeline's encoder and shared options put in."""
        block = self.tree.at(path)
        options = {key: value for key, value in block.data.items() if key != "needs"}
        stage = Source(options, block.marks)
        known = registry.find(kind, options["uses"]).config.model_fields
        if kind == "method":
            stage = self._with_shared(stage, known)
            options = stage.data
        takes_one = "encoder" in known
        if takes_one and self.tree.data.get("encoder") is not None:
            inherited = self.tree.at(("encoder",))
            own = stage.at(("encoder",)) if "encoder" in options else None
            chosen = inherited if own is None else merge(_as_block(inherited), _as_block(own))
            marks = {("encoder", *mark): place for mark, place in chosen.marks.items()}
            stage = Source({**options, "encoder": chosen.data}, {**stage.marks, **marks})
        stages = {**self.tree.data["stages"], path[1]: stage.data}
        marks = {**self.tree.marks, **{(*path, *mark): place for mark, place in stage.marks.items()}}
        return Source({**self.tree.data, "stages": stages}, marks)

    def _with_shared(self, stage: Source, known: Container[str]) -> Source:
        """A method's block with the options of `training:` that it knows and does not have."""
        shared = self.tree.at(("training",)) if "training" in self.tree.data else Source({})
        if not isinstance(shared.data, dict):
            return stage
        offered = {key: value for key, value in shared.data.items() if key in known and key != "encoder"}
        self.taken.update(offered)
        new = offered.keys() - stage.data.keys()
        marks = {mark: place for mark, place in shared.marks.items() if mark and mark[0] in new}
        return Source({**offered, **stage.data}, {**stage.marks, **marks})

    def _unused(self) -> None:
        """Shared options that no method knows."""
        shared = self.tree.data.get("training")
        for key in shared if isinstance(shared, dict) else ():
            if key not in self.taken:
                remedy = (
                    "Give it as the pipeline's `encoder:`." if key == "encoder" else did_you_mean(str(key), self.taken)
                )
                self._fault("no method of this pipeline has such an option", ("training", key), key=True, remedy=remedy)

    def _needs(self, path: KeyPath, names: Sequence[str]) -> tuple[str, ...]:
        given = self.tree.at(path).data.get("needs", [])
        needs = [given] if isinstance(given, str) else given
        at: KeyPath = (*path, "needs")
        if not isinstance(needs, list) or not all(isinstance(one, str) for one in needs):
            self._fault("should name a stage or a list of stages", at)
            return ()
        for one in needs:
            if one not in names:
                others = [name for name in names if name != path[1]]
                self._fault(f"there is no stage {one!r}", at, remedy=did_you_mean(one, others))
        if len(set(needs)) < len(needs):
            self._fault("names a stage twice", at)
        return tuple(one for one in needs if one in names)

    def _ordered(self, stages: Mapping[str, StageSpec]) -> list[StageSpec]:
        ordered: list[StageSpec] = []
        waiting = dict(stages)
        while waiting:
            ready = [one for one in waiting.values() if all(need not in waiting for need in one.needs)]
            if not ready:
                self._fault(
                    f"the stages {', '.join(waiting)} need each other in a circle",
                    ("stages", next(iter(waiting)), "needs"),
                )
                return []
            for one in ready:
                ordered.append(waiting.pop(one.name))
                self._can_be_judged(one, stages)
        return ordered

    def _can_be_judged(self, stage: StageSpec, stages: Mapping[str, StageSpec]) -> None:
        if stage.trains:
            return
        requires = stage.protocol.requires
        for need in stage.needs:
            judged = stages[need]
            provides = judged.method.provided(judged.component.config) if judged.trains else frozenset()
            if not judged.trains:
                self._fault(f"{need!r} is a protocol and has no model to judge", ("stages", stage.name, "needs"))
            elif not requires <= provides:
                lacking = ", ".join(sorted(requires - provides))
                message = f"{stage.component.name} asks for models that can {lacking}; those of {need!r} ({judged.component.name}) cannot"
                self._fault(message, ("stages", stage.name, "needs"))

    def _fault(self, message: str, path: KeyPath, *, remedy: str = "", key: bool = False) -> None:
        place = self.tree.locate((*path, KEY) if key else path)
        self.problems.append(Problem(message, show_path(path), place, remedy))


def _as_block(source: Source) -> Source:
    """`lstm` as `{uses: lstm}`."""
    if isinstance(source.data, str):
        return Source({"uses": source.data}, {**source.marks, ("uses",): source.marks[()]})
    return source


def variables(value: Any, path: KeyPath, tree: Source) -> list[Problem]:
    """`${env:NAME}` is expanded in paths only, so that nothing secret or machine-bound gets into a result."""
    message = "environment variables are expanded in paths only"
    return [Problem(message, show_path(at), tree.locate(at)) for at, text in _texts(value, path) if "${env:" in text]


def _texts(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Configured):
        yield from _texts(value.config, path)
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _texts(getattr(value, name), (*path, name))
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _texts(item, (*path, name))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))
