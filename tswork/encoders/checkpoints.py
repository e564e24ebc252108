"""Weights that were trained elsewhere, as an option of encoders: where they lie, what they are, and which content they have.

A checkpoint is named by a folder, a file, or a name that its kind knows (`facebook/wav2vec2-xls-r-300m`). `located` looks for
it: beside the file that names it, then below the data roots (there also in `checkpoints/`), then where its kind keeps downloads. What
is found is known by the digest of the files that are read; the digest is keyed, the place is not. A block that states a
digest is refused where the content is another.

Blocks of components are plain values, so everything is done to the block: `located_in` finds all checkpoints in one,
`untrained` gives the block that builds the same architecture with weights of its own, and `describe` puts back the
architecture that a saved model remembers, whose weights are then its own.
"""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, Field, GetJsonSchemaHandler, PrivateAttr, model_validator
from pydantic_core import CoreSchema

from tswork.config import Config, Configured, FilePath
from tswork.data.digests import file_digests
from tswork.data.faults import refuse
from tswork.data.files import expand
from tswork.data.places import Places
from tswork.errors import DataInvalid, Problem
from tswork.source import KeyPath

FOLDER = "checkpoints"
"""A folder below a data root in which checkpoints are sought, too."""

C = TypeVar("C", bound="Checkpoint")
T = TypeVar("T")


@dataclass(frozen=True)
class Found:
    """A checkpoint on this machine: the files that are read, in an order that does not depend on their place."""

    place: Path
    files: Sequence[Path] = ()
    architecture: Mapping[str, Any] = field(default_factory=dict)
    """What is needed to build the model without its weights, as plain data."""


class Checkpoint(Config):
    """A checkpoint by name; a plain text stands for `{name: TEXT}`."""

    name: FilePath = Field(description="a folder, a file, or a name that is known to its kind")
    digest: str | None = Field(
        default=None, pattern=r"^[0-9a-f]{64}$", description="digest of its content; none: whatever is found"
    )
    _found: Found | None = PrivateAttr(None)
    _loaded: bool = PrivateAttr(True)

    @model_validator(mode="before")
    @classmethod
    def _of_text(cls, given: Any) -> Any:
        return {"name": given} if isinstance(given, (str, Path)) else given

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, handler(schema)]}

    @abstractmethod
    def look(self, places: Places) -> Found:
        """The checkpoint on this machine. Raises `DataInvalid` that names the layout that is expected."""

    @property
    def found(self) -> Found:
        """What was found; looked for from the working directory where nobody did it before."""
        return self.located(Places.here())._found or Found(self.name)

    @property
    def loaded(self) -> bool:
        """Whether its weights are to be used, or its architecture alone."""
        return self._loaded

    def located(self: C, places: Places, *, verify: bool = False) -> C:
        """The same with what was found and its digest. Raises `DataInvalid` when it is not there or not what it should be."""
        if self._found is not None:
            return self
        found = self.look(places)
        digest = content_digest(found, places, verify=verify)
        if self.digest not in (None, digest):
            text = f"the content of {found.place} has the digest {digest}, and {self.digest} is asked for"
            raise DataInvalid([Problem(text, remedy="Get the same files, or leave out `digest`.")])
        return self._changed(digest=digest, found=found)

    def described(self: C, architecture: Mapping[str, Any]) -> C:
        """The same as a saved model remembers it: the architecture alone, for weights that follow."""
        return self._changed(digest=self.digest, found=Found(self.name, (), architecture), loaded=False)

    def unloaded(self: C) -> C:
        """The same architecture without the weights."""
        return self._changed(digest=self.digest, found=self._found, loaded=False)

    def _changed(self: C, *, digest: str | None, found: Found | None, loaded: bool = True) -> C:
        copy = self.model_copy(update={"digest": digest})
        copy._found, copy._loaded = found, loaded
        return copy


def content_digest(found: Found, places: Places, *, verify: bool = False) -> str:
    """One digest over the files of a checkpoint and the architecture where that is not in a file."""
    known = file_digests(found.files, places, verify=verify)
    digest = hashlib.sha256()
    for file in found.files:
        digest.update(known[file].encode())
    return digest.hexdigest()


