"""The base of every component's configuration, and the field type that nests one component in another.

Configs are frozen, forbid unknown keys, never coerce a type, and refuse infinities and NaN. `Uses("encoder")` marks a
field that holds another component, written in YAML as `{uses: NAME, ...}`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from tswork.errors import ComponentUnknown, did_you_mean

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from tswork.registry import Component, Kind

T = TypeVar("T")

KIND_MARK = "x-kind"
"""In JSON schemas: a place where a component of this kind stands."""

NOT_KEYED: dict[str, Any] = {"keyed": False}
"""`Field(..., json_schema_extra=NOT_KEYED)`: the field does not change results and stays out of stage keys."""

ADDED_LATER: dict[str, Any] = {"keyed": "unless default"}
"""The same for an option that came when results were stored already: keys of results without it stay what they were."""

PERSONS: dict[str, Any] = {"persons": True}
"""`Field(..., json_schema_extra=PERSONS)`: the field names a table column whose values are taken for persons; the leak guard
then refuses any split whose parts share one, whatever the data call a group."""

Many = Annotated[tuple[T, ...], Field(strict=False)]
"""A list of values in YAML or Python; items stay strict."""

FilePath = Annotated[Path, Field(strict=False, json_schema_extra=NOT_KEYED)]
"""A path as text, relative to the file that names it; only the content it leads to is keyed."""

Folder = Annotated[Path, Field(strict=False)]
"""A folder as text, relative to the file that names it; its field says whether it is keyed."""


class Config(BaseModel):
    """Frozen, strict, closed: a typing error in a config is an error, never a silent default."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        protected_namespaces=(),
    )

    def built(self, target: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
        """What a component makes of this config; configs of a kind override it to add what every one of the kind can do."""
        return target(self, *args, **keywords)


class VariantConfig(Config):
    """Options whose defaults are a paper's or its released code's; code reads the options, never the variant."""

    reference: ClassVar[Mapping[str, Any]] = {}
    """Defaults of the released code that differ from the paper's; an option that is written down overrides them."""

    variant: Literal["paper", "reference"] = Field(
        default="paper", description="defaults of the other options: the paper's, or the released code's"
    )

    @model_validator(mode="before")
    @classmethod
    def _of_variant(cls, given: Any) -> Any:
        """Defaults of the released code where the block asks for them."""
        if isinstance(given, Mapping) and given.get("variant") == "reference":
            return {**cls.reference, **given}
        return given


class NoOptions(Config):
    """The config of a component that has no options."""


@dataclass(frozen=True)
class Configured:
    """A component with its validated config, ready to be built."""

    component: Component
    config: Config

    def build(self, *args: Any, **keywords: Any) -> Any:
        """The component's target called with its config first."""
        return self.config.built(self.component.target, *args, **keywords)

    @property
    def name(self) -> str:
        return self.component.name


@dataclass(frozen=True)
class Uses:
    """Marks a field whose value is a component of this kind."""

    kind: Kind

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda value: configure(self.kind, value),
            serialization=core_schema.plain_serializer_function_ser_schema(dump_configured),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {
            "description": f"a {self.kind}: its name, or a block `uses: NAME` with its options",
            KIND_MARK: self.kind,
        }


class NestedInvalid(ValueError):
    """Carries the faults of a nested block, so that the reader of the file can locate each of them."""

    def __init__(self, errors: ValidationError, config: type[Config]) -> None:
        super().__init__("the block has faults")
        self.errors = errors
        self.config = config


def configure(kind: Kind, value: Any) -> Configured:
    """A component and its validated config from `{uses: NAME, option: value, ...}`, from a name, or from `Configured`.

    Raises a pydantic error whose `loc` leads to the fault; faults of the options arrive as `NestedInvalid`.
    """
    from tswork import registry

    if isinstance(value, Configured):
        return value
    if isinstance(value, str):
        value = {"uses": value}
    if not isinstance(value, Mapping) or not isinstance(value.get("uses"), str):
        raise PydanticCustomError(
            "uses_missing",
            "should be a block with 'uses: NAME' that names {article} {kind}",
            {"kind": kind, "article": "an" if kind[0] in "aeiou" else "a"},
        )
    try:
        component = registry.find(kind, value["uses"])
    except ComponentUnknown as unknown:
        others = registry.other_kinds(kind, unknown.name)
        raise PydanticCustomError(
            "component_unknown",
            "no {kind} is called '{name}'{other}. {hint}",
            {
                "kind": kind,
                "name": unknown.name,
                "other": f" (it is a {' and a '.join(others)})" if others else "",
                "hint": did_you_mean(unknown.name, unknown.known),
            },
        ) from unknown
    options = {key: item for key, item in value.items() if key != "uses"}
    try:
        return Configured(component, component.config.model_validate(options))
    except ValidationError as errors:
        raise NestedInvalid(errors, component.config) from errors


def dump_configured(value: Configured) -> dict[str, Any]:
    """The block that `configure` reads back to the same component."""
    return {"uses": value.name, **dump(value.config)}


def dump(config: BaseModel) -> dict[str, Any]:
    """All fields with their resolved values as JSON types, defaults included."""
    return config.model_dump(mode="json")


def keyed(value: Any) -> Any:
    """A config as plain data without the fields that do not change results; nested components carry their version."""
    if isinstance(value, Configured):
        return {"uses": value.name, "version": value.component.version, **keyed(value.config)}
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return {
            name: keyed(getattr(value, name)) for name, field in fields.items() if _counts(field, getattr(value, name))
        }
    if isinstance(value, dict):
        return {str(key): keyed(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [keyed(item) for item in value]
    if isinstance(value, PurePath):
        return None
    return value


def persons_of(value: Any) -> tuple[str, ...]:
    """The table columns that a config and those nested in it take for persons (fields marked `PERSONS`)."""
    if isinstance(value, Configured):
        return persons_of(value.config)
    if isinstance(value, (list, tuple)):
        return tuple(dict.fromkeys(name for item in value for name in persons_of(item)))
    if not isinstance(value, BaseModel):
        return ()
    found: list[str] = []
    for name, field in type(value).model_fields.items():
        own = getattr(value, name)
        extra = field.json_schema_extra
        named = isinstance(extra, dict) and extra.get("persons") is True and own is not None
        found += ([own] if isinstance(own, str) else own) if named else persons_of(own)
    return tuple(dict.fromkeys(found))


def _counts(field: FieldInfo, value: Any) -> bool:
    extra = field.json_schema_extra
    mark = extra.get("keyed", True) if isinstance(extra, dict) else True
    return (
        bool(value != field.get_default(call_default_factory=True)) if mark == "unless default" else mark is not False
    )
