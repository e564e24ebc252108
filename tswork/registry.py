"""(kind, name) -> component, for the built-ins and for plug-ins.

A built-in is found by its file: the encoder `dilated_conv` lives in `tswork/encoders/`. Only the module of that name is
imported when a name is asked for; listing a kind imports its whole package. Other packages add components through the
entry-point group `tswork.plugins`, whose modules register when imported.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Literal, TypeVar, get_args

from tswork.config import Config
from tswork.errors import ComponentUnknown

Kind = Literal[
    "reader",
    "decoder",
    "preparation",
    "front_end",
    "encoder",
    "view",
    "objective",
    "labelled_objective",
    "method",
    "protocol",
]

PACKAGES: dict[Kind, str] = {
    "reader": "tswork.data.readers",
    "decoder": "tswork.data.readers.decoders",
    "preparation": "tswork.data.prepare",
    "front_end": "tswork.encoders.front_ends",
    "encoder": "tswork.encoders",
    "view": "tswork.augment",
    "objective": "tswork.objectives",
    "labelled_objective": "tswork.objectives",
    "method": "tswork.methods",
    "protocol": "tswork.protocols",
}
PLUGINS = "tswork.plugins"

T = TypeVar("T", bound=Callable[..., Any])


@dataclass(frozen=True)
class Component:
    """A named part that a pipeline can use: what builds it, its config type, and the version of its results."""

    kind: Kind
    name: str
    version: int
    config: type[Config]
    target: Callable[..., Any]

    @property
    def summary(self) -> str:
        """First line of the component's docstring."""
        return (self.target.__doc__ or "").strip().partition("\n")[0]

    @property
    def header(self) -> str:
        """The docstring of the file it lives in: what, paper, departures."""
        return (importlib.import_module(self.target.__module__).__doc__ or "").strip()


_components: dict[tuple[Kind, str], Component] = {}
_plugins_loaded = False


def register(kind: Kind, name: str, *, version: int, config: type[Config]) -> Callable[[T], T]:
    """Make a class or function usable as `uses: NAME`; it is called with its config first.

    Raises `ValueError` when another target already holds the name.
    """

    def add(target: T) -> T:
        known = _components.get((kind, name))
        if known is not None and known.target.__qualname__ != target.__qualname__:
            raise ValueError(f"two {kind}s are called {name!r}: {known.target.__module__} and {target.__module__}")
        _components[kind, name] = Component(kind, name, version, config, target)
        return target

    return add


def find(kind: Kind, name: str) -> Component:
    """The component of that kind and name. Raises `ComponentUnknown` with the known names."""
    if (kind, name) not in _components and name.isidentifier():
        _import_if_there(f"{PACKAGES[kind]}.{name}")
    if (kind, name) not in _components:
        names = [component.name for component in components(kind)]
        if (kind, name) not in _components:
            raise ComponentUnknown(kind, name, names)
    return _components[kind, name]


def components(kind: Kind) -> list[Component]:
    """All components of a kind, sorted by name; imports the kind's package and the plug-ins."""
    package = importlib.import_module(PACKAGES[kind])
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{PACKAGES[kind]}.{module.name}")
    _load_plugins()
    return sorted((item for (at, _), item in _components.items() if at == kind), key=lambda item: item.name)


def other_kinds(kind: Kind, name: str) -> list[Kind]:
    """Kinds, of those imported so far, in which the name stands for something else."""
    return sorted(other for other, known in _components if known == name and other != kind)


def kinds() -> tuple[Kind, ...]:
    """All kinds of component."""
    return get_args(Kind)


def block_schema(component: Component) -> dict[str, Any]:
    """JSON schema of `{uses: NAME, ...}` for one component."""
    schema = component.config.model_json_schema()
    schema["properties"] = {"uses": {"const": component.name}, **schema.get("properties", {})}
    schema["required"] = ["uses", *schema.get("required", [])]
    schema["description"] = component.summary
    return schema


def _import_if_there(module: str) -> None:
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as missing:
        if missing.name != module:
            raise


def _load_plugins() -> None:
    global _plugins_loaded
    if not _plugins_loaded:
        _plugins_loaded = True
        for entry_point in metadata.entry_points(group=PLUGINS):
            entry_point.load()
