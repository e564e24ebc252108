"""The files that a pipeline's data are read from: whether they are there, and what is wrong where in the pipeline."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from tswork.data.digests import source_digest
from tswork.data.faults import refuse
from tswork.data.readers.base import Reader
from tswork.errors import DataInvalid, Problem
from tswork.pipeline.spec import Member, Pipeline
from tswork.source import KeyPath, Source

T = TypeVar("T")


def check_files(pipeline: Pipeline) -> None:
    """Look for the data files of all members and the names of their columns without reading values.

    Raises `DataInvalid` with all that are missing.
    """

    def look(member: Member) -> None:
        reader: Reader[Any] = member.data.reader.build()
        reader.check_columns(member.data, pipeline.places)

    _of_every_member(pipeline, look)


def data_digests(pipeline: Pipeline, *, verify: bool = False) -> list[str]:
    """The digest of every member's data files. Raises `DataInvalid` with all that are missing."""
    return _of_every_member(pipeline, lambda member: source_digest(member.data, pipeline.places, verify=verify))


def located(problem: Problem, source: Source) -> Problem:
    """A fault of data at the place of the pipeline that asks for them: of a path, or of a key such as `data.split`."""
    at = _given_as(problem.location.file, source) if problem.location is not None else None
    if at is not None:
        return replace(problem, path=".".join(map(str, at)), location=source.locate(at))
    key = re.match(r"data(\.\w+)*", problem.path)
    if problem.location is not None or key is None:
        return problem
    return replace(problem, location=source.locate(tuple(key[0].split("."))))


def _of_every_member(pipeline: Pipeline, find: Callable[[Member], T]) -> list[T]:
    """What is found for each member; members that read the same files in the same way are looked at once."""
    found: dict[str, T] = {}
    problems: dict[Problem, None] = {}
    ways = [_way_of_reading(member) for member in pipeline.members]
    for way, member in zip(ways, pipeline.members, strict=True):
        if way in found:
            continue
        try:
            found[way] = find(member)
        except DataInvalid as fault:
            problems.update(dict.fromkeys(located(problem, member.source) for problem in fault.problems))
    refuse(problems)
    return [found[way] for way in ways]


def _way_of_reading(member: Member) -> str:
    """Equal for members whose readers would read the same: seeds, folds and stages do not count."""
    data = member.data
    return repr((data.reader, data.options.model_copy(update={"split": None}), data.beside))


def _given_as(text: str, source: Source) -> KeyPath | None:
    """The key of the data block that has this value."""
    return next((at for at, value in _texts(source.data.get("data"), ("data",)) if value == text), None)


def _texts(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, (*path, key))
    elif isinstance(value, Sequence):
        for number, item in enumerate(value):
            yield from _texts(item, (*path, number))
