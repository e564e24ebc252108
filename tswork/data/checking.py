"""What may be wrong with a data set, looked for before anything trains."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tswork.data.collection import Collection
from tswork.data.places import Places
from tswork.data.reading import read_collection
from tswork.data.spec import DataSpec
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
    """All findings of a data set: its files and digests, and with `read_values` its table and values."""
    try:
        files = spec.reader.build().files(spec, places)
    except InvalidInput as fault:
        return [Finding("files", str(problem), severe=True) for problem in fault.problems]
    findings = list(_digests(spec, [str(file) for file in files]))
    findings += [Finding("files", f"{file} is empty", severe=True) for file in files if file.stat().st_size == 0]
    if not read_values or any(one.severe for one in findings):
        return findings
    try:
        collection = read_collection(spec, places)
    except InvalidInput as fault:
        return [*findings, *(Finding("content", str(problem), severe=True) for problem in fault.problems)]
    return [*findings, *check_collection(collection)]


def check_collection(collection: Collection) -> list[Finding]:
    """Findings about a table and its values."""
    return [
        *_values(collection),
        *_lengths(collection),
        *_duplicates(collection),
        *_classes(collection),
        *_confounding(collection),
        *_times(collection),
    ]


def _digests(spec: DataSpec, files: list[str]) -> Iterator[Finding]:
    for known in spec.options.files:
        for path in (one for one in files if one.endswith(known.name)):
            digest = file_digest(Path(path))
            if known.sha256 is not None and digest != known.sha256:
                yield Finding("digest", f"{path} has sha256 {digest}, the card says {known.sha256}", severe=True)


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
    first: dict[bytes, int] = {}
    twins = []
    for index in range(len(collection)):
        digest = hashlib.blake2b(np.ascontiguousarray(collection.sequence(index).numpy()).data, digest_size=16).digest()
        if digest in first:
            twins.append((first[digest], index))
        else:
            first[digest] = index
    if twins:
        shown = ", ".join(f"rows {one} and {other}" for one, other in twins[:SHOWN])
        yield Finding("duplicate", f"{len(twins)} sequences repeat the content of another: {shown}")


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
