"""From a data spec to its splits: read, prepare, divide, and fit what must be fitted on the training part alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tswork.data.collection import Collection, Part, Split
from tswork.data.places import Places
from tswork.data.prepare.base import Preparation
from tswork.data.reading import read_collection
from tswork.data.spec import DataSpec
from tswork.data.splits import make_splits
from tswork.errors import DataInvalid, Problem


def open_collection(spec: DataSpec, places: Places) -> Collection:
    """The data of a spec after the preparations that need no fitting."""
    collection, _ = _unfitted(spec, read_collection(spec, places))
    return collection


def open_splits(spec: DataSpec, places: Places, *, seed: int) -> tuple[Split, ...]:
    """The splits of a spec, ready to train on.

    Preparations that are fitted see the training part of their own split only. Raises `DataInvalid` and `LeakFound`.
    """
    if spec.options.split is None:
        raise DataInvalid([Problem("no split is given", "data.split", remedy="Add `split: {by: ...}`.")])
    collection, fitted = _unfitted(spec, read_collection(spec, places))
    return tuple(_fitted(split, fitted) for split in make_splits(collection, spec.options.split, seed=seed))


def open_new(spec: DataSpec, path: Path, places: Places, *, seed: int) -> Part:
    """New data in the layout of the spec's own, prepared as the training data were (fitted on those, not on the new).

    Raises `DataInvalid` when the new data have other channels.
    """
    original = open_splits(spec, places, seed=seed)[0]
    moved = spec.reader.config.model_copy(update={"path": path})
    new_spec = DataSpec(
        spec.options.model_copy(update={"split": None, "label": None, "groups": ()}),
        type(spec.reader)(spec.reader.component, moved),
    )
    collection, fitted = _unfitted(new_spec, read_collection(new_spec, places))
    train, _ = _unfitted(spec, read_collection(spec, places))
    part = Part(train, original.train.spans)
    for step in fitted:
        step.fit(part)
        part = Part(step.apply(part.collection), part.spans)
        collection = step.apply(collection)
    if collection.channels != original.train.collection.channels:
        text = f"has the channels {list(collection.channels)}, the model was trained on {list(original.train.collection.channels)}"
        raise DataInvalid([Problem(text, str(path))])
    return Part.whole(collection)


def _unfitted(spec: DataSpec, collection: Collection) -> tuple[Collection, list[Preparation[Any]]]:
    steps: list[Preparation[Any]] = [configured.build() for configured in spec.options.prepare]
    fitted: list[Preparation[Any]] = []
    for number, step in enumerate(steps):
        if step.fitted:
            fitted.append(step)
        elif fitted:
            name, before = spec.options.prepare[number].name, type(fitted[-1]).__name__.lower()
            text = f"{name!r} changes the data after {before!r} was fitted to them"
            raise DataInvalid([Problem(text, f"data.prepare[{number}]", remedy=f"Put {name!r} before {before!r}.")])
        else:
            collection = step.apply(collection)
    return collection, fitted


def _fitted(split: Split, steps: list[Preparation[Any]]) -> Split:
    for step in steps:
        step.fit(split.train)
        collection = step.apply(split.train.collection)
        train, validation, test = (Part(collection, part.spans) for part in split.parts.values())
        split = replace(split, train=train, validation=validation, test=test)
    return split
