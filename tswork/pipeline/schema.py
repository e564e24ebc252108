"""The JSON schema of pipeline files: the head, and one alternative a component wherever one can be used."""

from __future__ import annotations

from typing import Any

from tswork import registry
from tswork.data.spec import DataOptions
from tswork.pipeline.spec import PipelineHeader


def pipeline_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of a pipeline file with all components that are installed."""
    schema = PipelineHeader.model_json_schema()
    stages = [registry.block_schema(one) for kind in ("method", "protocol") for one in registry.components(kind)]
    for stage in stages:
        names = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
        stage["properties"] = {**stage["properties"], "needs": names}
        # The encoder may come from the pipeline's head.
        stage["required"] = [name for name in stage["required"] if name != "encoder"]
    properties = schema["properties"]
    properties["stages"] = {"type": "object", "minProperties": 1, "additionalProperties": {"oneOf": stages}}
    properties["encoder"] = registry.component_schema("encoder")
    properties["data"] = data_schema()
    # A file that extends another may leave out what it inherits.
    schema["anyOf"] = [{"required": ["extends"]}, {"required": schema.pop("required")}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def data_schema() -> dict[str, Any]:
    """JSON schema of a `data:` block or a data card: the common keys, and any key of a reader."""
    schema = DataOptions.model_json_schema()
    schema.pop("required", None)
    schema["additionalProperties"] = True
    readers = [one.name for one in registry.components("reader")]
    schema["properties"] = {**schema["properties"], "reader": {"enum": readers}}
    return schema
