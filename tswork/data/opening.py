"""From a data spec to its splits: read, prepare, divide, and fit what must be fitted on the training part alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from tswork.config import Configured, configure, keyed
from tswork.data.cards import resolve
from tswork.data.collection import Collection, Part, Split
from tswork.data.digests import source_digest
from tswork.data.group_splits import units_of
from tswork.data.places import Places
from tswork.data.prepare.base import Preparation
from tswork.data.reading import read_collection
from tswork.data.spec import DataSpec, read_spec
from tswork.data.split_spec import split_count
from tswork.data.splits import make_splits
from tswork.data.stored import FORMAT, is_whole, load_collection, save_collection
from tswork.encoders.checkpoints import located_in
from tswork.errors import DataInvalid, Problem
from tswork.source import Source
from tswork.store import Store, key_of


@dataclass(frozen=True, eq=False)
class OpenData:
    """A data set before anything is fitted to it, and its splits, ready to train on."""

    collection: Collection
    splits: tuple[Split, ...]


def resolve_spec(block: Mapping[str, Any], places: Places) -> DataSpec:
    """The spec of a data block, its card merged in. Raises `DataInvalid` with everything that is wrong."""
    spec, problems = read_spec(resolve(Source(dict(block)), places))
    if spec is None:
        raise DataInvalid(problems)
    return spec


def open_collection(spec: DataSpec, places: Places, *, store: Store | None = None) -> Collection:
    """The data of a spec after the preparations that need no fitting.

    With a store they are read and prepared once; later they are loaded, or mapped where memory is short.
    """
    spec = _located(spec, places)
    unfitted, _ = _preparations(spec)
    options = spec.options
    if store is None:
        return _prepared(spec, places, unfitted).replaced(tasks=options.tasks, text=options.text)
    key = _key(spec, unfitted, source_digest(spec, places))
    about: dict[str, Any] = {"kind": "collection"}

    def write(folder: Path) -> None:
        about["needs"] = list(save_collection(folder, _prepared(spec, places, unfitted), store=store))

    found = store.get(key)
    if found is not None and not is_whole(found, store):
        store.remove(key)
        found = None
    found = found or store.compute(key, write, about=about)
    loaded = load_collection(found, store=store)
    return loaded.replaced(name=options.name, tasks=options.tasks, text=options.text)


def open_data(
    spec: DataSpec, places: Places, *, seed: int, store: Store | None = None, persons: Sequence[str] = ()
) -> OpenData:
    """The data of a spec and all of its splits, none of which shares a value of a column of `persons`.

    Preparations that are fitted see the training part of their own split only. Raises `DataInvalid` and `LeakFound`.
    """
    _, fitted = _preparations(spec)
    collection = open_collection(spec, places, store=store)
    if collection.tasks is not None:
        collection = collection.replaced(tasks=collection.tasks.drawn(seed))
    return OpenData(collection, tuple(_fit(split, fitted)[0] for split in _divide(spec, collection, seed, persons)))


def count_splits(spec: DataSpec, places: Places, *, store: Store | None = None) -> int:
    """How many splits a spec stands for. Only `folds: each` has to open the data, whose groups it counts."""
    split = spec.options.split
    known = split_count(split) if split is not None else 1
    if split is None or known is not None:
        return known or 1
    return len(torch.unique(units_of(open_collection(spec, places, store=store), split)))


def open_splits(spec: DataSpec, places: Places, *, seed: int) -> tuple[Split, ...]:
    """The splits of a spec, ready to train on. Raises `DataInvalid` and `LeakFound`."""
    return open_data(spec, places, seed=seed).splits


def open_new(spec: DataSpec, path: Path, places: Places, *, seed: int, store: Store | None = None) -> Part:
    """New data in the layout of the spec's own (of a join: a manifest), prepared as the training data were, fitted on those.

    Raises `DataInvalid` when the new data have other channels.
    """
    spec = _located(spec, places)
    unfitted, fitted = _preparations(spec)
    known = open_collection(spec, places, store=store)
    new_spec = DataSpec(
        spec.options.model_copy(update={"split": None, "label": None, "label_per": None, "groups": (), "aliases": {}}),
        _reader_of_new(spec, path),
    )
    new = _prepared(new_spec, places, unfitted)
    if new.channels != known.channels:
        text = f"has the channels {', '.join(new.channels)}; the model was trained on {', '.join(known.channels)}"
        raise DataInvalid([Problem(text, str(path))])
    _, steps = _fit(_divide(spec, known, seed)[0], fitted)
    for step in steps:
        new = step.apply(new)
    return Part.whole(new)


def _located(spec: DataSpec, places: Places) -> DataSpec:
    """The spec with the checkpoints that its preparations name looked for."""
    prepare = located_in(spec.options.prepare, places.moved(spec.beside.get("prepare", places.beside)))
    if prepare is spec.options.prepare:
        return spec
    return replace(spec, options=spec.options.model_copy(update={"prepare": prepare}))


def _reader_of_new(spec: DataSpec, path: Path) -> Configured:
    """The reader of the spec at another path; of several sets in one, which have no path of their own, a manifest."""
    config = spec.reader.config
    if "path" in type(config).model_fields:
        return Configured(spec.reader.component, config.model_copy(update={"path": path}))
    return configure("reader", {"uses": "manifest", "path": str(path)})


def _preparations(spec: DataSpec) -> tuple[list[Configured], list[Configured]]:
    """Those that are applied to all data at once, and those that are fitted on a training part after them."""
    blocks = list(spec.options.prepare)
    fitted = [block for block in blocks if _is_fitted(block)]
    for number, block in enumerate(blocks):
        before = [one.name for one in blocks[:number] if _is_fitted(one)]
        if before and not _is_fitted(block):
            text = f"{block.name!r} changes the data after {before[-1]!r} was fitted to them"
            remedy = f"Put {block.name!r} before {before[-1]!r}."
            raise DataInvalid([Problem(text, f"data.prepare[{number}]", remedy=remedy)])
    return [block for block in blocks if not _is_fitted(block)], fitted


def _is_fitted(block: Configured) -> bool:
    target: Any = block.component.target
    return bool(target.fitted)


def _prepared(spec: DataSpec, places: Places, unfitted: Sequence[Configured]) -> Collection:
    collection = read_collection(spec, places)
    for block in unfitted:
        collection = block.build().apply(collection)
    return collection


def _key(spec: DataSpec, unfitted: Sequence[Configured], digest: str) -> str:
    """Everything a prepared collection depends on: what was read, how, and which steps followed."""
    block = {**spec.keyed(), "split": None, "prepare": keyed(list(unfitted))}
    for later in ("tasks", "text"):  # said of the collection, and no part of it
        block.pop(later, None)
    return key_of({"collection": block, "digest": digest, "format": FORMAT})


def _divide(spec: DataSpec, collection: Collection, seed: int, persons: Sequence[str] = ()) -> tuple[Split, ...]:
    if spec.options.split is None:
        raise DataInvalid([Problem("no split is given", "data.split", remedy="Add `split: {by: ...}`.")])
    return make_splits(collection, spec.options.split, seed=seed, persons=persons)


def _fit(split: Split, blocks: Sequence[Configured]) -> tuple[Split, list[Preparation[Any]]]:
    """A split with its fitted preparations applied, and these as they were fitted on its training part."""
    steps = []
    for block in blocks:
        step: Preparation[Any] = block.build()
        step.fit(split.train)
        split = split.on(step.apply(split.train.collection))
        steps.append(step)
    return split, steps
