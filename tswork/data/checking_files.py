"""What the files of recordings tell from outside: sample rates, channels and formats, and whether these give the label away.

A classifier hears the microphone, the codec and the cut-off of a resampled file as well as the voice. Where each class has files of
one kind, it may learn the kind. Resampling all to one rate does not mend that: what an 8 kHz file lost stays lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tswork.data.association import cramers_v, crossed
from tswork.data.collection import Collection
from tswork.data.faults import some
from tswork.data.findings import Finding
from tswork.data.places import Places
from tswork.data.readers.base import FileOutline, Reader
from tswork.data.spec import DataSpec

STRONG = 0.3
"""Cramér's V from which a trait of files is said to tell much of the label."""
TRAITS = {"rate": "sample rate", "channels": "number of channels", "format": "file format"}


def check_files(
    reader: Reader[Any], collection: Collection | None, spec: DataSpec, places: Places
) -> Iterator[Finding]:
    """How many files have which rate, channels and format, and which of these go with the label."""
    files = reader.outlines(spec, places)
    if not any(one.outline is not None and one.outline.file_rate is not None for one in files):
        return  # no sound among them
    rows = _rows(files, collection) if collection is not None else None
    for name, called in TRAITS.items():
        traits = [_trait(name, one) for one in files]
        counted = Counter(value for value in traits if value)
        text = some([f"{count:,} {value}" for value, count in counted.most_common()], 12)
        yield Finding("files", f"{called}: {text}", fact=True)
        if collection is not None and rows is not None:
            yield from _confounded(collection, called, [traits[row] for row in rows])


def _rows(files: Sequence[FileOutline], collection: Collection) -> list[int] | None:
    """The file of each sequence of a collection, from which some may have been left out; None: it cannot be known."""
    place = {one.id: row for row, one in enumerate(files) if one.id is not None}
    ids = collection.table["id"].astype(str).tolist()
    if set(ids) <= place.keys():
        return [place[one] for one in ids]
    return list(range(len(files))) if len(files) == len(ids) else None


def _trait(name: str, one: FileOutline) -> str:
    if name == "format":
        return one.file.suffix.lower()
    told = None if one.outline is None else one.outline.file_rate if name == "rate" else one.outline.file_channels
    return "" if told is None else f"{told:g} Hz" if name == "rate" else f"{told}"


def _confounded(collection: Collection, trait: str, values: Sequence[str]) -> Iterator[Finding]:
    """Labels whose files are of one kind each, and kinds that go with labels."""
    if collection.label is None:
        return
    names, codes = np.unique(np.array(values), return_inverse=True)
    codes = np.where(names[codes] == "", -1, codes)
    counts = crossed(collection.codes(collection.label).numpy(), codes)
    used = counts[counts.any(axis=1)]
    if len(used) < 2 or (used.any(axis=0)).sum() < 2:
        return
    shown = some([f"{name} {_shares(row, names)}" for name, row in zip(collection.classes, counts, strict=True)], 8)
    if ((used > 0).sum(axis=1) == 1).all():
        text = f"every label has files of one {trait} only, and these differ: {shown}"
        remedy = "whatever is learnt may be the kind of file, also after all are brought to one rate"
        yield Finding("confounding", f"{text}; {remedy}", severe=True)
    elif (strength := cramers_v(counts)) > STRONG:
        yield Finding("confounding", f"the {trait} goes with the label (Cramér's V {strength:.2f}): {shown}")


def _shares(row: np.ndarray, names: np.ndarray) -> str:
    total = max(1, int(row.sum()))
    return "(" + ", ".join(f"{names[place]} {row[place] / total:.0%}" for place in np.flatnonzero(row)) + ")"
