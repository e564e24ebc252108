"""From a data spec to a collection: the reader, the checks that all readers share, and what is done with missing values."""

from __future__ import annotations

import torch

from tswork.data.aliases import merge_aliases
from tswork.data.channels import column_problems
from tswork.data.collection import Collection
from tswork.data.consistency import label_problems, spelling_problems
from tswork.data.faults import refuse
from tswork.data.locating import marked, named
from tswork.data.missing import interpolated, missing_problems
from tswork.data.places import Places
from tswork.data.selecting import leave_out
from tswork.data.spec import DataSpec
from tswork.errors import Problem
from tswork.wording import counted


def read_collection(spec: DataSpec, places: Places) -> Collection:
    """The collection of a spec, before any preparation, with missing values kept, interpolated or refused.

    Raises `DataInvalid` with all faults: those of the files, then label and group columns that are not there and aliases that
    name no id, then fewer than two classes, rows without a label, groups with several labels where `label_per` says they have
    one, labels and ids written in two ways, infinite values, and missing ones that are not accepted. Sequences without a label are refused,
    kept or left out as `unlabelled` says.
    """
    collection: Collection = spec.reader.build().read(spec, places)
    options = spec.options
    refuse(column_problems(list(map(str, collection.table.columns)), options))
    collection = merge_aliases(collection, options.aliases)
    label = options.label or collection.label
    collection = collection.replaced(label=label, groups=options.groups or collection.groups)
    if options.unlabelled == "drop" and label is not None:
        without = collection.codes(label) < 0
        what = "sequences without a label"
        collection = leave_out(collection, without, step="unlabelled", what=what, path="data.unlabelled")
    problems = _class_problems(collection, label, keeps=options.unlabelled == "keep") if label is not None else []
    if problems and options.label is None:  # nobody asked for the label that the reader found
        collection, problems = collection.replaced(label=None), []
    if options.label_per is not None and collection.label is not None:
        problems += label_problems(collection, options.label_per)
    elif options.label_per is not None:
        problems.append(Problem("there is no label", "data.label_per", remedy="Name its column with `label:`."))
    labels = [collection.label] if collection.label is not None else []
    problems += spelling_problems(collection, [*labels, *collection.groups, *options.aliases])
    if options.time is not None and collection.times is None:
        problems.append(Problem(f"the reader {spec.reader.name!r} reads no time stamps here", "data.time"))
    if collection.values.is_floating_point():
        problems += marked(collection, torch.isinf(collection.values), "infinite")
    if options.missing == "refuse":
        problems += missing_problems(collection)
    elif options.missing == "interpolate":
        collection, left = interpolated(collection)
        problems += left
    refuse(problems)
    return collection


def _class_problems(collection: Collection, label: str, *, keeps: bool) -> list[Problem]:
    problems: list[Problem] = []
    unlabelled = torch.nonzero(collection.codes(label) < 0).flatten().tolist()
    if unlabelled and not keeps:
        text = f"{counted(len(unlabelled), 'sequence has', 'sequences have')} no label: {named(collection, unlabelled)}"
        remedy = "Fill in the empty cells, leave them out with `unlabelled: drop`, or train on them without labels with `unlabelled: keep`."
        problems.append(Problem(text, f"data.label ({label})", remedy=remedy))
    if len(collection.categories(label)) < 2:
        found = ", ".join(collection.categories(label)) or "none"
        problems.append(Problem(f"fewer than two classes (found: {found})", f"data.label ({label})"))
    return problems
