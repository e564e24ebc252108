"""From pydantic's errors to problems that carry file, line, column, and the word that was probably meant."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from tswork.config import Config, Configured, NestedInvalid, configure
from tswork.errors import Problem, did_you_mean
from tswork.registry import Kind
from tswork.source import KEY, KeyPath, Source, show_path
from tswork.wording import counted

T = TypeVar("T", bound=Config)


def validate(config: type[T], source: Source, path: KeyPath = ()) -> tuple[T | None, list[Problem]]:
    """A config from the block at a path of the tree, or None and everything that is wrong with it."""
    try:
        return config.model_validate(source.at(path).data), []
    except ValidationError as errors:
        return None, list(problems_of(errors, config, source, path))


def validate_block(kind: Kind, source: Source, path: KeyPath) -> tuple[Configured | None, list[Problem]]:
    """A component from the block `{uses: NAME, ...}` at a path, or None and everything that is wrong with it."""
    from pydantic_core import PydanticCustomError

    try:
        return configure(kind, source.at(path).data), []
    except NestedInvalid as nested:
        return None, list(problems_of(nested.errors, nested.config, source, path))
    except PydanticCustomError as error:
        at = (*path, "uses") if error.type == "component_unknown" else path
        return None, [Problem(error.message(), show_path(at), source.locate(at))]


def problems_of(
    errors: ValidationError, config: type[BaseModel], source: Source, path: KeyPath = ()
) -> Iterator[Problem]:
    """One problem an error; errors of nested components are unfolded in place."""
    for error in errors.errors(include_url=False):
        at = (*path, *_without_branches(error["loc"], source, path))
        nested = error.get("ctx", {}).get("error")
        if error["type"] == "too_short" and len(error["input"]) >= error["ctx"]["min_length"]:
            continue  # it is long enough; some of its entries are wrong, which is said by themselves
        if isinstance(nested, NestedInvalid):
            yield from problems_of(nested.errors, nested.config, source, at)
        else:
            yield _problem(dict(error), config, source, path, at)


def _problem(error: dict[str, Any], config: type[BaseModel], source: Source, path: KeyPath, at: KeyPath) -> Problem:
    kind, key = error["type"], str(at[-1]) if at else ""
    if kind == "extra_forbidden":
        known = _fields_at(config, at[len(path) : -1])
        return Problem("unknown key", show_path(at), source.locate((*at, KEY)), did_you_mean(key, known))
    if kind == "missing":
        return Problem("is missing", show_path(at), source.locate(at[:-1]))
    if kind == "component_unknown":
        at = (*at, "uses") if source.locate(at) and _is_block(source, at) else at
        return Problem(error["msg"], show_path(at), source.locate(at))
    return Problem(_message(kind, error), show_path(at), source.locate(at))


SAID_PLAINLY = {
    "dict_type": "should be a block of keys",
    "list_type": "should be a list",
    "tuple_type": "should be a list",
    "bool_type": "should be true or false",
}


def _message(kind: str, error: dict[str, Any]) -> str:
    """What pydantic says, without Python's words for what stands in YAML."""
    if kind in SAID_PLAINLY:
        return SAID_PLAINLY[kind]
    limits = error.get("ctx", {})
    if kind == "too_short":
        return f"needs at least {counted(limits['min_length'], 'entry', 'entries')}"
    message = str(error["msg"]).removeprefix("Input ").removeprefix("Value error, ").removeprefix("String ")
    given = error.get("input")
    shown = f", not {given!r}" if isinstance(given, (str, int, float, bool)) or given is None else ""
    return f"{message}{shown if message.startswith('should ') else ''}"


def _is_block(source: Source, path: KeyPath) -> bool:
    try:
        return isinstance(source.at(path).data, dict)
    except (KeyError, IndexError, TypeError):
        return False


def _without_branches(loc: tuple[str | int, ...], source: Source, path: KeyPath) -> KeyPath:
    """The location without the names of union branches, which pydantic mixes into it but the file does not know."""
    try:
        data: Any = source.at(path).data
    except (KeyError, IndexError, TypeError):
        return loc
    kept: list[str | int] = []
    for position, key in enumerate(loc):
        if isinstance(data, dict) and isinstance(key, str):
            inside = key in data
        else:
            inside = isinstance(data, list) and isinstance(key, int) and key < len(data)
        last = position == len(loc) - 1
        if inside:
            kept.append(key)
            data = data[key]
        elif last and isinstance(data, dict):
            kept.append(key)  # a missing key
    return tuple(kept)


def _fields_at(config: type[BaseModel], path: KeyPath) -> set[str]:
    """Names of the fields of the model that a path of keys leads to."""
    model: Any = config
    for key in path:
        if isinstance(key, str) and isinstance(model, type) and issubclass(model, BaseModel):
            field = model.model_fields.get(key)
            model = _model_in(field.annotation) if field else None
    return set(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else set()


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    origin = typing.get_origin(annotation)
    for argument in typing.get_args(annotation) if origin not in (Mapping, dict) else typing.get_args(annotation)[1:]:
        found = _model_in(argument)
        if found is not None:
            return found
    return None
