"""What a pipeline file says, once every block has been looked at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, JsonValue, field_validator

from tswork.config import NOT_KEYED, Config, Configured, Many
from tswork.data.places import Places
from tswork.data.spec import DataSpec
from tswork.source import Source

if TYPE_CHECKING:
    from tswork.methods.base import Method
    from tswork.protocols.base import Protocol

STAGE_NAME = r"^[A-Za-z][A-Za-z0-9_-]{0,63}$"


class Gate(Config):
    """Registers the model of a stage when a metric is good enough."""

    metric: str = Field(description="a headline or full metric name, such as `forecast/ts2vec/mse`")
    stage: str = Field(description="the method stage whose model is registered")
    minimum: float | None = Field(default=None, description="smallest value that passes")
    maximum: float | None = Field(default=None, description="largest value that passes")
    name: str | None = Field(
        default=None,
        pattern=r"^[^/:'\"]{1,200}$",
        description="name of the registered model; none: the pipeline's name",
    )
    alias: str = Field(
        default="champion", pattern=r"^[A-Za-z][\w-]{0,200}$", description="alias that the new version receives"
    )

    @field_validator("alias")
    @classmethod
    def _free(cls, alias: str) -> str:
        if alias.lower() == "latest" or re.fullmatch(r"[vV]\d+", alias):
            raise ValueError("should be a name that MLflow does not keep for itself")
        return alias


class PipelineHeader(Config):
    """The keys of a pipeline file; the blocks of components are looked at one by one after it."""

    version: Literal[1] = Field(description="version of the file format")
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_. -]{0,99}$", description="name of the pipeline")
    description: str | None = Field(default=None, json_schema_extra=NOT_KEYED, description="what it is for")
    experiment: str | None = Field(default=None, min_length=1, description="MLflow experiment; none: `name`")
    extends: str | None = Field(default=None, description="a pipeline file whose blocks this one inherits")
    seed: int = Field(default=42, ge=0, lt=2**63, description="the seed everything random follows from")
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = Field(
        default="32-true", description="precision of training"
    )
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="where tensors live")
    data: dict[str, JsonValue] = Field(description="a data set: `card: NAME`, or `reader:` with its options")
    encoder: JsonValue = Field(default=None, description="the encoder of every stage that takes one and names none")
    training: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="options of every method that has them and does not say otherwise, so that all train alike",
    )
    stages: dict[str, JsonValue] = Field(min_length=1, description="methods and protocols by name")
    sweep: dict[str, Many[JsonValue]] = Field(
        default_factory=dict, description="dotted key: values; all combinations are run"
    )
    tags: dict[str, str] = Field(default_factory=dict, description="tags of the MLflow runs")
    gate: Gate | None = Field(default=None, description="when and under which name a model is registered")

    @property
    def records_into(self) -> str:
        """The MLflow experiment it reports to."""
        return self.experiment or self.name


@dataclass(frozen=True)
class StageSpec:
    """One stage: a method that trains, or a protocol that judges what it `needs`."""

    name: str
    component: Configured
    needs: tuple[str, ...] = ()

    @property
    def trains(self) -> bool:
        """Whether it is a method."""
        return self.component.component.kind == "method"

    @property
    def method(self) -> type[Method[Any]]:
        """The class of one that trains."""
        found: type[Method[Any]] = self.component.component.target  # type: ignore[assignment]
        return found

    @property
    def protocol(self) -> type[Protocol[Any]]:
        """The class of one that judges."""
        found: type[Protocol[Any]] = self.component.component.target  # type: ignore[assignment]
        return found


@dataclass(frozen=True)
class Member:
    """One combination of a sweep (the only one without a sweep), fully resolved."""

    name: str
    axes: Mapping[str, Any]
    header: PipelineHeader
    data: DataSpec
    stages: tuple[StageSpec, ...]
    """In an order in which every stage comes after those it needs."""
    source: Source
    """The tree it was made from, cards and inherited blocks merged in."""

    def stage(self, name: str) -> StageSpec:
        """A stage by name. Raises `KeyError`."""
        return next(stage for stage in self.stages if stage.name == name)


@dataclass(frozen=True)
class Pipeline:
    """A pipeline file with all members of its sweep."""

    path: str
    header: PipelineHeader
    members: tuple[Member, ...]
    places: Places
    """Where its files are sought, seen from its own folder."""

    @property
    def name(self) -> str:
        return self.header.name

    @property
    def experiment(self) -> str:
        """The MLflow experiment it reports to."""
        return self.header.records_into
