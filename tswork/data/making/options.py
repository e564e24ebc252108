"""A maker with its options as they are given on the command line."""

from __future__ import annotations

from collections.abc import Sequence

from tswork.config import Configured
from tswork.errors import PipelineInvalid, Problem
from tswork.overrides import parse_override
from tswork.registry import find
from tswork.source import Source, replace_at
from tswork.validation import validate_block


def read_maker(name: str, options: Sequence[str] = ()) -> Configured:
    """The maker of that name; `options` are `key=value`, a value as in YAML.

    Raises `ComponentUnknown` for a name that no maker has, `PipelineInvalid` with everything that is wrong with the options.
    """
    source = Source({"uses": find("maker", name).name})
    problems: list[Problem] = []
    for number, option in enumerate(options, start=1):
        try:
            source = replace_at(source, *parse_override(option, number))
        except PipelineInvalid as fault:
            problems += fault.problems
    maker, faults = validate_block("maker", source, ())
    if maker is None or problems:
        raise PipelineInvalid([*problems, *faults])
    return maker
