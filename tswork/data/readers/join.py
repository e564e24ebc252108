"""Several sets as one collection: each part a card or a block of its own, with constant columns added to its table.

What tells the parts apart in the world (rooms, microphones, codecs) tells them apart here too: where a column is constant in each
part, such as a language, a classifier may learn the set instead. `tswork data check` says so.

Ids, and the values of group columns, get the name of their part in front (`emovo/f1`), so that speakers of two sets never become
one. Parts are brought to the rate of the block; a part that gives no rate of its own is decoded at that rate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pydantic import Field

from tswork.config import ADDED_LATER, Config, Configured, Many
from tswork.data.backends import INT16_SCALE
from tswork.data.cards import resolve
from tswork.data.collection import Collection
from tswork.data.faults import refuse
from tswork.data.ids import WHOLE
from tswork.data.joined import Runs, free_room, open_runs, runs_of
from tswork.data.leaks import ORIGIN
from tswork.data.opening import open_collection
from tswork.data.places import Places
from tswork.data.prepare.resample import Resample, ResampleConfig
from tswork.data.readers.base import FileOutline, Reader
from tswork.data.spec import DataSpec, read_spec
from tswork.errors import InvalidInput, Problem, did_you_mean
from tswork.registry import Component, register
from tswork.source import Source
from tswork.store import Store

PART = "part"
"""Table column with the name of the part."""
ADD = "add"


class JoinConfig(Config):
    parts: dict[str, dict[str, Any]] = Field(
        min_length=1,
        description="name: a data block (`card: NAME`, or `reader: NAME` with its options); its `add: {column: value}` are"
        " columns with one value in the whole part",
    )
    prefix: Many[str] = Field(
        default=(), description="columns beside the groups whose values count inside each part, such as an item"
    )
    skip_bad: bool = Field(
        default=False,
        json_schema_extra=ADDED_LATER,
        description="leave out recordings that cannot be used, in every part; `tswork run --skip-bad` sets it",
    )


@dataclass(frozen=True)
class _Part:
    """One set of several: its block without split and label, and the columns that are added."""

    name: str
    spec: DataSpec
    places: Places
    add: dict[str, Any]

    @property
    def reader(self) -> Reader[Any]:
        reader: Reader[Any] = self.spec.reader.build()
        return reader

    def named(self, fault: InvalidInput) -> list[Problem]:
        """The problems of the part, with its name."""
        return [replace(one, path=", ".join(filter(None, (f"parts.{self.name}", one.path)))) for one in fault.problems]


@register("reader", "join", version=1, config=JoinConfig)
class Join(Reader[JoinConfig]):
    """Several sets as one collection, each with constant columns such as its language."""

    tells_rows = True

    def files(self, spec: DataSpec, places: Places) -> Sequence[Path]:
        return [
            file
            for files in self._each(spec, places, lambda part: part.reader.files(part.spec, part.places))
            for file in files
        ]

    def used(self, spec: DataSpec, places: Places) -> Sequence[Component]:
        parts = self._each(spec, places, lambda part: part.reader.used(part.spec, part.places))
        return list({(one.kind, one.name): one for used in parts for one in used}.values())

    def told(self, spec: DataSpec, places: Places) -> object:
        """The blocks of the parts, with what their cards say."""
        return self._each(
            spec,
            places,
            lambda part: [part.name, part.spec.keyed(), part.add, part.reader.told(part.spec, part.places)],
        )

    def outlines(self, spec: DataSpec, places: Places) -> Sequence[FileOutline]:
        def look(part: _Part) -> list[FileOutline]:
            found = part.reader.outlines(part.spec, part.places)
            return [replace(one, id=f"{part.name}/{one.id}" if one.id is not None else None) for one in found]

        return [one for found in self._each(spec, places, look) for one in found]

    def inspect(self, spec: DataSpec, places: Places) -> None:
        self._each(spec, places, lambda part: part.reader.inspect(part.spec, part.places))

    def check_columns(self, spec: DataSpec, places: Places) -> None:
        self._each(spec, places, lambda part: part.reader.check_columns(part.spec, part.places))

    def read(self, spec: DataSpec, places: Places) -> Collection:
        rate = spec.options.rate
        parts = _parts(self.config, spec, places)
        found = self._each(spec, places, lambda part: _at_rate(open_collection(part.spec, part.places), rate))
        refuse([*_differences(parts, found), *self._unknown(found)])
        groups = tuple(dict.fromkeys(column for one in found for column in one.groups))
        tables = [_table(part, one, (*groups, *self.config.prefix)) for part, one in zip(parts, found, strict=True)]
        lengths = torch.cat([one.lengths for one in found])
        return Collection(
            values=_values(found, Store(places.store)),
            offsets=torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)]),
            table=_one_table(tables),
            channels=found[0].channels,
            rate=found[0].rate,
            groups=groups,
            name=spec.options.name,
            notes=tuple(f"{part.name}: {note}" for part, one in zip(parts, found, strict=True) for note in one.notes),
            left_out=tuple(left for one in found for left in one.left_out),
        )

    def _unknown(self, found: Sequence[Collection]) -> Iterator[Problem]:
        """Columns of `prefix` that no part has."""
        known = list(dict.fromkeys(str(name) for one in found for name in one.table.columns))
        for name in self.config.prefix:
            if name not in known:
                yield Problem(f"no part has a column {name!r}", "prefix", remedy=did_you_mean(name, known))

    def _each(self, spec: DataSpec, places: Places, look: Any) -> list[Any]:
        """What `look` finds in every part. Raises `DataInvalid` with the faults of all parts, each with its name."""
        found, faults = [], []
        for part in _parts(self.config, spec, places):
            try:
                found.append(look(part))
            except InvalidInput as fault:
                faults += part.named(fault)
        refuse(faults)
        return found


def _parts(config: JoinConfig, spec: DataSpec, places: Places) -> list[_Part]:
    """The parts with their cards merged in. Raises `DataInvalid` with everything that is wrong with their blocks."""
    beside = places.moved(spec.beside.get("parts", places.beside))
    parts, faults = [], []
    for name, block in config.parts.items():
        own = {key: value for key, value in block.items() if key != ADD}
        add = block.get(ADD, {})
        try:
            found, problems = read_spec(resolve(Source(own), beside))
        except InvalidInput as fault:
            found, problems = None, list(fault.problems)
        if not isinstance(add, dict) or any(isinstance(value, (dict, list)) for value in add.values()):
            problems = [*problems, Problem("should be `{column: value}`", ADD)]
        if found is not None:
            if found.reader.name == "join":
                problems = [*problems, Problem("is a join itself", remedy="Name its parts here.")]
            problems = [*problems, *_fitted(found)]
            parts.append(_Part(name, _as_part(found, spec), beside, dict(add) if isinstance(add, dict) else {}))
        faults += [replace(one, path=", ".join(filter(None, (f"parts.{name}", one.path)))) for one in problems]
    refuse(faults)
    return parts


def _as_part(found: DataSpec, joined: DataSpec) -> DataSpec:
    """A block without what is the whole collection's to say: label and split; without a rate of its own it takes the common one.

    What the join says of bad recordings holds for parts that read any.
    """
    own, reader = found.options, found.reader
    changes = {"label": None, "label_per": None, "split": None, "rate": own.rate or joined.options.rate}
    if getattr(joined.reader.config, "skip_bad", False) and "skip_bad" in type(reader.config).model_fields:
        reader = Configured(reader.component, reader.config.model_copy(update={"skip_bad": True}))
    return DataSpec(own.model_copy(update=changes), reader, found.beside)


def _fitted(spec: DataSpec) -> Iterator[Problem]:
    for number, block in enumerate(spec.options.prepare):
        target: Any = block.component.target
        if target.fitted:
            text = f"{block.name!r} is fitted to a training part, and a part of a join has none"
            yield Problem(text, f"prepare[{number}]", remedy="Give it in the block of the join.")


def _at_rate(collection: Collection, rate: float | None) -> Collection:
    if rate is None or collection.rate == rate or collection.rate is None:
        return collection
    return Resample(ResampleConfig(rate=rate)).apply(collection)


def _differences(parts: Sequence[_Part], found: Sequence[Collection]) -> Iterator[Problem]:
    """Parts that have other channels or another rate than the first, and added columns that would hide others."""
    first = found[0]
    for part, one in zip(parts, found, strict=True):
        if one.channels != first.channels:
            text = f"has the channels {', '.join(one.channels)}; {parts[0].name} has {', '.join(first.channels)}"
            yield Problem(text, f"parts.{part.name}", remedy="Choose or rename them with `channels:` and `columns:`.")
        if one.rate != first.rate:
            text = f"has {one.rate or 'an unknown number of'} samples a second; {parts[0].name} has {first.rate or 'no rate'}"
            yield Problem(text, f"parts.{part.name}", remedy="Give the common rate with `rate:` beside `parts:`.")
        for column in sorted({PART, "id"} & set(part.add)):
            yield Problem(
                f"the column {column!r} is made here", f"parts.{part.name}.{ADD}", remedy="Call it otherwise."
            )
        for column in sorted(set(one.groups) & set(part.add)):
            text = f"{column!r} is a group of this part, whose values one for all of them would hide"
            yield Problem(text, f"parts.{part.name}.{ADD}", remedy="Call it otherwise.")


def _table(part: _Part, collection: Collection, columns: Sequence[str]) -> pd.DataFrame:
    """The table of a part, with ids and groups inside it, and the columns that are added."""
    table = collection.table.reset_index(drop=True)
    ids = table["id"] if "id" in table.columns else table.index.to_series()
    inside = {
        name: _named(part.name, table[name]) for name in dict.fromkeys((*columns, ORIGIN)) if name in table.columns
    }
    others = table.drop(columns="id", errors="ignore").assign(**inside).assign(**part.add)
    return pd.concat([pd.DataFrame({"id": _named(part.name, ids), PART: part.name}), others], axis=1)


def _named(name: str, cells: pd.Series[Any]) -> pd.Series[Any]:
    texts = cells.astype(str)
    if pd.api.types.is_float_dtype(cells):  # of whole numbers with gaps
        texts = texts.str.replace(WHOLE, "", regex=True)
    return (f"{name}/" + texts).where(cells.notna())


def _one_table(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """All tables below one another; a column that is text in one of them is text in all."""
    columns = list(dict.fromkeys(column for table in tables for column in table.columns))
    whole: dict[str, pd.Series[Any]] = {}
    for column in columns:
        pieces = [
            table[column] if column in table.columns else pd.Series(np.nan, table.index, dtype=object)
            for table in tables
        ]
        known = [piece for piece in pieces if piece.notna().any()]
        text = any(not pd.api.types.is_numeric_dtype(piece) for piece in known)
        cells = pd.concat([piece.astype(object) for piece in pieces], ignore_index=True)
        whole[column] = cells.where(cells.isna(), cells.astype(str)) if text else pd.to_numeric(cells)
    return pd.DataFrame(whole)


def _values(found: Sequence[Collection], store: Store) -> torch.Tensor:
    """The values of all parts; sound beside other values becomes numbers between -1 and 1. What the store keeps stays there."""
    runs = [one for one in (runs_of(part.values, store) for part in found) if one is not None]
    if len(runs) == len(found):
        return open_runs(Runs.chain(runs), store, budget=free_room())
    kinds = {one.values.dtype for one in found}
    if len(kinds) == 1:
        return torch.cat([one.values for one in found])
    return torch.cat(
        [one.values * INT16_SCALE if one.values.dtype == torch.int16 else one.values.float() for one in found]
    )
