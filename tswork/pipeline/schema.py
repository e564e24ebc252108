"""The JSON schema of pipeline files: the head, and one alternative a component wherever one can be used.

Every component is one definition; places where a component stands refer to the union of its kind, so that components can
hold components (a method an encoder and views) to any depth.
"""

from __future__ import annotations

from typing import Any

from tswork import registry
from tswork.config import KIND_MARK
from tswork.data.spec import DataOptions
from tswork.pipeline.spec import PipelineHeader
from tswork.registry import Component, Kind

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def pipeline_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of a pipeline file with all components that are installed."""
    definitions: dict[str, Any] = {}
    for kind in (kind for kind in registry.kinds() if kind != "maker"):  # data are made before a pipeline reads them
        names = [_define(component, definitions) for component in registry.components(kind)]
        blocks: list[dict[str, Any]] = [{"$ref": f"#/$defs/{name}"} for name in names]
        short = {"enum": [component.name for component in registry.components(kind)]}
        definitions[kind] = {"anyOf": [*blocks, short]}
    schema = _hoisted(PipelineHeader.model_json_schema(), "head", definitions)
    properties = schema["properties"]
    properties["stages"] = {"type": "object", "minProperties": 1, "additionalProperties": _stage()}
    properties["encoder"] = {"$ref": "#/$defs/encoder"}
    properties["data"] = _data(definitions)
    # A file that extends another may leave out what it inherits.
    schema["anyOf"] = [{"required": ["extends"]}, {"required": schema.pop("required")}]
    return {"$schema": DIALECT, **schema, "$defs": definitions}


def _define(component: Component, definitions: dict[str, Any]) -> str:
    name = f"{component.kind}.{component.name}"
    block = _hoisted(registry.block_schema(component), name, definitions)
    if component.kind in ("method", "protocol"):
        needs = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
        block["properties"] = {**block["properties"], "needs": needs}
        # The encoder may come from the pipeline's head.
        block["required"] = [one for one in block["required"] if one != "encoder"]
    definitions[name] = block
    return name


def _stage() -> dict[str, Any]:
    kinds: tuple[Kind, Kind] = ("method", "protocol")
    return {
        "oneOf": [{"$ref": f"#/$defs/{one.kind}.{one.name}"} for kind in kinds for one in registry.components(kind)]
    }


def _data(definitions: dict[str, Any]) -> dict[str, Any]:
    """The keys every data set has; the options of a reader stand beside them, so further keys are allowed here."""
    schema = _hoisted(DataOptions.model_json_schema(), "data", definitions)
    readers = {"enum": [one.name for one in registry.components("reader")]}
    schema["properties"] = {"card": {"type": "string"}, "reader": readers, **schema["properties"]}
    schema["additionalProperties"] = True
    return schema


def _hoisted(schema: dict[str, Any], prefix: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """A schema whose own definitions moved to the common ones, and whose component places refer to their kind."""
    for name, definition in schema.pop("$defs", {}).items():
        definitions[f"{prefix}.{name}"] = _referring(definition, prefix)
    referring: dict[str, Any] = _referring(schema, prefix)
    return referring


def _referring(value: Any, prefix: str) -> Any:
    if isinstance(value, list):
        return [_referring(item, prefix) for item in value]
    if not isinstance(value, dict):
        return value
    if KIND_MARK in value:
        return {"$ref": f"#/$defs/{value[KIND_MARK]}"}
    own = "#/$defs/"
    return {
        key: f"{own}{prefix}.{item.removeprefix(own)}"
        if key == "$ref" and isinstance(item, str)
        else _referring(item, prefix)
        for key, item in value.items()
    }
