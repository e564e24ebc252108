"""What may be wrong with a data set, looked for before anything trains."""

from __future__ import annotations

import gzip
import hashlib
import warnings
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from tswork.data.checking_files import check_files
from tswork.data.checking_labels import check_labels, check_splits, check_table
from tswork.data.checking_sound import check_sound
from tswork.data.collection import Collection
from tswork.data.contents import twins
from tswork.data.faults import some
from tswork.data.findings import Finding
from tswork.data.locating import called, named
from tswork.data.opening import open_collection
from tswork.data.places import Places
from tswork.data.prepare.quality import flat_channels
from tswork.data.readers.base import Reader
from tswork.data.readers.recordings import table_alone
from tswork.data.reading import read_collection
from tswork.data.spec import DataSpec
from tswork.data.split_spec import SplitSpec
from tswork.data.time_steps import told_steps
from tswork.errors import InvalidInput, TsworkWarning
from tswork.store import file_digest
from tswork.wording import counted

SHOWN = 5


def check_data(spec: DataSpec, places: Places, *, read_values: bool = True) -> list[Finding]:
    """All findings of a data set: files, digests and headers, and with `read_values` its table, values and splits."""
    try:
        reader: Reader[Any] = spec.reader.build()
        files = reader.files(spec, places)
    except InvalidInput as fault:
        told = (_all_faults(spec, places) if read_values else None) or fault
        return [*_faults("files", told), *_of_table(spec, places)]
    empty = [] if reader.tells_rows else [file for file in files if not file.stat().st_size]
    findings = [*_digests(spec, files), *(Finding("files", f"{file} is empty", True) for file in empty)]
    if not any(one.severe for one in findings):
        try:
            reader.inspect(spec, places)
            if read_values:
                collection = read_collection(spec, places)
                findings += check_files(reader, collection, spec, places)
                findings += check_collection(collection, spec.split)
                findings += check_splits(_prepared(collection, spec, places), spec)
            else:
                findings += check_files(reader, None, spec, places)
        except InvalidInput as fault:
            findings += _faults("content", fault)
            findings += _of_table(spec, places)
    return findings


def _all_faults(spec: DataSpec, places: Places) -> InvalidInput | None:
    """What reading refuses, where some files are missing: those, and all that is wrong with the others."""
    reader: Reader[Any] = spec.reader.build()
    if not reader.tells_rows:
        return None
    try:
        reader.read(spec, places)
    except InvalidInput as fault:
        return fault
    return None


def _of_table(spec: DataSpec, places: Places) -> list[Finding]:
    """What can be said of labels, groups and splits while some recordings cannot be read: all that needs their table alone."""
    collection = table_alone(spec, places)
    if collection is None or spec.options.prepare:
        return []
    return [*check_table(collection, spec.split), *check_splits(collection, spec)]


def _prepared(collection: Collection, spec: DataSpec, places: Places) -> Collection:
    """The collection that is divided; what preparations warn of is in its notes."""
    if not spec.options.prepare:
        return collection
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TsworkWarning)
        return open_collection(spec, places)


def _faults(what: str, fault: InvalidInput) -> list[Finding]:
    return [Finding(what, str(problem), severe=True) for problem in fault.problems]


def check_collection(collection: Collection, split: SplitSpec | None = None) -> list[Finding]:
    """Findings about a table and its values, seen by the split that will be made of them."""
    return [
        *_values(collection),
        *_lengths(collection),
        *_duplicates(collection),
        *check_sound(collection),
        *check_labels(collection, split),
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
    yield from _flat(collection)


def _flat(collection: Collection) -> Iterator[Finding]:
    """Channels that are constant in some sequences and not in others."""
    flat = flat_channels(collection)
    flat &= ~flat[collection.lengths > 1].all(dim=0)
    rows = torch.nonzero(flat.any(dim=1)).flatten().tolist()
    if rows:
        channels = some([collection.channels[place] for place in torch.nonzero(flat.any(dim=0)).flatten().tolist()])
        text = f"{counted(len(rows), 'sequence has', 'sequences have')} a flat channel ({channels}): {named(collection, rows)}"
        yield Finding("flat", f"{text}; `prepare: [{{uses: quality, flat: drop}}]` leaves them out")


def _lengths(collection: Collection) -> Iterator[Finding]:
    empty = int((collection.lengths == 0).sum())
    if empty:
        yield Finding("length", f"{counted(empty, 'sequence is', 'sequences are')} empty", severe=True)
    if len(collection) > 1:
        short = int((collection.lengths < collection.lengths.float().median() / 10).sum())
        if short:
            yield Finding(
                "length", f"{counted(short, 'sequence is', 'sequences are')} shorter than a tenth of the median"
            )


def _duplicates(collection: Collection) -> Iterator[Finding]:
    first = twins(collection)
    again = torch.nonzero(first != torch.arange(len(first))).flatten().tolist()
    if again:
        shown = some(
            [f"{called(collection, int(first[row]))} and {called(collection, row)}" for row in again[: SHOWN + 1]]
        )
        yield Finding(
            "duplicate",
            f"{counted(len(again), 'sequence repeats', 'sequences repeat')} the content of another: {shown}",
        )


def _times(collection: Collection) -> Iterator[Finding]:
    told = told_steps(collection)
    if told:
        yield Finding("time", told)
