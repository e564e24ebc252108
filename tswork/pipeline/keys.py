"""What a stage's result depends on, as one hash.

Keyed: the component's name and version and those of every component nested in it, its options, the data (the block without
paths, and the digest of the files), the keys of the stages it needs, the seed, the precision and the world size. Not keyed:
device, threads, package versions, paths, descriptions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel

from tswork.config import Configured
from tswork.data import spec as data_spec
from tswork.pipeline.spec import Member, StageSpec


def keyed(value: Any) -> Any:
    """A config as plain data without the fields that do not change results; nested components carry their version."""
    if isinstance(value, Configured):
        return {"uses": value.name, "version": value.component.version, **keyed(value.config)}
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return {name: keyed(getattr(value, name)) for name, field in fields.items() if _counts(field.json_schema_extra)}
    if isinstance(value, dict):
        return {str(key): keyed(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [keyed(item) for item in value]
    if isinstance(value, PurePath):
        return None
    return value


def stage_inputs(
    member: Member, stage: StageSpec, *, data_digest: str, needs: Sequence[str], world_size: int = 1
) -> dict[str, Any]:
    """Everything the key of a stage covers; `needs` are the keys of the stages it needs, in order."""
    return {
        "stage": keyed(stage.component),
        # The names of judged stages are rows of the result.
        "needs": [[name, key] for name, key in zip(stage.needs, needs, strict=True)],
        "data": data_spec.keyed(member.data),
        "digest": data_digest,
        "seed": member.header.seed,
        "precision": member.header.precision,
        "world_size": world_size,
    }


def _counts(extra: Any) -> bool:
    return not (isinstance(extra, dict) and extra.get("keyed") is False)
