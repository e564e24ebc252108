"""A data set in memory, its parts and its splits.

A collection is packed: the values of all sequences lie one after another in one tensor, `offsets` tells where each one
starts, and a table has one row a sequence. Series of one length, ragged series, one long series and sound all fit, and
any batch is one gather by index arithmetic.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from tswork.data.tasks_spec import TasksSpec
from tswork.data.text_spec import TextSpec
from tswork.wording import counted


@dataclass(frozen=True, eq=False)
class Affine:
    """How prepared values lead back to the user's units: `original = values * scale + offset`.

    `scale` and `offset` are `(1, channel)`, or `(sequence, channel)` when every sequence was scaled by itself.
    """

    scale: Float[Tensor, "rows channel"]
    offset: Float[Tensor, "rows channel"]

    def after(self, scale: Float[Tensor, "rows channel"], offset: Float[Tensor, "rows channel"]) -> Affine:
        """The way back when `(values - offset) / scale` is applied on top of this one."""
        return Affine(self.scale * scale, self.scale * offset + self.offset)


@dataclass(frozen=True, eq=False)
class Collection:
    """Packed sequences and one table row a sequence. Immutable.

    `targets` names the channels a forecast is about, in order (empty: none was named, all channels are targets);
    the other channels are covariates, which stand before the targets. `label` names the table's column of classes and
    `groups` the columns whose values may never be shared between splits. Missing values are NaN.
    """

    values: Shaped[Tensor, "total_time channel"]
    offsets: Int[Tensor, "sequence_plus_one"]
    table: pd.DataFrame
    channels: tuple[str, ...]
    times: Int[Tensor, "total_time"] | None = None
    rate: float | None = None
    label: str | None = None
    groups: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    affine: Affine | None = None
    tasks: TasksSpec | None = None
    """Which classes are learned when, for continual learning. No part of the content."""
    text: TextSpec | None = None
    """Which columns say what was spoken and meant. No part of the content."""
    name: str = "data"
    notes: tuple[str, ...] = ()
    """What preparations left out or filled, in words; every run records it with its data. No part of the content."""
    left_out: tuple[tuple[str, str, str], ...] = ()
    """Recordings that could not be used and that `skip_bad` left out: where each is named, its path, and what is wrong with it.
    Every run records them as a table. No part of the content."""

    def __repr__(self) -> str:
        """What it holds in a line, and not all its values."""
        shown = ", ".join([*self.channels[:4], *(["..."] if len(self.channels) > 4 else [])])
        about = f"{counted(len(self), 'sequence')}, {len(self.values):,} steps, {counted(len(self.channels), 'channel')} ({shown})"
        return f"Collection({self.name}: {about}; table of {', '.join(map(str, self.table.columns))})"

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != len(self.channels):
            raise ValueError(f"values {tuple(self.values.shape)} do not fit {counted(len(self.channels), 'channel')}")
        if self.offsets.dtype != torch.int64 or len(self.offsets) != len(self.table) + 1:
            raise ValueError(
                f"{counted(len(self.offsets), 'offset')} (int64) do not fit {counted(len(self.table), 'table row')}"
            )
        if (
            int(self.offsets[0]) != 0
            or int(self.offsets[-1]) != len(self.values)
            or bool((self.offsets.diff() < 0).any())
        ):
            raise ValueError("offsets should rise from 0 to the number of time steps")
        if self.times is not None and self.times.shape != (len(self.values),):
            raise ValueError(f"times {tuple(self.times.shape)} do not fit {counted(len(self.values), 'time step')}")
        for column in (*self.groups, *([self.label] if self.label else [])):
            if column not in self.table.columns:
                raise ValueError(f"the table has no column {column!r}")
        for target in self.targets:
            if target not in self.channels:
                raise ValueError(f"no channel is called {target!r}")

    @staticmethod
    def from_sequences(
        sequences: Sequence[Shaped[np.ndarray, "_ channel"]],
        *,
        table: pd.DataFrame | None = None,
        channels: Sequence[str] | None = None,
        **fields: Any,
    ) -> Collection:
        """A collection of `(time, channel)` arrays of any lengths; `fields` are those of the class (label, groups, ...)."""
        if not sequences:
            raise ValueError("a collection needs at least one sequence")
        width = sequences[0].shape[1]
        return Collection(
            values=torch.from_numpy(np.concatenate(sequences)),
            offsets=torch.from_numpy(np.cumsum([0, *map(len, sequences)]).astype(np.int64)),
            table=pd.DataFrame({"id": np.arange(len(sequences))}) if table is None else table.reset_index(drop=True),
            channels=tuple(channels) if channels is not None else tuple(f"channel_{number}" for number in range(width)),
            **fields,
        )

    @staticmethod
    def from_array(
        values: Shaped[np.ndarray, "case time channel"],
        *,
        labels: Iterable[Any] | None = None,
        channels: Sequence[str] | None = None,
        **fields: Any,
    ) -> Collection:
        """A collection of cases of one length; `labels` become the table's `label` column."""
        table = None if labels is None else pd.DataFrame({"id": np.arange(len(values)), "label": list(labels)})
        named = {"label": "label", **fields} if labels is not None else fields
        return Collection.from_sequences(list(values), table=table, channels=channels, **named)

    def __len__(self) -> int:
        """Number of sequences."""
        return len(self.table)

    @property
    def lengths(self) -> Int[Tensor, "sequence"]:
        """Time steps of each sequence."""
        return self.offsets.diff()

    @property
    def target_index(self) -> tuple[int, ...]:
        """Positions of the target channels (all channels when none was named)."""
        return tuple(self.channels.index(name) for name in self.targets or self.channels)

    @property
    def covariate_index(self) -> tuple[int, ...]:
        """Positions of the channels that are not targets."""
        return tuple(index for index in range(len(self.channels)) if index not in self.target_index)

    def sequence(self, index: int) -> Shaped[Tensor, "time channel"]:
        """The values of one sequence, without a copy."""
        return self.values[int(self.offsets[index]) : int(self.offsets[index + 1])]

    def categories(self, column: str) -> tuple[str, ...]:
        """The distinct values of a column as text, sorted (numbers by value); `codes` counts in this order."""
        return self._coded(column)[0]

    def codes(self, column: str) -> Int[Tensor, "sequence"]:
        """A column as integers 0..n-1 in the order of `categories`; strings and large ids are safe. Missing is -1."""
        return self._coded(column)[1]

    @property
    def classes(self) -> tuple[str, ...]:
        """The distinct labels, sorted; empty without a label column."""
        return self.categories(self.label) if self.label else ()

    @cached_property
    def digest(self) -> str:
        """sha256 over all values, offsets, times, channels and the table: equal content, equal digest."""
        digest = hashlib.sha256()
        for tensor in (self.values, self.offsets, self.times):
            if tensor is not None:
                digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
                digest.update(np.ascontiguousarray(tensor.cpu().numpy()).data)
        columns = {str(name): [str(value) for value in self.table[name]] for name in self.table.columns}
        digest.update(repr((self.channels, self.rate, self.label, self.groups, self.targets, columns)).encode())
        return digest.hexdigest()

    def replaced(self, **changes: Any) -> Collection:
        """A copy with some fields replaced."""
        copy = replace(self, **changes)
        if set(changes) <= {"name", "affine", "notes", "left_out", "tasks", "text"} and "digest" in self.__dict__:
            copy.__dict__["digest"] = self.digest  # none of these is content
        return copy

    @cached_property
    def _coded_columns(self) -> dict[str, tuple[tuple[str, ...], Tensor]]:
        return {}

    def _coded(self, column: str) -> tuple[tuple[str, ...], Tensor]:
        if column not in self._coded_columns:
            values = self.table[column]
            present = values.dropna().unique().tolist()
            try:
                ordered = sorted(present)
            except TypeError:  # mixed types: their text decides
                ordered = sorted(present, key=str)
            positions = {value: position for position, value in enumerate(ordered)}
            codes = torch.tensor([positions.get(value, -1) for value in values.tolist()], dtype=torch.int64)
            self._coded_columns[column] = (tuple(str(value) for value in ordered), codes)
        return self._coded_columns[column]


