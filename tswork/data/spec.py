"""The one schema of a pipeline's `data:` block and of a data card.

The block is flat: `reader: series_csv, path: load.csv` holds the options of the reader beside those that every data set
has. Descriptive fields and paths do not enter stage keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from tswork.config import ADDED_LATER, NOT_KEYED, Config, Configured, Many, Uses, keyed
from tswork.data.files import find_file, find_folder
from tswork.data.places import Places
from tswork.data.split_spec import SplitSpec, Value, split_faults
from tswork.data.tasks_spec import TasksSpec
from tswork.data.text_spec import TextSpec
from tswork.errors import ComponentUnknown, DataInvalid, Problem, did_you_mean
from tswork.registry import find
from tswork.source import KEY, Source, show_path
from tswork.validation import validate


class DataFile(Config):
    """A file of a data set: where it can be fetched, and what it must be."""

    name: str = Field(min_length=1, description="path below the data root")
    url: str | None = Field(default=None, pattern=r"^https?://", description="where `tswork data fetch` gets it")
    member: str | None = Field(
        default=None,
        min_length=1,
        description="where the address gives a zip archive: the file inside it that is unpacked",
    )
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$", description="digest of its content, unpacked")
    bytes: int | None = Field(default=None, ge=0, description="its size, unpacked")


class DataOptions(Config):
    """What every data set has, whatever reads it."""

    name: str = Field(default="data", min_length=1, json_schema_extra=NOT_KEYED, description="name of the data set")
    title: str | None = Field(default=None, json_schema_extra=NOT_KEYED, description="one line of what it is")
    description: str | None = Field(
        default=None, json_schema_extra=NOT_KEYED, description="what was measured, how, by whom"
    )
    source: str | None = Field(default=None, json_schema_extra=NOT_KEYED, description="where it comes from")
    licence: str | None = Field(default=None, json_schema_extra=NOT_KEYED, description="licence of the data")
    citation: str | None = Field(default=None, json_schema_extra=NOT_KEYED, description="what to cite")
    flaws: Many[str] = Field(default=(), json_schema_extra=NOT_KEYED, description="known flaws")
    files: Many[DataFile] = Field(default=(), json_schema_extra=NOT_KEYED, description="files of the set")
    label: str | None = Field(default=None, description="table column of the classes")
    groups: Many[str] = Field(default=(), description="columns whose values are never shared between parts")
    aliases: dict[str, Many[Many[Value]]] = Field(
        default_factory=dict, description="column: lists of ids that are one and the same person"
    )
    label_per: str | None = Field(
        default=None, description="the group whose label it is (a diagnosis: `patient`); its sequences have to agree"
    )
    target: Many[str] = Field(default=(), description="channels a forecast is about")
    covariates: Many[str] | None = Field(default=None, description="channels that are only read, beside the targets")
    channels: Many[str] | None = Field(default=None, description="channels to read, in order; none: all")
    rate: float | None = Field(default=None, gt=0, description="samples a second")
    time: str | None = Field(default=None, description="column of time stamps")
    columns: dict[str, str] = Field(default_factory=dict, description="our name: name in the file")
    missing: Literal["keep", "interpolate", "refuse"] = Field(
        default="keep", description="what to do with missing values"
    )
    unlabelled: Literal["refuse", "keep", "drop"] = Field(
        default="refuse",
        description="what to do with sequences without a label; kept ones train where no label is needed, and are not judged",
        json_schema_extra=ADDED_LATER,
    )
    prepare: Many[Annotated[Configured, Uses("preparation")]] = Field(
        default=(), description="steps between reading and use, in order"
    )
    split: SplitSpec | None = Field(default=None, description="how the set is divided")
    tasks: TasksSpec | None = Field(
        default=None,
        json_schema_extra=ADDED_LATER,
        description="which classes are learned when, for continual learning",
    )
    text: TextSpec | None = Field(
        default=None, json_schema_extra=ADDED_LATER, description="which columns say what was spoken and meant"
    )


@dataclass(frozen=True)
class DataSpec:
    """A validated data block: the options every set has, and its reader."""

    options: DataOptions
    reader: Configured
    beside: Mapping[str, Path] = field(default_factory=dict)
    """The folder of the file that gives each key, where that is known."""

    def file(self, key: str, places: Places, *, path: Path | None = None) -> Path:
        """The data file that an option of the reader names: beside the file that gives the option, then below the data roots.

        `path` stands for the option's value where that was completed. Raises `DataInvalid` when there is no such file.
        """
        wanted: Path = path if path is not None else getattr(self.reader.config, key)
        card = self.options.name if "name" in self.options.model_fields_set else ""
        return find_file(wanted, places.moved(self.beside.get(key, places.beside)), card=card)

    def folder(self, key: str, places: Places) -> Path:
        """The folder that an option of the reader names, sought where `file` seeks files. Raises `DataInvalid`."""
        wanted: Path = getattr(self.reader.config, key)
        card = self.options.name if "name" in self.options.model_fields_set else ""
        return find_folder(wanted, places.moved(self.beside.get(key, places.beside)), card=card)

    @property
    def split(self) -> SplitSpec | None:
        """How the set is divided."""
        return self.options.split

    @staticmethod
    def parse(block: Mapping[str, Any]) -> DataSpec:
        """A spec from plain data, for use from Python. Raises `DataInvalid` with all faults."""
        spec, problems = read_spec(Source(dict(block)))
        if spec is None:
            raise DataInvalid(problems)
        return spec

    def keyed(self) -> dict[str, Any]:
        """What enters stage keys: no paths, nothing descriptive."""
        return {**keyed(self.options), "reader": keyed(self.reader)}


def read_spec(block: Source) -> tuple[DataSpec | None, list[Problem]]:
    """A data block (a card merged in) as a spec, or everything that is wrong with it."""
    if not isinstance(block.data, dict):
        return None, [Problem("should be a block of keys", location=block.locate(()))]
    shared = set(DataOptions.model_fields)
    common = {key: value for key, value in block.data.items() if key in shared and key != "reader"}
    common.update(
        {
            key: [common[key]]
            for key in ("target", "groups", "covariates", "channels")
            if isinstance(common.get(key), str)
        }
    )
    options, problems = validate(DataOptions, Source(common, block.marks))
    if options is not None:
        problems += _contradictions(options, block)
    name = block.data.get("reader")
    if not isinstance(name, str):
        remedy = "Name a card (`card: NAME`) or a reader (`reader: series_csv`)."
        return None, [*problems, Problem("no reader is named", location=block.locate(()), remedy=remedy)]
    try:
        component = find("reader", name)
    except ComponentUnknown as unknown:
        remedy = did_you_mean(name, unknown.known)
        return None, [*problems, Problem(f"no reader is called {name!r}", "reader", block.locate(("reader",)), remedy)]
    own = {key: value for key, value in block.data.items() if key not in shared and key not in ("reader", "card")}
    known = shared | set(component.config.model_fields)
    for key in [key for key in own if key not in known]:
        place = block.locate((key, KEY))
        problems.append(Problem("unknown key", show_path((key,)), place, did_you_mean(key, known)))
        own.pop(key)
    config, faults = validate(component.config, Source(own, block.marks))
    problems += faults
    if options is None or config is None or problems:
        return None, problems
    return DataSpec(options, Configured(component, config), _folders(block)), []


def _contradictions(options: DataOptions, block: Source) -> list[Problem]:
    """Keys that are right by themselves and not together."""
    problems = []
    if options.covariates is not None and options.channels is not None:
        problems.append(
            Problem("give `covariates` or `channels`, not both", "covariates", block.locate(("covariates",)))
        )
    if options.covariates is not None and not options.target:
        remedy = "Name what is forecast with `target:`."
        problems.append(
            Problem("there are covariates and no target", "covariates", block.locate(("covariates",)), remedy)
        )
    for key, message in split_faults(options.split) if options.split is not None else ():
        at = ("split", *key)
        problems.append(Problem(message, show_path(at), block.locate(at)))
    return problems


def _folders(block: Source) -> dict[str, Path]:
    """The folder of the file that each key of a block was read from; keys that came from elsewhere have none."""
    places = {path[0]: place for path, place in block.marks.items() if len(path) == 1 and isinstance(path[0], str)}
    return {key: Path(place.file).absolute().parent for key, place in places.items() if Path(place.file).is_file()}
