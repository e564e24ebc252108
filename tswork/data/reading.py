"""From a data spec to a collection: the reader, and the checks that all readers share."""

from __future__ import annotations

import torch

from tswork.data.collection import Collection
from tswork.data.places import Places
from tswork.data.spec import DataSpec
from tswork.errors import DataInvalid, Problem, did_you_mean


def read_collection(spec: DataSpec, places: Places) -> Collection:
    """The collection of a spec, before any preparation.

    Raises `DataInvalid` with all faults: those of the files, then label and group columns that are not there, fewer than
    two classes, rows without a label, and infinite values.
    """
    collection: Collection = spec.reader.build().read(spec, places)
    options, columns = spec.options, list(map(str, collection.table.columns))
    problems = []
    for kind, names in (("label", [options.label] if options.label else []), ("groups", options.groups)):
        for name in names:
            if name not in columns:
                problems.append(
                    Problem(f"there is no column {name!r}", f"data.{kind}", remedy=did_you_mean(name, columns))
                )
    if problems:
        raise DataInvalid(problems)
    collection = collection.replaced(
        label=options.label or collection.label, groups=options.groups or collection.groups
    )
    if collection.label:
        problems += _label_problems(collection, collection.label)
    if collection.values.is_floating_point() and bool(torch.isinf(collection.values).any()):
        problems.append(Problem("some values are infinite", "data", remedy="Look for them with `tswork data check`."))
    if problems:
        raise DataInvalid(problems)
    return collection


def _label_problems(collection: Collection, label: str) -> list[Problem]:
    problems = []
    unlabelled = int((collection.codes(label) < 0).sum())
    if unlabelled:
        problems.append(Problem(f"{unlabelled} sequences have no label", f"data.label ({label})"))
    if len(collection.categories(label)) < 2:
        found = ", ".join(collection.categories(label)) or "none"
        problems.append(Problem(f"fewer than two classes (found: {found})", f"data.label ({label})"))
    return problems
