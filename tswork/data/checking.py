"""What may be wrong with a data set, looked for before anything trains."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from tswork.data.collection import Collection
from tswork.data.contents import twins
from tswork.data.faults import some
from tswork.data.locating import called, named
from tswork.data.opening import open_collection
from tswork.data.places import Places
from tswork.data.readers.base import Reader
from tswork.data.reading import read_collection
from tswork.data.spec import DataSpec
from tswork.data.splits import make_splits
from tswork.errors import InvalidInput
from tswork.store import file_digest

SHOWN = 5


@dataclass(frozen=True)
class Finding:
    """Something worth knowing; severe ones make results wrong or stop a run."""

    what: str
    text: str
    severe: bool = False


def check_data(spec: DataSpec, places: Places, *, read_values: bool = True) -> list[Finding]:
    """All findings of a data set: files, digests and headers, and with `read_values` its table, values and splits."""
    try:
        reader: Reader[Any] = spec.reader.build()
        files = reader.files(spec, places)
    except InvalidInput as fault:
        return _faults("files", fault)
    findings = [
        *_digests(spec, files),
        *(Finding("files", f"{file} is empty", True) for file in files if not file.stat().st_size),
    ]
    if not any(one.severe for one in findings):
        try:
            reader.inspect(spec, places)
            if read_values:
                collection = read_collection(spec, places)
                findings += check_collection(collection)
                prepared = open_collection(spec, places) if spec.options.prepare else collection
                findings += _splits(prepared, spec)
        except InvalidInput as fault:
            findings += _faults("content", fault)
    return findings


def _faults(what: str, fault: InvalidInput) -> list[Finding]:
    return [Finding(what, str(problem), severe=True) for problem in fault.problems]


def check_collection(collection: Collection) -> list[Finding]:
    """Findings about a table and its values."""
    return [
        *_values(collection),
        *_lengths(collection),
        *_duplicates(collection),
        *_classes(collection),
        *_groups(collection),
        *_confounding(collection),
        *_times(collection),
    ]


def _digests(spec: DataSpec, files: Sequence[Path]) -> Iterator[Finding]:
    """Files whose content is not what the card says; a file that was gzipped since is unpacked for it."""
    for known in spec.options.files:
        wanted = PurePosixPath(known.name).parts
        for path in files:
            packed = path.name == f"{wanted[-1]}.gz"
            parts = (*path.parts[:-1], wanted[-1]) if packed else path.parts
            if known.sha256 is None or parts[-len(wanted) :] != wanted:
                continue
            try:
                digest = _unpacked_digest(path) if packed else file_digest(path)
            except (OSError, EOFError, zlib.error) as error:
                yield Finding("digest", f"{path} is truncated or not gzip: {error}", severe=True)
                continue
            if digest != known.sha256:
                yield Finding("digest", f"{path} has sha256 {digest}, the card says {known.sha256}", severe=True)


def _unpacked_digest(path: Path) -> str:
    digest = hashlib.sha256()
    with gzip.open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _splits(collection: Collection, spec: DataSpec) -> Iterator[Finding]:
    """What the split of the card would be refused for."""
    if spec.split is None:
        return
    try:
        make_splits(collection, spec.split, seed=0)
    except InvalidInput as fault:
        yield from _faults("split", fault)


def _values(collection: Collection) -> Iterator[Finding]:
    values = collection.values
    if not values.is_floating_point():
        return
    missing = torch.isnan(values)
    for index, name in enumerate(collection.channels):
        share = float(missing[:, index].double().mean()) if len(values) else 0.0
        if share:
            yield Finding("missing", f"{share:.2%} of the values of {name!r} are missing", severe=share == 1)
        column = values[:, index][~missing[:, index]]
        if len(column) and float(column.min()) == float(column.max()):
            yield Finding("constant", f"the channel {name!r} is constant ({float(column[0]):g})")


def _lengths(collection: Collection) -> Iterator[Finding]:
    empty = int((collection.lengths == 0).sum())
    if empty:
        yield Finding("length", f"{empty} sequences are empty", severe=True)
    if len(collection) > 1:
        short = int((collection.lengths < collection.lengths.float().median() / 10).sum())
        if short:
            yield Finding("length", f"{short} sequences are shorter than a tenth of the median")


def _duplicates(collection: Collection) -> Iterator[Finding]:
    first = twins(collection)
    again = torch.nonzero(first != torch.arange(len(first))).flatten().tolist()
    if again:
        shown = some(
            [f"{called(collection, int(first[row]))} and {called(collection, row)}" for row in again[: SHOWN + 1]]
        )
        yield Finding("duplicate", f"{len(again)} sequences repeat the content of another: {shown}")


def _classes(collection: Collection) -> Iterator[Finding]:
    if not collection.label:
        return
    names = collection.categories(collection.label)
    found = torch.bincount(collection.codes(collection.label).clamp(min=0), minlength=len(names)).tolist()
    rare = [name for name, count in zip(names, found, strict=True) if count < 2]
    if rare:
        yield Finding("classes", f"classes with a single sequence: {', '.join(rare[:SHOWN])}")
    if found and max(found) >= 10 * max(1, min(found)):
        yield Finding(
            "classes",
            f"the largest class has {max(found)} sequences, the smallest {min(found)}; look at balanced accuracy",
        )


def _groups(collection: Collection) -> Iterator[Finding]:
    for column in collection.groups:
        without = torch.nonzero(collection.codes(column) < 0).flatten().tolist()
        if without:
            text = f"{len(without)} sequences have no {column!r}, so each counts as one of its own"
            yield Finding("groups", f"{text}: {named(collection, without)}")


def _confounding(collection: Collection) -> Iterator[Finding]:
    """A group that knows the label is what a model may learn instead of the label."""
    if not collection.label:
        return
    labels = collection.codes(collection.label)
    for column in collection.groups:
        groups = collection.codes(column)
        pairs = torch.unique(torch.stack([groups, labels], dim=1), dim=0)
        count = len(torch.unique(groups))
        if len(pairs) == count and count < len(collection):
            yield Finding(
                "confounding",
                f"every {column!r} has one label only: split by {column!r}, or the model may learn it instead",
            )
        if count == len(torch.unique(labels)) and len(pairs) == count:
            yield Finding(
                "confounding",
                f"there is one {column!r} a class, so no split by {column!r} can judge the label",
                severe=True,
            )


def _times(collection: Collection) -> Iterator[Finding]:
    if collection.times is None or len(collection.times) < 3:
        return
    steps = collection.times.diff()
    inside = torch.ones(len(steps), dtype=torch.bool)
    inside[collection.offsets[1:-1] - 1] = False
    steps = steps[inside]
    usual = int(steps.mode().values)
    odd = int((steps != usual).sum())
    if odd:
        yield Finding("time", f"{odd} of {len(steps)} time steps differ from the usual {usual / 1e9:g} s")
