"""What a member was run with, defaults included: as a pipeline file, and as flat parameters."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

from ruamel.yaml import YAML

from tswork.config import dump, dump_configured
from tswork.pipeline.spec import Member

TOLD_ELSEWHERE = ("title", "description", "source", "licence", "citation", "flaws", "files")
"""Parts of a data block that stand in the data card and would only be noise among the parameters."""


def resolved(member: Member) -> dict[str, Any]:
    """A pipeline that is this member: no sweep, no inheritance; paths as they were written."""
    inherited = ("data", "encoder", "stages", "sweep", "extends")
    header = {key: value for key, value in dump(member.header).items() if key not in inherited and value is not None}
    reader = member.data.reader
    options = {key: value for key, value in dump(member.data.options).items() if value is not None}
    # An empty option of a component stays: where its default is another, leaving it out would change what is run.
    stages = {
        stage.name: {**dump_configured(stage.component), **({"needs": list(stage.needs)} if stage.needs else {})}
        for stage in member.stages
    }
    return {**header, "data": {"reader": reader.name, **dump(reader.config), **options}, "stages": stages}


def resolved_yaml(member: Member) -> str:
    """The same as the text of a pipeline file."""
    text = io.StringIO()
    writer = YAML()
    writer.default_flow_style = False
    writer.width = 1000
    writer.dump(resolved(member), text)
    return text.getvalue()


def parameters(member: Member) -> dict[str, Any]:
    """The same flattened, `stages.ts2vec.encoder.dim`; without texts that describe, and without empty values."""
    tree = resolved(member)
    data = {key: value for key, value in tree["data"].items() if key not in TOLD_ELSEWHERE}
    kept = {key: value for key, value in tree.items() if key not in ("version", "description", "tags")}
    return dict(flat({**kept, "data": data}))


def shared_parameters(members: tuple[Member, ...]) -> dict[str, Any]:
    """The parameters that all members have in common, and for every axis of the sweep its values."""
    first, *others = [parameters(member) for member in members]
    same = {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}
    axes: dict[str, list[Any]] = {}
    for member in members:
        for axis, value in member.axes.items():
            values = axes.setdefault(axis, [])
            if value not in values:
                values.append(value)
    return {**same, "members": len(members), **{f"sweep.{axis}": values for axis, values in axes.items()}}


def flat(value: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values; empty values are left out."""
    for key, item in value.items():
        at = f"{path}.{key}" if path else str(key)
        if isinstance(item, dict):
            yield from flat(item, at)
        elif item not in ([], None):
            yield at, item
