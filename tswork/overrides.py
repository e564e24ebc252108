"""Values given on the command line as `-s KEY=VALUE`, located as `-s argument N, column C` like those of a file."""

from __future__ import annotations

import re
from dataclasses import replace

from tswork.errors import Location, PipelineInvalid, Problem
from tswork.source import KeyPath, Source, parse_yaml

RESERVED = (",", "%", "@", "`", "*", "&", "!", "|", ">")
"""What text in YAML cannot begin with unless it is quoted."""


def parse_override(text: str, number: int) -> tuple[KeyPath, Source]:
    """`stages.train.epochs=5` as a path and a value that is located as `-s argument N, column C`."""
    name = f"-s argument {number}"
    key, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[\w-]+(\.[\w-]+)*", key):
        place = Location(name, column=1)
        raise PipelineInvalid([Problem(f"{text!r} is not an override", location=place, remedy="Write key.key=value.")])
    try:
        source = parse_yaml(value, name)
    except PipelineInvalid as fault:
        remedy = f"""Quote it: -s "{key}='{value}'".""" if value.startswith(RESERVED) else ""
        raise PipelineInvalid(
            [
                replace(one, location=_shift(one.location, name, len(key) + 1), remedy=one.remedy or remedy)
                for one in fault.problems
            ]
        ) from fault
    marks = {path: _shift(place, name, len(key) + 1) for path, place in source.marks.items()}
    return tuple(key.split(".")), Source(source.data, marks)


def _shift(place: Location | None, name: str, columns: int) -> Location:
    return Location(name, column=(place.column or 1) + columns if place else columns + 1)
