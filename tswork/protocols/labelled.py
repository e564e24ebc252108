"""What every protocol that classifies asks of its labels, and the control that needs nothing but them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Int

from tswork import random
from tswork.data.collection import Part, Split
from tswork.data.grouping import group_units
from tswork.errors import DataInvalid, Problem
from tswork.wording import counted, worded


def labelled(part: Part) -> Part:
    """The spans that have a label."""
    return part.known(part.label)


def capped(part: Part, label: str, limit: int, seed: int) -> Part:
    """At most `limit` items with the shares of the classes kept, at least one of each."""
    if len(part) <= limit:
        return part
    codes = part.codes(label)
    shuffled = torch.randperm(len(part), generator=random.generator(seed, "train items"))
    by_class = shuffled[torch.argsort(codes[shuffled], stable=True)]
    counts = torch.bincount(codes)
    rank = torch.arange(len(part)) - (counts.cumsum(0) - counts)[codes[by_class]]
    # Taking the smallest relative ranks takes the same share of every class; rank 0 comes first whatever its class.
    place = (rank + 0.5) / counts[codes[by_class]]
    place[rank == 0] = 0.0
    chosen = by_class[torch.argsort(place, stable=True)[:limit]]
    return Part(part.collection, part.spans[chosen.sort().values])


def group_codes(part: Part) -> Int[np.ndarray, "item"] | None:
    """What items belong to: one person, or one recording in segments; none where each stands alone."""
    codes = group_units(part.collection)[part.spans[:, 0]].numpy()
    return codes if len(np.unique(codes)) < len(codes) else None


def refuse_horizon(horizon: int | None) -> None:
    """Raises `DataInvalid` for a horizon, which a forecast has."""
    if horizon is not None:
        raise DataInvalid([Problem("classes have no horizon", "horizon", remedy="Leave --horizon out.")])


def majority(
    truth_train: Int[np.ndarray, "train"], items: int, classes: int
) -> tuple[Int[np.ndarray, "item"], Float[np.ndarray, "item class"]]:
    """The most frequent training class for every item; scores are the training shares."""
    shares = np.bincount(truth_train, minlength=classes) / len(truth_train)
    return np.full(items, shares.argmax()), np.tile(shares, (items, 1))


def left_out(split: Split) -> tuple[str, ...]:
    """A sentence where training or test items without a label take no part."""
    count = sum(len(part) - len(labelled(part)) for part in (split.train, split.test))
    return (f"{counted(count, 'item')} without a label {worded(count, 'was', 'were')} left out",) if count else ()


def one_class_in_test(test: Part) -> tuple[str, ...]:
    """A sentence where the test part has one class only, so that some figures are not defined or say nothing."""
    found = sorted(set(test.codes(test.label).tolist()))
    if len(found) > 1:
        return ()
    name = test.collection.classes[found[0]]
    undefined = "macro_auroc is not defined and stands as NaN, and macro_auprc is 1 whatever is said"
    return (f"the test part has one class only ({name}), so {undefined}",)


def without_group(test: Part) -> tuple[str, ...]:
    """A sentence where some test items belong to no group, so that no group can be judged."""
    column = next(iter(test.collection.groups), None)
    count = int((test.codes(column) < 0).sum()) if column is not None else 0
    if not count:
        return ()
    return (f"{counted(count, 'test item has', 'test items have')} no {column!r}, so there are no figures by {column}",)


def label_problems(split: Split) -> Iterator[Problem]:
    """What forbids to judge a classifier: no labels, one class in training, or test classes never trained on."""
    collection = split.train.collection
    if collection.label is None:
        yield Problem("no column holds the classes", "label", remedy="Name it with `label` in the data block.")
        return
    for name in ("train", "test"):
        part = split.parts[name]
        if not len(part) or not bool((part.codes(collection.label) >= 0).any()):
            yield Problem("the part has no labelled items", name, remedy="Give `split` a share for it.")
            return
    known, judged = (set(part.codes(collection.label).tolist()) - {-1} for part in (split.train, split.test))
    if len(known) < 2:
        found = ", ".join(collection.classes[code] for code in sorted(known))
        yield Problem(
            f"only one class ({found}) is in the training part; a probe needs two",
            collection.label,
            remedy="Choose another label column, or another split.",
        )
    for code in sorted(judged - known):
        yield Problem(
            f"class {collection.classes[code]!r} is in the test part but has no training data",
            collection.label,
            remedy="Split by class shares (`stratify: true`), or leave the class out.",
        )
