"""Columns that look like groups and are none: speakers and places that a split shares without anyone having said so."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from tswork.data.collection import Collection, Split
from tswork.data.faults import some
from tswork.data.findings import Finding
from tswork.wording import counted, worded

PERSONS = ("speaker", "speaker_id", "spk_id", "client_id", "person", "patient", "subject")
PLACES = ("location", "place", "city", "village", "session")


def looks_like_group(collection: Collection) -> list[str]:
    """Columns that are called as persons and places are, are no group and no part of the label, and have values that come again."""
    known = [name for name in (*PERSONS, *PLACES) if name in collection.table.columns]
    free = [name for name in known if name not in (*collection.groups, collection.label)]
    several = [name for name in free if 1 < len(collection.categories(name)) < len(collection)]
    return [name for name in several if not _is_part_of_label(collection, name)]


def _is_part_of_label(collection: Collection, column: str) -> bool:
    """Whether every label names the value of a column among others: the intent `increase_heat_kitchen` its location `kitchen`."""
    if collection.label is None:
        return False
    pairs = collection.table[[collection.label, column]].dropna().astype(str).drop_duplicates()
    return all(label != value and value in label.split("_") for label, value in pairs.itertuples(index=False))


def check_shared(split: Split, *, accepted: bool) -> Iterator[Finding]:
    """Values of such columns that stand in the training and in the test part.

    That is severe where each value has one label only: what knows the speaker knows the label. `accepted`: a reason was given.
    """
    collection = split.train.collection
    for column in looks_like_group(collection):
        test = split.test.codes(column).numpy()
        shared = np.intersect1d(split.train.codes(column).numpy(), test)
        shared = shared[shared >= 0]
        if not len(shared):
            continue
        names = collection.categories(column)
        share = float(np.isin(test, shared).mean())
        text = f"{counted(len(shared), 'value')} of {column!r} {worded(len(shared), 'is', 'are')} in train and test of {split.name}"
        text = f"{text} ({share:.0%} of the test sequences)"
        text = f"{text}: {some([names[code] for code in shared.tolist()])}"
        tells = tells_label(collection, column)
        why = "each has one label, so who knows it knows the label" if tells else "what is tested was heard before"
        yield Finding("leak", f"{text}; {why}. Give `groups: [{column}]`", severe=tells and not accepted)


def tells_label(collection: Collection, column: str) -> bool:
    """Whether all sequences with one value of a column have one label."""
    if collection.label is None:
        return False
    codes, labels = collection.codes(column), collection.codes(collection.label)
    known = (codes >= 0) & (labels >= 0)
    pairs = torch.unique(torch.stack([codes, labels], dim=1)[known], dim=0)
    return len(pairs) == len(torch.unique(codes[known]))


def check_absent(split: Split) -> Iterator[Finding]:
    """Classes that are trained and not judged."""
    collection = split.train.collection
    if collection.label is None:
        return
    trained = set(split.train.codes(collection.label).tolist()) - {-1}
    for name in ("validation", "test"):
        part = split.parts[name]
        found = set(part.codes(collection.label).tolist()) - {-1}
        absent = [collection.classes[code] for code in sorted(trained - found)]
        if len(part) and absent and len(found) > 1:
            text = f"{len(absent)} of {counted(len(trained), 'class', 'classes')} {worded(len(absent), 'is', 'are')} absent"
            text = f"{text} from the {name} part of {split.name}: {some(absent)}"
            yield Finding("split", f"{text}; averages over classes leave them out")