@dataclass(frozen=True, eq=False)
class Part:
    """Pieces of a collection that belong together: the training, validation or test part.

    `spans` rows are (sequence, start, stop) with positions counted inside the sequence. A part may read context before
    a span, never after it.
    """

    collection: Collection
    spans: Int[Tensor, "span 3"]

    @staticmethod
    def whole(collection: Collection) -> Part:
        """A part of all sequences in full."""
        return Part.of(collection, torch.arange(len(collection)))

    @staticmethod
    def of(collection: Collection, sequences: Int[Tensor, "chosen"]) -> Part:
        """A part of some sequences in full."""
        return Part(
            collection, torch.stack([sequences, torch.zeros_like(sequences), collection.lengths[sequences]], dim=1)
        )

    def __len__(self) -> int:
        """Number of spans."""
        return len(self.spans)

    @property
    def lengths(self) -> Int[Tensor, "span"]:
        """Time steps of each span."""
        return self.spans[:, 2] - self.spans[:, 1]

    @property
    def table(self) -> pd.DataFrame:
        """The table rows of the spans' sequences, one row a span."""
        return self.collection.table.iloc[self.spans[:, 0].numpy()].reset_index(drop=True)

    @property
    def label(self) -> str:
        """The column of classes, asked of data that have one."""
        assert self.collection.label is not None
        return self.collection.label

    def codes(self, column: str) -> Int[Tensor, "span"]:
        """A column's integer codes, one a span."""
        return self.collection.codes(column)[self.spans[:, 0]]

    def known(self, column: str) -> Part:
        """The spans whose sequences have a value in a column."""
        return Part(self.collection, self.spans[self.codes(column) >= 0])

    def observed(self) -> Part:
        """The spans without leading and trailing steps at which every channel is missing; spans that miss all are left out."""
        present = ~torch.isnan(self.collection.values).all(dim=1)
        before = torch.cat([torch.zeros(1, dtype=torch.int64), present.cumsum(0).cpu()])
        origin = self.collection.offsets[self.spans[:, 0]]
        counted, in_all = before[origin + self.spans[:, 1]], before[origin + self.spans[:, 2]]
        first = torch.searchsorted(before, counted + 1) - 1
        last = torch.searchsorted(before, in_all)
        observed = torch.stack([self.spans[:, 0], first - origin, last - origin], dim=1)
        return Part(self.collection, observed[in_all > counted])

    def pieces(self, length: int) -> Part:
        """Every span cut into `floor(span / length)` (at least one) contiguous pieces whose sizes differ by at most one.

        Nothing is dropped, so a piece may be longer than `length`, as in TS2Vec's training data.
        """
        count = (self.lengths // length).clamp(min=1)
        span = torch.repeat_interleave(torch.arange(len(self)), count)
        first = torch.repeat_interleave(count.cumsum(0) - count, count)
        index = torch.arange(len(span)) - first
        size, extra = self.lengths[span] // count[span], self.lengths[span] % count[span]
        start = self.spans[span, 1] + index * size + torch.minimum(index, extra)
        stop = start + size + (index < extra)
        return Part(self.collection, torch.stack([self.spans[span, 0], start, stop], dim=1))


@dataclass(frozen=True, eq=False)
class Split:
    """Training, validation and test parts that share no group. `validation` may be empty, never shared."""

    train: Part
    validation: Part
    test: Part
    groups: tuple[str, ...] = ()
    name: str = "split"
    leaks: tuple[str, ...] = ()
    """Leaks that `allow_leak` let pass; a run with any is tagged leaky."""

    def on(self, collection: Collection) -> Split:
        """The same spans of another collection with equal offsets."""
        train, validation, test = (Part(collection, part.spans) for part in self.parts.values())
        return replace(self, train=train, validation=validation, test=test)

    @property
    def parts(self) -> Mapping[str, Part]:
        """The three parts by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


@dataclass(frozen=True)
class DataInfo:
    """What a method may know of its data before it builds a model; saved with the model."""

    channels: tuple[str, ...]
    targets: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    label: str | None = None
    max_length: int = 0
    equal_lengths: bool = True
    missing: bool = False
    rate: float | None = None
    category_counts: Mapping[str, int] = field(default_factory=dict)
    tokenizer: str | None = None
    """The pieces that texts are written in (`tswork.text.tokenizer`), as JSON; None: the data have no text."""

    @staticmethod
    def of(part: Part) -> DataInfo:
        """The facts of a training part; reads values once to learn whether some are missing.

        Raises `DataInvalid` only where the data have texts, and some cannot be read.
        """
        collection, lengths = part.collection, part.lengths
        text = [name for name in collection.table.columns if name in collection.groups or name == collection.label]
        return DataInfo(
            channels=collection.channels,
            targets=collection.targets,
            classes=collection.classes,
            label=collection.label,
            max_length=int(lengths.max()) if len(part) else 0,
            equal_lengths=bool((lengths == lengths[:1]).all()),
            missing=collection.values.is_floating_point() and bool(torch.isnan(collection.values).any()),
            rate=collection.rate,
            category_counts={name: len(collection.categories(name)) for name in text},
            tokenizer=_tokenizer(part) if collection.text is not None else None,
        )


def _tokenizer(part: Part) -> str:
    """A tokenizer that has learned from the texts of a part. Raises `DataInvalid` with the rows whose text cannot be read."""
    from tswork.text.collection_text import trained_tokenizer  # texts are read of collections

    return trained_tokenizer(part).to_json()
