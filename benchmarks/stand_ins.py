"""Stand-ins for packages that only describe (shapes, options, tables), for a machine that has torch and numpy but not them.

`provide()` looks for jaxtyping, pydantic and pandas, and where one is absent puts the least that tswork's loader, encoders,
objectives and methods ask of it into `sys.modules`. Call it before anything of tswork is imported. What is then measured is
tswork's own code: none of these packages takes part in a gather, a forward pass or a training step. Options are not checked,
and tables hold columns and nothing more.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def provide() -> list[str]:
    """Put a stand-in wherever a package is absent; gives the names of those."""
    absent = [name for name in STAND_INS if not _is_there(name)]
    for name in absent:
        for module, contents in STAND_INS[name].items():
            stand_in = sys.modules[module] = ModuleType(module, __doc__)
            stand_in.__spec__ = ModuleSpec(module, None)  # torch asks for it when it looks whether a package is there
            vars(stand_in).update(contents)
    return absent


def _is_there(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        return False
    return True


class Shape:
    """`Float[Tensor, "batch time"]` is the tensor, whatever its shape."""

    def __class_getitem__(cls, described: tuple[Any, str]) -> Any:
        return described[0]


def shape_of_any_type(name: str) -> type[Shape]:
    """Float, Int64 and so on."""
    if not name[:1].isupper():
        raise AttributeError(name)
    return Shape


class FieldInfo:
    """A default and where it comes from; descriptions and ranges are dropped."""

    def __init__(self, default: Any = None, *, default_factory: Callable[[], Any] | None = None, **_: Any) -> None:
        self._default = default
        self._factory = default_factory

    def value(self) -> Any:
        return self._default if self._factory is None else self._factory()


class BaseModel:
    """Options by name; those that are not given have their defaults."""

    def __init__(self, **options: Any) -> None:
        fields = {name: value for base in reversed(type(self).__mro__) for name, value in _fields(base).items()}
        unknown = sorted(set(options) - set(fields))
        if unknown:
            raise TypeError(f"{type(self).__name__} has no options {unknown}")
        for name, default in {**fields, **options}.items():
            setattr(self, name, default.value() if isinstance(default, FieldInfo) else default)

    @classmethod
    def model_validate(cls, options: Mapping[str, Any]) -> BaseModel:
        return cls(**options)


def _fields(base: type) -> dict[str, Any]:
    return {name: vars(base).get(name) for name in vars(base).get("__annotations__", {})}


def validator(*_: Any, **__: Any) -> Callable[[Any], Any]:
    """A check that is never made."""
    return lambda check: check


class DataFrame:
    """Columns of one length."""

    def __init__(self, columns: Mapping[str, Any]) -> None:
        self.columns = list(columns)
        self._rows = len(next(iter(columns.values())))

    def __len__(self) -> int:
        return self._rows


class Fault(ValueError):
    """Never raised here."""


STAND_INS: dict[str, dict[str, dict[str, Any]]] = {
    "jaxtyping": {"jaxtyping": {"__getattr__": shape_of_any_type}},
    "pydantic": {
        "pydantic": {
            "BaseModel": BaseModel,
            "ConfigDict": dict,
            "Field": FieldInfo,
            "GetCoreSchemaHandler": object,
            "GetJsonSchemaHandler": object,
            "PrivateAttr": FieldInfo,
            "ValidationError": Fault,
            "field_validator": validator,
            "model_validator": validator,
        },
        "pydantic_core": {"CoreSchema": dict, "PydanticCustomError": Fault, "core_schema": None},
    },
    "pandas": {"pandas": {"DataFrame": DataFrame}},
}
