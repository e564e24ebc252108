"""`tswork show NAME`: what a component is, the paper it follows, and every option it has."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tswork.cli.options import Json, print_json


def show(
    name: Annotated[str, typer.Argument(help="Name of a component.", show_default=False)], as_json: Json = False
) -> None:
    """Show a component: its header, its options with defaults and ranges."""
    from rich.markdown import Markdown
    from rich.table import Table

    from tswork import registry
    from tswork.cli.console import console
    from tswork.errors import ComponentUnknown

    everything = [one for kind in registry.kinds() for one in registry.components(kind)]
    found = [one for one in everything if one.name == name]
    if not found:
        raise ComponentUnknown("component", name, [one.name for one in everything])
    if as_json:
        print_json(
            [
                {"kind": one.kind, "name": one.name, "version": one.version, **registry.block_schema(one)}
                for one in found
            ]
        )
        return
    for one in found:
        console().print(f"[bold]{one.name}[/bold]  {one.kind}, version {one.version}\n")
        console().print(Markdown(one.header))
        table = Table("option", "type", "default", "what it does", box=None, header_style="bold", pad_edge=False)
        whole = one.config.model_json_schema()
        for option, schema in whole.get("properties", {}).items():
            field = one.config.model_fields[option]
            default = "required" if field.is_required() else _shown(field.get_default(call_default_factory=True))
            table.add_row(option, _type(schema, whole.get("$defs", {})), default, schema.get("description", ""))
        if table.row_count:
            console().print(table)


def _shown(value: Any) -> str:
    from tswork.config import Configured

    if isinstance(value, Configured):
        return f"uses: {value.name}"
    if isinstance(value, tuple):
        return "[" + ", ".join(_shown(item) for item in value) + "]"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _type(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "$ref" in schema:
        return _type(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return " | ".join(str(one) for one in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(_type(one, definitions) for one in schema["anyOf"])
    if "x-kind" in schema:
        return f"{'an' if schema['x-kind'][0] in 'aeiou' else 'a'} {schema['x-kind']}"
    limits = [f"{sign} {schema[word]}" for word, sign in _LIMITS.items() if word in schema]
    kind = schema.get("type", "any")
    if kind == "array":
        kind = f"list of {_type(schema.get('items', {}), definitions)}"
    return " ".join([str(kind), *limits])


_LIMITS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