def candidates(name: Path, places: Places) -> list[Path]:
    """Where a checkpoint of that name may lie, in order."""
    expanded = expand(name)
    if expanded.is_absolute():
        return [expanded]
    below = [folder / between / expanded for folder in places.data_folders for between in (".", FOLDER)]
    return list(dict.fromkeys([places.beside / expanded, *below]))


def not_there(name: Path, looked: Sequence[Path], layout: str, remedy: str = "") -> DataInvalid:
    """The error of a checkpoint that is nowhere."""
    places = ", ".join(map(str, looked))
    told = f"Put {layout} there. {remedy}".rstrip()
    return DataInvalid([Problem(f"there is no checkpoint {str(name)!r} (looked at {places})", remedy=told)])


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file of a checkpoint. Raises `DataInvalid` when it is none."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DataInvalid([Problem(f"{path} cannot be read ({error})", remedy="Copy the folder again.")]) from error
    if not isinstance(value, dict):
        raise DataInvalid([Problem(f"{path} is no JSON object", remedy="Copy the folder again.")])
    return value


def checkpoints_in(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Checkpoint]]:
    """All checkpoints in a block and in those nested in it, with the keys that lead to them."""
    found: list[tuple[KeyPath, Checkpoint]] = []

    def note(checkpoint: Checkpoint, at: KeyPath) -> Checkpoint:
        found.append((at, checkpoint))
        return checkpoint

    changed(value, note, path)
    return iter(found)


def located_in(value: T, places: Places, *, verify: bool = False) -> T:
    """A block whose checkpoints were looked for. Raises `DataInvalid` with all that are missing."""
    problems: list[Problem] = []

    def locate(checkpoint: Checkpoint, at: KeyPath) -> Checkpoint:
        try:
            return checkpoint.located(places, verify=verify)
        except DataInvalid as fault:
            where = ".".join(map(str, at))
            problems.extend(replace(one, path=one.path or where) for one in fault.problems)
            return checkpoint

    result = changed(value, locate)
    refuse(problems)
    return result


def untrained(value: T) -> T:
    """The block that builds the same architecture with weights that are drawn; the same block where nothing is loaded."""
    return changed(value, lambda checkpoint, _: checkpoint.unloaded())


def architectures(value: Any) -> dict[str, Mapping[str, Any]]:
    """The architecture of every checkpoint in a block, by its digest: what a saved model has to remember."""
    found = (checkpoint.located(Places.here()) for _, checkpoint in checkpoints_in(value))
    return {str(one.digest): one.found.architecture for one in found}


def describe(value: T, known: Mapping[str, Mapping[str, Any]]) -> T:
    """A block with the architectures that a saved model remembers; its weights are not looked for."""
    return changed(
        value,
        lambda checkpoint, _: (
            checkpoint.described(known[str(checkpoint.digest)]) if str(checkpoint.digest) in known else checkpoint
        ),
    )


def changed(value: T, change: Callable[[Checkpoint, KeyPath], Checkpoint], path: KeyPath = ()) -> T:
    """A block with every checkpoint in it changed; the very same object where nothing was."""
    result: Any = value
    if isinstance(value, Checkpoint):
        result = change(value, path)
    elif isinstance(value, Configured):
        config = changed(value.config, change, path)
        result = value if config is value.config else Configured(value.component, config)
    elif isinstance(value, BaseModel):
        old = {name: getattr(value, name) for name in type(value).model_fields}
        new = {name: changed(one, change, (*path, name)) for name, one in old.items()}
        different = {name: one for name, one in new.items() if one is not old[name]}
        result = value.model_copy(update=different) if different else value
    elif isinstance(value, (list, tuple)):
        items = [changed(one, change, (*path, number)) for number, one in enumerate(value)]
        same = all(one is other for one, other in zip(items, value, strict=True))
        result = value if same else type(value)(items)
    elif isinstance(value, dict):
        entries = {key: changed(one, change, (*path, key)) for key, one in value.items()}
        result = value if all(entries[key] is value[key] for key in value) else entries
    return result  # type: ignore[no-any-return]
